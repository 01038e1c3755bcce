"""From the results of a program to outputs of the hardware, without what only moves values there."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from cnn2rtl.frontend.call import Builder
from cnn2rtl.frontend.relabel import rearranged
from cnn2rtl.frontend.view import Map, Refused
from cnn2rtl.restoring import ModelOutput


class Outputs:
    """The nodes whose maps the hardware delivers, and how the model's own outputs come of them."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.nodes: list[str] = []
        self.restored: list[ModelOutput] = []

    def add(self, result: Map, dims: tuple[int, ...]) -> None:
        """One more output of the model, (n, *dims)."""
        view = _used(self._delivered(result))
        places = None if view.index is None else view.positions.reshape(dims)
        sources = tuple(self._number(base, again=not view.plain) for base in view.bases)
        self.restored.append(ModelOutput(dims, sources, places, view.value))

    def _number(self, base: Map, again: bool) -> int:
        """Which output of the hardware ``base`` is; with ``again``, one that it is already will do."""
        if again and base.node in self.nodes:
            return self.nodes.index(base.node)
        self.nodes.append(base.node)
        return len(self.nodes) - 1

    def _delivered(self, result: Map) -> Map:
        """What becomes of a result: a map where layers make one that people would call so, else what is in others.

        Values in the order of the map's, or in that of the stream, need no layer.
        """
        if result.plain or result.parts or result.index is None or _streams(result):
            return result
        try:
            return rearranged(self.builder, result) if result.permutes else self.builder.plain(result)
        except Refused:
            return result


def _streams(view: Map) -> bool:
    """Whether the values come in the order in which the hardware delivers them, pixel by pixel."""
    c, h, w = view.shape
    order = np.arange(c * h * w).reshape(c, h * w).T
    return np.array_equal(view.positions.ravel(), order.ravel())


def _used(view: Map) -> Map:
    """Without the parts that no value is taken of."""
    if not view.parts:
        return view
    places, first, found = view.positions, 0, np.full(view.dims, -1)
    kept: list[Map] = []
    for part in view.parts:
        own = (places >= first) & (places < first + prod(part.shape))
        if own.any():
            found[own] = places[own] - first + sum(prod(one.shape) for one in kept)
            kept.append(part)
        first += prod(part.shape)
    return replace(view, index=found, parts=tuple(kept))
