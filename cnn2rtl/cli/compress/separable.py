"""``cnn2rtl compress separable``: standard convolutions become depthwise and pointwise ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cnn2rtl.cli import console
from cnn2rtl.cli.model import Arch, InputSize, NetworkFile, TrustPickle, read_trainable, tell_written
from cnn2rtl.compress.files import check_module_file
from cnn2rtl.counting import Count, per_layer, total
from cnn2rtl.errors import Problems
from cnn2rtl.graph import FloatGraph
from cnn2rtl.reading import name_of


def separable(
    model: NetworkFile,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.pt", help="The file to write.")],
    arch: Arch = None,
    size: InputSize = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Rewrite this convolution. Repeatable; if not given, all but the network's first one."
        ),
    ] = None,
    init: Annotated[
        Literal["fit", "random"], typer.Option(help="New weights: as near to the old ones as can be, or random.")
    ] = "fit",
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=2**31 - 1, help="Decides random weights.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    trust_pickle: TrustPickle = False,
) -> None:
    """Rewrite standard convolutions as depthwise and pointwise ones: a fraction of the parameters and of the work.

    Shapes stay as they are. What such a pair cannot hold of the old weights is lost: train the network again.
    """
    problems = Problems()
    with problems.gather():
        check_module_file(out, force)
    given = read_trainable(model, arch, size, trust_pickle, problems, seed)
    import torch

    from cnn2rtl.compress.modules import write_module
    from cnn2rtl.compress.separable import choose, make_separable
    from cnn2rtl.frontend import capture

    names: list[str] = []
    if given is not None:
        with problems.gather():
            names = choose(given[0], layer or ())
    problems.check()
    assert given is not None
    network, shape = given
    before = capture(network, shape, name_of(model))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        lost = make_separable(network, names, fit=init == "fit")
    after = capture(network, shape, name_of(model))
    write_module(network, out, force)
    _show(names, lost, before, after)
    tell_written(out, network, model, arch, shape)


def _show(names: list[str], lost: dict[str, float], before: FloatGraph, after: FloatGraph) -> None:
    rows = console.table("layer", "parameters", "separable", "MACs", "separable", "weights lost")
    counts = per_layer(before), per_layer(after)
    for name in names:
        old, new = (_within(count, name) for count in counts)
        told = f"{lost[name]:.1%}" if name in lost else ""
        rows.add_row(console.plain(name), *_numbers(old, new), told)
    rows.add_section()
    rows.add_row("network", *_numbers(total(before), total(after)), "", style="bold")
    console.show(rows)


def _within(counts: dict[str, Count], name: str) -> Count:
    """What the layer ``name`` counts, with all that lies in it."""
    return sum((count for own, count in counts.items() if f"{own}.".startswith(f"{name}.")), Count())


def _numbers(old: Count, new: Count) -> list[str]:
    return [f"{number:,}" for number in (old.parameters, new.parameters, old.macs, new.macs)]
