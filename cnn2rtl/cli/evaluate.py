"""``cnn2rtl evaluate``: what the integers cost in accuracy."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Annotated

import typer

from cnn2rtl.accuracy import Evaluation
from cnn2rtl.cli import console
from cnn2rtl.cli.numbers import ChannelOrderOf, FittingOf
from cnn2rtl.measuring.evaluation import evaluate as measure


def evaluate(
    project: Annotated[Path, typer.Argument(metavar="OUT", help="Project folder that `generate` wrote.")],
    data: Annotated[
        Path, typer.Option(metavar="PATH", help="Images: a folder (subfolders are classes), or .npz, .npy, .pt.")
    ],
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Use so many of them, spread over the classes.")
    ] = None,
    fit: FittingOf = None,
    channels: ChannelOrderOf = None,
) -> None:
    """Compare the float network with the golden model: top-1 agreement, accuracy, SQNR of every layer."""
    with console.watched() as show:
        result = measure(project, data, limit=limit, fit=fit, channels=channels, progress=show)
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
    outputs = result.outputs
    if len(outputs) > 1:
        console.out.print(f"what follows is told of {console.plain(outputs[0])}, the first of {len(outputs)} outputs")
    agreed = round(result.agreement * result.images)
    console.out.print(f"top-1 agreement  {100 * result.agreement:.1f} %  ({agreed} of {result.images} images)")
    if result.float_accuracy is not None and result.integer_accuracy is not None:
        console.out.print(f"accuracy         {100 * result.float_accuracy:.1f} % float")
        console.out.print(f"                 {100 * result.integer_accuracy:.1f} % integer, the same in hardware")
