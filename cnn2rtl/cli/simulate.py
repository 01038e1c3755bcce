"""``cnn2rtl simulate``: RTL against golden model, value by value."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.table import Table

from cnn2rtl import schema
from cnn2rtl.cli import console
from cnn2rtl.design import Stream
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.images import Pixels
from cnn2rtl.limits import too_many
from cnn2rtl.output import few, listed_files, tidy_errors
from cnn2rtl.project import Project, open_project, record
from cnn2rtl.reading import readable
from cnn2rtl.rom_files import wrong_roms
from cnn2rtl.tensors import Shape, noise
from cnn2rtl.verify import Engine, Verdict, engine_for, in_layers, missed, write_vectors
from cnn2rtl.verify import simulate as run_simulation
from cnn2rtl.workspace import NEW, own_folder, workspace


def simulate(
    project: Annotated[Path, typer.Argument(metavar="OUT", help="Project folder that `generate` wrote.")],
    engine: Annotated[
        Literal["icarus", "verilator"], typer.Option(help="Verilator compiles first, and is far faster after.")
    ] = "icarus",
    images: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Folder, file of arrays, or image; may be given again. Default: noise."),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Frames to feed; default all images, or 2.")
    ] = None,
    stall: Annotated[
        int, typer.Option(metavar="N", min=0, max=95, help="Percentage of cycles in which either side pauses.")
    ] = 0,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=2**31 - 1, help="Seed of stalls and noise.")] = 1,
    fit: Annotated[
        Literal["crop", "resize"], typer.Option(help="Cut out an image's centre, or resize its shorter side first.")
    ] = "crop",
    waves: Annotated[Path | None, typer.Option(metavar="FILE", help="Write waves (VCD) to this file.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show when the beats of every layer moved.")] = False,
) -> None:
    """Simulate the design on images and compare every value of every layer with the golden model.

    Without stalls, the cycles of every layer must be the predicted ones, too.
    """
    problems = Problems()
    opened: Project | None = None
    with problems.gather():
        opened = open_project(project)
        _require_sources(project)
        misfits = wrong_roms(project / "rom", opened.about.roms)
        problems.found += [f"{project}: {misfit}; generate the project again" for misfit in misfits]
    with problems.gather():
        engine_for(engine, project, project / "sim" / "build" / engine)
    if waves is not None:
        with problems.gather():
            waves = _waves_file(waves, engine)
    sets = []
    for source in images or []:
        with problems.gather():
            sets.append(console.images("--images", source, None if opened is None else opened.graph, fit, frames))
    problems.check()
    assert opened is not None
    pixels = _frames(opened.graph.inputs, [found.images for found in sets if found is not None], frames, seed)
    console.out.print(
        f"{opened.about.name} in {engine}: {len(pixels)} frames, {stall} % stalls, seed {seed}", soft_wrap=True
    )
    with ExitStack() as stack:
        with tidy_errors(project):
            # Two runs at the same time do not build in the same place.
            work = stack.enter_context(own_folder(project / "sim" / "build", engine))
        verdict = _run(opened, engine_for(engine, project, work), pixels, stall, seed, waves)
    for line in verdict.details:
        console.out.print(console.plain(line), style="red" if not verdict.passed else None, soft_wrap=True)
    layers = [stream for stream in opened.streams.values() if stream.node not in opened.graph.inputs]
    values = len(pixels) * sum(prod(stream.shape) for stream in layers)
    streams = tuple(opened.streams.values())
    wrong: tuple[str, ...] = ()
    if verdict.passed and not stall:
        wrong = missed(verdict, streams, frames=len(pixels), interval=opened.interval, latency=opened.latency)
    passed = verdict.passed and not wrong
    found = schema.Simulation(
        engine=engine,
        frames=len(pixels),
        data=_data(images or []),
        stall=stall,
        seed=seed,
        values=values,
        passed=passed,
        details=() if passed else wrong or verdict.details,
        latency=verdict.latency,
        interval=verdict.interval,
        streams={name: schema.Beats(**asdict(seen)) for name, seen in verdict.streams.items()},
        fifos=dict(verdict.peaks),
    )
    record(project, simulation=found)
    if not verdict.passed:
        console.out.print(f"[bold red]FAIL[/] {opened.about.name}: the hardware differs from the golden model")
        raise typer.Exit(1)
    if verbose or wrong:
        console.out.print(_timetable(streams, verdict))
    for line in wrong:
        console.out.print(console.plain(line), style="red", soft_wrap=True)
    if wrong:
        console.out.print(f"[bold red]FAIL[/] {opened.about.name}: every value is right, but not in its cycle")
        raise typer.Exit(1)
    predicted = "" if stall else f" (predicted {opened.latency:,})"
    console.out.print(
        f"[bold green]PASS[/] {opened.about.name}: 0 wrong of {values:,} values in "
        f"{len(opened.graph.layers)} layers; latency {verdict.latency:,} cycles{predicted}"
        + (f", frame interval {verdict.interval:,} cycles" if verdict.interval else "")
        + (f" (predicted {opened.interval:,})" if verdict.interval and not stall else ""),
        soft_wrap=True,
    )


def _data(images: list[Path]) -> str:
    """What was fed, in a word."""
    return few([readable(source.resolve().name) for source in images]) or "noise"


def _timetable(streams: Sequence[Stream], verdict: Verdict) -> Table:
    """When the beats of every stream moved, in cycles since the first pixel."""
    rows = console.table("stream", "beats", "first", "last", "interval", "waited", "in FIFO")
    for stream in streams:
        seen = verdict.streams[stream.name]
        rows.add_row(
            console.plain(stream.node), f"{stream.frame_beats:,}", f"{seen.first:,}", f"{seen.last:,}",
            f"{seen.interval:,}", f"{seen.waits:,}",
            ", ".join(f"{verdict.peaks[fifo.name]:,} of {fifo.depth:,}" for fifo in stream.fifos),
        )  # fmt: skip
    return rows


def _frames(shapes: Mapping[str, Shape], sets: list[Pixels], count: int | None, seed: int) -> Pixels:
    """What to feed: noise where there are no images, and images again where there are too few."""
    excess = too_many(count or 0, (sum(prod(shape) for shape in shapes.values()),))
    if excess:
        raise UserError(f"--frames {count}: {excess}")
    if not sets:
        return noise(shapes, count or 2, seed)
    pixels = np.concatenate(sets)
    return pixels if count is None else pixels[np.arange(count) % len(pixels)]


def _require_sources(project: Path) -> None:
    """What is simulated must be here; a simulator's own words for what is not are hard to read."""
    parts = ("rom/", "rtl/", "sim/testbench.v", "sim/stream_")
    missing = [path for path in listed_files(project) if path.startswith(parts) and not (project / path).is_file()]
    if missing:
        raise UserError(f"{project}: {few(missing)} missing; generate the project again")


def _waves_file(waves: Path, engine: str) -> Path:
    """Where the simulator will put its waves, if nothing speaks against it."""
    if engine != "icarus":
        raise UserError(f"--waves {waves}: {engine} is built without waves here; use --engine icarus")
    # Icarus appends this by itself.
    waves = waves if waves.suffix or waves.is_dir() else waves.with_suffix(".vcd")
    place = waves if waves.exists() else waves.absolute().parent
    if waves.is_dir() or not os.access(place, os.R_OK | os.W_OK):
        raise UserError(f"--waves {waves}: cannot be written; name a file in a folder that exists")
    if waves.is_file():
        with waves.open("rb") as file:
            if file.read(1) not in (b"", b"$"):
                raise UserError(f"--waves {waves}: exists and holds no waves; it stays as it is: name another file")
    return waves


def _run(project: Project, engine: Engine, pixels: Pixels, stall: int, seed: int, waves: Path | None) -> Verdict:
    rom = project.folder / "rom"
    _, height, _ = next(iter(project.graph.inputs.values()))
    with workspace(Path(tempfile.gettempdir()), "vectors") as folder, console.progress() as bar:
        task = bar.add_task("golden model", total=len(pixels))
        vectors = folder / NEW
        try:
            write_vectors(vectors, project.graph, project.streams, pixels, lambda: bar.advance(task))
        except OSError as error:
            raise UserError(f"{folder}: the test vectors cannot be written ({error.strerror})") from None
        bar.update(task, description=f"building ({engine.name})", total=None, completed=0)
        engine.build()
        bar.reset(task, description="simulating rows", total=len(pixels) * height)
        verdict = run_simulation(
            engine, rom if rom.is_dir() else project.folder, vectors, frames=len(pixels), stall=stall, seed=seed,
            waves=waves, on_row=lambda done: bar.update(task, completed=done),
        )  # fmt: skip
        return in_layers(verdict, project.streams.values())
