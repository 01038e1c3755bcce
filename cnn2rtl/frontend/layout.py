"""Whether an input has its channels first, as torch has them, or last, as Keras has them and the hardware takes them.

A model does not say so: what it does with its inputs tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from torch import fx
from torch.export import ExportedProgram

from cnn2rtl.errors import UserError
from cnn2rtl.frontend.conversion import Conversion
from cnn2rtl.graph import FloatGraph

PICTURES = (1, 3, 4)
"""Channels that pictures have."""

TRIED = 3
"""Of so many inputs, each may have its channels last by itself; of more, all or none."""


def converted(
    program: ExportedProgram, sources: Mapping[str, fx.Node], name: str, outputs: Sequence[str] = ()
) -> FloatGraph:
    """The graph of ``program``, whose inputs by name are ``sources``, the channels of each where the model has them.

    It ends in the layers that are called ``outputs``, where there are any.

    Raises the :class:`UserError` of that attempt which came furthest.
    """
    failed: list[UserError] = []
    graph: FloatGraph | None = None
    for last in _layouts(sources):
        if graph is not None and not _pictures(sources, last):
            continue
        try:
            found = Conversion(program, sources, name, last, outputs).graph()
        except UserError as error:
            failed.append(error)
            continue
        if not last:
            graph = found
        elif graph is None or len(found.nodes) <= len(graph.nodes):
            return _told(found, sources, last)
    if graph is None:
        raise min(failed, key=lambda error: len(error.problems))
    return graph


def _layouts(sources: Mapping[str, fx.Node]) -> Iterator[tuple[str, ...]]:
    """Which inputs have their channels last, in the order in which that is likely."""
    may = [name for name, node in sources.items() if not _first(node.meta["val"].shape[1:])]
    yield ()
    for count in range(len(may), 0, -1):
        if count == len(may) or len(may) <= TRIED:
            yield from combinations(may, count)


def _first(dims: Sequence[int]) -> bool:
    """Whether the channels come first without doubt: one dimension has no other, and (3, h, w) is a picture."""
    return len(dims) < 2 or (len(dims) == 3 and dims[0] in PICTURES and dims[2] not in PICTURES)


def _pictures(sources: Mapping[str, fx.Node], last: tuple[str, ...]) -> bool:
    """Whether all of these inputs look like pictures, (n, h, w, c): the network may read them either way."""
    dims = [tuple(sources[name].meta["val"].shape[1:]) for name in last]
    return all(len(each) == 3 and each[2] in PICTURES and min(each[:2]) > max(PICTURES) for each in dims)


def _told(graph: FloatGraph, sources: Mapping[str, fx.Node], last: tuple[str, ...]) -> FloatGraph:
    notes = []
    for name in last:
        dims = ", ".join(map(str, sources[name].meta["val"].shape[1:]))
        notes.append(
            f"`{name}` is (n, {dims}) in the model, channels last, which is the order in which the hardware takes "
            "values anyway."
        )
    return replace(graph, notes=(*notes, *graph.notes))
