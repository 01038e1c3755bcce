"""``cnn2rtl synth``: what the design takes of an FPGA and, with place and route, how fast it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cnn2rtl.cli import console
from cnn2rtl.errors import Problems
from cnn2rtl.project import Project, open_project, record
from cnn2rtl.synthesis import SynthesisError, SynthResult, Target, Tool, target_for, tool_for
from cnn2rtl.synthesis.nextpnr import nextpnr_for

RESOURCES = {
    "luts": "look-up tables",
    "flip_flops": "flip-flops",
    "logic_cells": "logic cells",
    "dsps": "DSP blocks",
    "rams": "block RAMs",
    "distributed_ram_bits": "distributed RAM, bits",
}


def synth(
    project: Annotated[Path, typer.Argument(metavar="OUT", help="Project folder that `generate` wrote.")],
    tool: Annotated[Literal["yosys"], typer.Option(help="Synthesis tool.")] = "yosys",
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="FPGA to hold it against, like xc7a35t or LFE5U-85F.")
    ] = None,
    family: Annotated[
        str | None, typer.Option(metavar="NAME", help="Without a device, the family of FPGAs; default xc7.")
    ] = None,
    pnr: Annotated[bool, typer.Option("--pnr", help="Place and route too, with nextpnr; needs --device.")] = False,
    freq: Annotated[float, typer.Option(metavar="MHZ", min=1, max=1000, help="Clock that --pnr aims at.")] = 100.0,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=2**31 - 1, help="Seed of --pnr's placement.")] = 1,
) -> None:
    """Synthesise the design for an FPGA: what it takes, whether it fits and, with --pnr, how fast it is there."""
    problems = Problems()
    opened: Project | None = None
    target: Target | None = None
    runner: Tool | None = None
    with problems.gather():
        opened = open_project(project)
    with problems.gather():
        target = target_for(device, family)
    if pnr and target is not None:
        with problems.gather():
            nextpnr_for(target)
    if opened is not None and target is not None:
        with problems.gather():
            runner = tool_for(tool, opened, target)
    problems.check()
    assert opened is not None and target is not None and runner is not None
    what = target.family.name if target.device is None else target.device.name
    console.out.print(f"{opened.about.name} in {tool} for {what}", soft_wrap=True)
    try:
        result = _run(runner, tool, freq if pnr else None, seed)
    except SynthesisError as error:
        for reason in error.reasons:
            console.err.print(f"[bold red]error:[/] {console.message(reason)}", soft_wrap=True)
        build = console.plain(f"{project}/syn/{tool}/build")
        console.out.print(f"[bold red]FAIL[/] {opened.about.name}: see {build}", soft_wrap=True)
        raise typer.Exit(1) from None
    record(project, synthesis=result.recorded())
    _show(result, target)


def _run(tool: Tool, name: str, mhz: float | None, seed: int) -> SynthResult:
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console.err, transient=True,
        disable=not console.err.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task(name)

        def on_stage(stage: str) -> None:
            bar.update(task, description=console.plain(stage[:70]))

        return tool.synthesise(on_stage) if mhz is None else tool.place_and_route(mhz, seed, on_stage)


def _show(result: SynthResult, target: Target) -> None:
    rows = console.table("resource", "used", "of", "%", "cells", left=1)
    rows.columns[-1].justify = "left"
    used = vars(result.usage)
    shares = {share.resource: share for share in result.shares}
    for name, title in RESOURCES.items():
        if name == "logic_cells" and not used[name]:
            continue
        share = shares.get(name)
        cells = ", ".join(f"{cell} {count:,}" for cell, count in target.family.cells_of(name, result.cells).items())
        over = share is not None and not share.fits
        rows.add_row(
            title,
            f"[red]{used[name]:,.12g}[/]" if over else f"{used[name]:,.12g}",
            "" if share is None else f"{share.available:,}",
            "" if share is None or not share.available else f"{share.percent:.1f}",
            console.plain(cells),
        )
    console.out.print(rows)
    if result.wrapped:
        console.out.print("with the shift registers that --pnr puts around the design", soft_wrap=True)
    if target.family.caveat:
        console.out.print(f"[yellow]note[/] {target.family.caveat}", soft_wrap=True)
    if result.device is not None and result.device.unused:
        console.out.print(f"not used: {result.device.unused}", soft_wrap=True)
    if result.device is not None:
        verdict = "[bold green]fits[/]" if result.fits else "[bold red]does not fit[/]"
        console.out.print(f"{verdict} {result.device.name}", soft_wrap=True)
    if result.routed is not None and result.frames_per_second is not None:
        routed = result.routed
        console.out.print(
            f"fmax {routed.fmax_mhz:.1f} MHz ({routed.tool} {routed.version}, {routed.target_mhz:g} MHz asked for, "
            f"seed {routed.seed}): {result.frames_per_second:,.1f} frames/s at {result.interval:,} cycles per frame",
            soft_wrap=True,
        )
    console.out.print(f"{result.tool} {result.version}, {result.seconds:.0f} s", soft_wrap=True)
