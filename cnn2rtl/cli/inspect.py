"""``cnn2rtl inspect``: what is in a model, before anything is generated."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from cnn2rtl.cli import console
from cnn2rtl.cli.model import Arch, InputSize, ModelFile, TrustPickle, capture_file
from cnn2rtl.errors import Problems
from cnn2rtl.passes import simplify


def inspect(
    model: ModelFile,
    arch: Arch = None,
    size: InputSize = None,
    bits: Annotated[int, typer.Option(metavar="N", help="Width of the weights, to count their memory.")] = 8,
    trust_pickle: TrustPickle = False,
) -> None:
    """List a model's layers as hardware will have them: shapes, parameters, MACs, weight bits."""
    problems = Problems()
    captured = capture_file(model, arch, size, trust_pickle, problems)
    if not 2 <= bits <= 16:
        problems.found.append(f"--bits {bits}: widths run from 2 to 16 bits")
    problems.check()
    assert captured is not None
    graph = simplify(captured)
    rows = console.table("layer", "kind", "output", "parameters", "MACs", "weight bits", left=3)
    total_parameters = total_macs = 0
    for node in graph.nodes:
        macs = node.op.macs([graph[name].shape for name in node.inputs])
        total_parameters += node.op.parameters
        total_macs += macs
        rows.add_row(
            escape(node.name), node.op.kind, "x".join(map(str, node.shape)), f"{node.op.parameters:,}", f"{macs:,}",
            f"{node.op.weights * bits:,}",
        )  # fmt: skip
    weights = sum(node.op.weights for node in graph.nodes)
    rows.add_section()
    rows.add_row("total", "", "", f"{total_parameters:,}", f"{total_macs:,}", f"{weights * bits:,}", style="bold")
    console.out.print(rows)
    own = sum(node.op.parameters for node in captured.nodes)
    console.out.print(
        f"{own:,} parameters in the model, {total_parameters:,} with BatchNorm folded; 1 MAC = 1 multiply-accumulate "
        f"(2 FLOPs); weight bits at {bits} bits per weight",
        soft_wrap=True,
    )
