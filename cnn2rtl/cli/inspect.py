"""``cnn2rtl inspect``: what is in a model, before anything is generated."""

from __future__ import annotations

from typing import Annotated

import typer

from cnn2rtl.cli import console
from cnn2rtl.cli.model import Arch, InputSize, ModelFile, OutputNames, TrustPickle, open_model
from cnn2rtl.counting import Count, per_layer
from cnn2rtl.errors import Problems
from cnn2rtl.graph import FloatGraph
from cnn2rtl.passes import as_trained, simplify


def inspect(
    model: ModelFile,
    arch: Arch = None,
    size: InputSize = None,
    outputs: OutputNames = None,
    bits: Annotated[int, typer.Option(metavar="N", help="Width of the weights, to count their memory.")] = 8,
    trained: Annotated[
        bool, typer.Option("--as-trained", help="The layers as they were trained, BatchNorm among them.")
    ] = False,
    like_study: Annotated[
        bool,
        typer.Option(
            "--count-like-study",
            help="Also count operations as the reference study did (see docs/compression.md). Implies --as-trained.",
        ),
    ] = False,
    trust_pickle: TrustPickle = False,
) -> None:
    """List a model's layers as hardware will have them: shapes, parameters, MACs, FLOPs, weight bits."""
    problems = Problems()
    source = open_model(model, arch, size, trust_pickle, problems, outputs)
    if not 2 <= bits <= 16:
        problems.found.append(f"--bits {bits}: widths run from 2 to 16 bits")
    problems.check()
    captured = source.floats()
    before, after = as_trained(captured), simplify(captured)
    _show(before if trained or like_study else after, bits, like_study)
    own, folded = (sum(per_layer(graph).values(), Count()) for graph in (before, after))
    console.out.print(
        f"{own.parameters:,} parameters in the model, {folded.parameters:,} with BatchNorm folded; 1 MAC = 1 "
        f"multiply-accumulate = 2 FLOPs; weight bits at {bits} bits per weight",
        soft_wrap=True,
    )
    if like_study:
        console.out.print(
            f"{own.like_study:,} operations ({own.like_study / 1e6:.2f}M) as the study counted: neither MACs nor FLOPs",
            soft_wrap=True,
        )


def _show(graph: FloatGraph, bits: int, like_study: bool) -> None:
    columns = ["layer", "kind", "output", "parameters", "MACs", "FLOPs", "weight bits"]
    rows = console.table(*columns, *(["like study"] if like_study else []), left=3)

    def numbers(count: Count) -> list[str]:
        counts = [count.parameters, count.macs, count.flops, count.weight_bits(bits)]
        return [f"{number:,}" for number in (*counts, *([count.like_study] if like_study else []))]

    counts = per_layer(graph)
    for node in graph.nodes:
        rows.add_row(
            console.plain(node.name), node.op.kind, "x".join(map(str, node.shape)), *numbers(counts[node.name])
        )
    rows.add_section()
    rows.add_row("total", "", "", *numbers(sum(counts.values(), Count())), style="bold")
    console.show(rows)
