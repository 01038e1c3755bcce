"""``cnn2rtl simulate``: RTL against golden model, value by value."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.markup import escape

from cnn2rtl.cli import console
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.images import Pixels, load_images
from cnn2rtl.project import Project, open_project
from cnn2rtl.verify import Engine, Verdict, engine_for, write_vectors
from cnn2rtl.verify import simulate as run_simulation


def simulate(
    project: Annotated[Path, typer.Argument(metavar="OUT", help="Project folder that `generate` wrote.")],
    engine: Annotated[
        Literal["icarus", "verilator"], typer.Option(help="Verilator compiles first, and is far faster after.")
    ] = "icarus",
    images: Annotated[
        list[Path] | None, typer.Option(help="Folder, file of arrays, or image; may be given again. Default: noise.")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames to feed; default all images, or 2.")] = None,
    stall: Annotated[int, typer.Option(min=0, max=95, help="Percentage of cycles in which either side pauses.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of stalls and noise.")] = 1,
    fit: Annotated[
        Literal["crop", "resize"], typer.Option(help="Cut out an image's centre, or resize its shorter side first.")
    ] = "crop",
    waves: Annotated[Path | None, typer.Option(help="Write waves (VCD) to this file.")] = None,
) -> None:
    """Simulate the design on images and compare every value of every layer with the golden model."""
    opened = open_project(project)
    problems = Problems()
    pixels = _frames(opened, images or [], frames, fit, seed, problems)
    with problems.gather():
        simulator = engine_for(engine, project, project / "sim" / "build" / engine)
    if waves is not None and (waves.is_dir() or not waves.absolute().parent.is_dir()):
        problems.found.append(f"--waves {waves}: cannot be written; name a file in a folder that exists")
    problems.check()
    console.out.print(
        f"{opened.about['name']} in {engine}: {len(pixels)} frames, {stall} % stalls, seed {seed}", soft_wrap=True
    )
    verdict = _run(opened, simulator, pixels, stall, seed, waves)
    for line in verdict.details:
        console.out.print(escape(line), style="red" if not verdict.passed else None, soft_wrap=True)
    values = sum(np.prod(stream.shape) for stream in opened.streams.values() if stream.node != opened.graph.input.name)
    if not verdict.passed:
        console.out.print(f"[bold red]FAIL[/] {opened.about['name']}: the hardware differs from the golden model")
        raise typer.Exit(1)
    console.out.print(
        f"[bold green]PASS[/] {opened.about['name']}: 0 wrong of {values * len(pixels):,} values in "
        f"{len(opened.graph.layers)} layers; latency {verdict.latency:,} cycles"
        + (f", frame interval {verdict.interval:,} cycles" if verdict.interval else "")
        + (f" (predicted {opened.interval:,})" if verdict.interval and not stall else ""),
        soft_wrap=True,
    )


def _frames(
    project: Project,
    sources: list[Path],
    count: int | None,
    fit: Literal["crop", "resize"],
    seed: int,
    problems: Problems,
) -> Pixels:
    """What to feed, (n, h, w, c); images are repeated where fewer than asked for were given."""
    c, h, w = project.graph.input.shape
    if not sources:
        return np.random.default_rng(seed).integers(0, 256, (count or 2, h, w, c), np.uint8)
    sets: list[Pixels] = [np.empty((0, h, w, c), np.uint8)]
    for source in sources:
        with problems.gather():
            sets.append(load_images(source, (c, h, w), fit, count).images)
    pixels = np.concatenate(sets)
    return pixels if count is None else np.resize(pixels, (count, h, w, c))


def _run(project: Project, engine: Engine, pixels: Pixels, stall: int, seed: int, waves: Path | None) -> Verdict:
    height = project.graph.input.shape[1]
    with tempfile.TemporaryDirectory(prefix="cnn2rtl-") as folder, console.progress() as bar:
        task = bar.add_task("golden model", total=len(pixels))
        vectors = Path(folder)
        try:
            write_vectors(vectors, project.graph, project.streams, pixels, lambda: bar.advance(task))
        except OSError as error:
            raise UserError(f"{folder}: the test vectors cannot be written ({error.strerror})") from None
        bar.update(task, description=f"building ({engine.name})", total=None, completed=0)
        engine.build()
        bar.reset(task, description="simulating rows", total=len(pixels) * height)
        return run_simulation(
            engine, project.folder / "rom", vectors, frames=len(pixels), stall=stall, seed=seed, waves=waves,
            on_row=lambda done: bar.update(task, completed=done),
        )  # fmt: skip
