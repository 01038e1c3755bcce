"""``cnn2rtl synth``: what the design takes of an FPGA and, with place and route, how fast it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cnn2rtl.cli import console
from cnn2rtl.measuring.synthesis import prepare
from cnn2rtl.synthesis import SynthesisError, SynthResult, Target

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
    run = prepare(project, device=device, family=family, tool=tool, pnr=pnr, mhz=freq, seed=seed)
    target, name = run.target, run.project.about.name
    what = target.family.name if target.device is None else target.device.name
    console.out.print(f"{name} in {tool} for {what}", soft_wrap=True)
    try:
        with console.watched() as show:
            result = run.run(show)
    except SynthesisError as error:
        for reason in error.problems:
            console.err.print(f"[bold red]error:[/] {console.message(reason)}", soft_wrap=True)
        build = console.plain(f"{project}/syn/{tool}/build")
        console.out.print(f"[bold red]FAIL[/] {name}: see {build}", soft_wrap=True)
        raise typer.Exit(1) from None
    _show(result, target)


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
