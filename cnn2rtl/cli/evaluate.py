"""``cnn2rtl evaluate``: what the integers cost in accuracy."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Annotated

import typer

from cnn2rtl.accuracy import Evaluation
from cnn2rtl.cli import console
from cnn2rtl.cli.matrix import MOST, matrix
from cnn2rtl.cli.numbers import ChannelOrderOf, FittingOf, TaskOf, read_task
from cnn2rtl.measuring.evaluation import evaluate as measure
from cnn2rtl.tasks import Judgement
from cnn2rtl.tasks.wording import by_channel, lines

FEW = 10
"""Channels that are shown one by one."""


def evaluate(
    project: Annotated[Path, typer.Argument(metavar="OUT", help="Project folder that `generate` wrote.")],
    data: Annotated[
        Path, typer.Option(metavar="PATH", help="Images: a folder (subfolders are classes), or .npz, .npy, .pt.")
    ],
    task: TaskOf = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Use so many of them, spread over the classes.")
    ] = None,
    fit: FittingOf = None,
    channels: ChannelOrderOf = None,
) -> None:
    """Compare the float network with the golden model: decisions or values of every output, SQNR of every layer."""
    with console.watched() as show:
        wanted = read_task(task)
        result = measure(project, data, task=wanted, limit=limit, fit=fit, channels=channels, progress=show)
    _show(result)


def _show(result: Evaluation) -> None:
    rows = console.table("layer", "format", "SQNR dB", "clipped", "range used", "accumulator bits", left=2)
    for name, layer in result.layers.items():
        rows.add_row(
            console.plain(name), layer.format, "exact" if layer.sqnr == inf else f"{layer.sqnr:.1f}",
            f"{100 * layer.clipped:.2g} %", f"{100 * layer.used:.0f} %",
            f"{layer.needed_bits} of {layer.acc_bits}" if layer.acc_bits else "",
        )  # fmt: skip
    console.out.print(rows)
    for judgement in result.judgements:
        _show_output(judgement)


def _show_output(found: Judgement) -> None:
    doubt = f" ({found.choice.doubt})" if found.choice.doubt else ""
    console.out.print(
        f"[bold]{console.plain(found.name)}[/]: {found.kind}, {console.message(found.choice.why + doubt)}",
        soft_wrap=True,
    )
    shown = [*lines(found)]
    width = max(len(title) for title, _ in shown)
    for title, text in shown:
        console.out.print(f"{title:{width}}  {text}", soft_wrap=True)
    labelled = found.float_accuracy is not None
    for confusion in found.confusions[:1] if len(found.confusions) == 1 else ():
        if confusion.classes <= MOST and (labelled or found.agreement != 1):
            console.out.print(matrix(confusion, found.class_names, "label" if labelled else "float"))
    valued = found.score.valued
    if found.score.decided is None and valued is not None and 1 < len(valued.between.sizes) <= FEW:
        table = console.table("channel", "mean", "rms", "largest")
        for row in by_channel(valued.between):
            table.add_row(*row)
        console.out.print(table)
