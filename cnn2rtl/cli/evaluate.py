"""``cnn2rtl evaluate``: what the integers cost in accuracy."""

from __future__ import annotations

from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Annotated, Literal

import typer

from cnn2rtl import schema
from cnn2rtl.accuracy import Evaluation
from cnn2rtl.accuracy import evaluate as compare
from cnn2rtl.cli import console
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.images import ImageSet
from cnn2rtl.project import Project, open_project, record
from cnn2rtl.reading import readable


def evaluate(
    project: Annotated[Path, typer.Argument(metavar="OUT", help="Project folder that `generate` wrote.")],
    data: Annotated[
        Path, typer.Option(metavar="PATH", help="Images: a folder (subfolders are classes), or .npz, .npy, .pt.")
    ],
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Use so many of them, spread over the classes.")
    ] = None,
    fit: Annotated[
        Literal["crop", "resize"], typer.Option(help="Cut out an image's centre, or resize its shorter side first.")
    ] = "crop",
) -> None:
    """Compare the float network with the golden model: top-1 agreement, accuracy, SQNR of every layer."""
    problems = Problems()
    opened: Project | None = None
    images: ImageSet | None = None
    with problems.gather():
        opened = open_project(project)
    with problems.gather():
        images = console.images("--data", data, None if opened is None else opened.graph, fit, limit)
    problems.check()
    assert opened is not None and images is not None
    labels = images.labels
    mismatch = images.mismatch(opened.classes)
    if mismatch:
        console.out.print(f"[yellow]note[/] {mismatch}, so no accuracy is given", soft_wrap=True)
        labels = None
    with console.progress() as bar:
        task = bar.add_task("evaluating", total=len(images))
        result = compare(opened.float_graph, opened.graph, images.images, labels, lambda more: bar.advance(task, more))
    rows = console.table("layer", "format", "SQNR dB", "clipped", "range used", "accumulator bits", left=2)
    for name, layer in result.layers.items():
        rows.add_row(
            console.plain(name), str(opened.graph[name].out), "exact" if layer.sqnr == inf else f"{layer.sqnr:.1f}",
            f"{100 * layer.clipped:.2g} %", f"{100 * layer.used:.0f} %",
            f"{layer.needed_bits} of {layer.acc_bits}" if layer.acc_bits else "",
        )  # fmt: skip
    console.out.print(rows)
    outputs = opened.graph.outputs
    if len(outputs) > 1:
        console.out.print(f"what follows is told of {console.plain(outputs[0])}, the first of {len(outputs)} outputs")
    agreed = round(result.agreement * result.images)
    console.out.print(f"top-1 agreement  {100 * result.agreement:.1f} %  ({agreed} of {result.images} images)")
    if result.float_accuracy is not None and result.integer_accuracy is not None:
        console.out.print(f"accuracy         {100 * result.float_accuracy:.1f} % float")
        console.out.print(f"                 {100 * result.integer_accuracy:.1f} % integer, the same in hardware")
    _keep(project, result, readable(data.resolve().name))


def _keep(project: Path, result: Evaluation, data: str) -> None:
    """Record the result in the project; that may lie where nothing can be written."""
    figures = {
        name: schema.LayerAccuracy(**{**asdict(layer), "sqnr": None if layer.sqnr == inf else round(layer.sqnr, 2)})
        for name, layer in result.layers.items()
    }
    found = schema.Accuracy(
        result.images, result.agreement, result.float_accuracy, result.integer_accuracy, figures, data
    )
    try:
        record(project, accuracy=found)
    except UserError as error:
        console.out.print(f"[yellow]note[/] not kept in the report: {console.message(str(error))}", soft_wrap=True)
