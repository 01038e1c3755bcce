"""``cnn2rtl simulate``: RTL against golden model, value by value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from cnn2rtl.cli import console
from cnn2rtl.cli.numbers import ChannelOrderOf, FittingOf
from cnn2rtl.design import Stream
from cnn2rtl.measuring.simulation import Simulation, prepare
from cnn2rtl.verify import Verdict


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
    fit: FittingOf = None,
    channels: ChannelOrderOf = None,
    waves: Annotated[Path | None, typer.Option(metavar="FILE", help="Write waves (VCD) to this file.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show when the beats of every layer moved.")] = False,
) -> None:
    """Simulate the design on images and compare every value of every layer with the golden model.

    Without stalls, the cycles of every layer must be the predicted ones, too.
    """
    bench = prepare(
        project, images, engine=engine, frames=frames, stall=stall, seed=seed, fit=fit, channels=channels,
        waves=waves,
    )  # fmt: skip
    console.out.print(
        f"{bench.project.about.name} in {engine}: {len(bench.pixels)} frames, {stall} % stalls, seed {seed}",
        soft_wrap=True,
    )
    with console.watched() as show:
        result = bench.run(show)
    _show(result, bench.streams, verbose)
    if not result.passed:
        raise typer.Exit(1)


def _show(result: Simulation, streams: Sequence[Stream], verbose: bool) -> None:
    verdict = result.verdict
    for line in verdict.details:
        console.out.print(console.plain(line), style="red" if not verdict.passed else None, soft_wrap=True)
    if not verdict.passed:
        console.out.print(f"[bold red]FAIL[/] {result.name}: the hardware differs from the golden model")
        return
    if verbose or result.wrong_cycles:
        console.out.print(_timetable(streams, verdict))
    for line in result.wrong_cycles:
        console.out.print(console.plain(line), style="red", soft_wrap=True)
    if result.wrong_cycles:
        console.out.print(f"[bold red]FAIL[/] {result.name}: every value is right, but not in its cycle")
        return
    predicted = "" if result.stall else f" (predicted {result.predicted_latency:,})"
    console.out.print(
        f"[bold green]PASS[/] {result.name}: 0 wrong of {result.values:,} values in "
        f"{result.layers} layers; latency {result.latency:,} cycles{predicted}"
        + (f", frame interval {result.interval:,} cycles" if result.interval else "")
        + (f" (predicted {result.predicted_interval:,})" if result.interval and not result.stall else ""),
        soft_wrap=True,
    )


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
