"""Tensors of a program as views of what graph nodes make: reshaping, permuting and slicing cost nothing by themselves.

A view knows where each of its values lies in the map of a node. Operators that only move values are evaluated by torch
itself on these positions, so that no rule of theirs is written down here again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch

from cnn2rtl.quant.qformat import IntArray
from cnn2rtl.tensors import Shape


class Refused(Exception):
    """An operator, or a setting of one, that cannot become hardware; the text gives the rule and the remedy."""


@dataclass(frozen=True, eq=False)
class Map:
    """A tensor of ``dims``, without the batch, whose values are those that ``node`` makes in its map of ``shape``.

    ``index``, of shape ``dims``, is where each value lies in that map, positions counted in the order (c, h, w); -1
    stands for the constant ``value``. ``None`` is all of them in order. ``name`` is the layer that moved them last.
    Where there is a ``before``, the tensor is what ``again`` makes of it: two moves may need a layer each, for which
    there is none together. Where there are ``parts``, the values are those of several nodes' maps behind each other,
    and ``node`` is none.
    """

    node: str
    shape: Shape
    dims: tuple[int, ...]
    index: IntArray | None = None
    value: float = 0.0
    name: str = ""
    before: Map | None = None
    again: Callable[[Map], Map] | None = None
    parts: tuple[Map, ...] = ()
    loose: bool = False
    """Whether the one image that there is has been mixed into ``dims``, as channels are with images for a moment."""

    @classmethod
    def whole(cls, node: str, shape: Shape) -> Map:
        """The map of ``node`` as it stands."""
        return cls(node, shape, shape)

    @classmethod
    def joined(cls, parts: tuple[Map, ...], name: str) -> Map:
        """The values of several whole maps behind each other."""
        count = sum(prod(part.shape) for part in parts)
        return cls("", (count, 1, 1), (count,), name=name, parts=parts)

    @property
    def bases(self) -> tuple[Map, ...]:
        """The whole maps that the values are in: of the node, or of the parts."""
        return self.parts or (Map.whole(self.node, self.shape),)

    @cached_property
    def pixels_of(self) -> IntArray:
        """In which pixel each value of the bases lies, counted through all of them."""
        numbers, first = [], 0
        for part in self.bases:
            c, h, w = part.shape
            numbers.append(first + np.tile(np.arange(h * w), c))
            first += h * w
        return np.concatenate(numbers)

    @property
    def sized(self) -> Shape:
        """The tensor as a feature map: (c), (c, w) and (c, h, w) with ones for the dimensions it has not."""
        if len(self.dims) > 3:
            raise Refused(f"works on {len(self.dims)} dimensions besides the batch; at most (c, h, w) are supported")
        c, h, w = {0: (1, 1, 1), 1: (*self.dims, 1, 1), 2: (*self.dims[:1], 1, *self.dims[1:])}.get(
            len(self.dims), self.dims
        )
        return c, h, w

    @cached_property
    def positions(self) -> IntArray:
        """``index``, written out where it is in order."""
        return np.arange(prod(self.dims)).reshape(self.dims) if self.index is None else self.index

    @property
    def plain(self) -> bool:
        """Whether it is the node's map as it stands."""
        return not self.parts and self.index is None and len(self.dims) <= 3 and self.sized == self.shape

    @cached_property
    def permutes(self) -> bool:
        """Whether it holds every value of the map once, in whatever order."""
        if self.index is None:
            return True
        return np.array_equal(np.sort(self.index, None), np.arange(prod(self.shape)))

    def of(self, *bases: Map) -> Map:
        """The same view of what other nodes make of every value by itself, one node for each of its ``bases``."""
        if self.parts:
            return replace(self, parts=bases, before=None, again=None)
        (base,), before = bases, self.before
        node, shape = base.node, base.shape
        if before is not None and before.node == self.node and np.all(before.positions >= 0):
            return replace(self, node=node, shape=shape, before=before.of(base))
        # The constant would have had to change as well.
        return replace(self, node=node, shape=shape, before=None, again=None)

    def reshaped(self, dims: tuple[int, ...], name: str = "") -> Map:
        """The same values in the same order."""
        index = None if self.index is None else self.index.reshape(dims)
        made = replace(self, dims=dims, index=index, name=name or self.name)
        return made._after(self, lambda view: view.reshaped(dims, name))

    def at(self, index: IntArray, value: float | None = None, name: str = "") -> Map:
        """Other values of the same node's map."""
        in_order = index.size == prod(self.shape) and np.array_equal(index.ravel(), np.arange(index.size))
        return replace(
            self,
            dims=index.shape,
            index=None if in_order else index,
            value=self.value if value is None else value,
            name=name or self.name,
            before=None,
            again=None,
            loose=False,
        )

    def expanded(self, dims: tuple[int, ...], name: str = "") -> Map:
        """Repeated along dimensions of size 1, and along new ones in front, as torch broadcasts."""
        if dims == self.dims:
            return self
        made = self.at(np.broadcast_to(self.positions, dims), name=name)
        return made._after(self, lambda view: view.expanded(dims, name))

    def pixels(self, rows: IntArray, columns: IntArray, name: str) -> Map:
        """Some rows and columns of a tensor (c, h, w); -1 stands for 0, the only constant that may be there then."""
        index = self.positions.reshape(self.sized)[:, rows][:, :, columns]
        outside = (rows < 0)[:, None] | (columns < 0)
        made = self.at(np.where(outside, -1, index), 0.0 if outside.any() else None, name)
        return made._after(self, lambda view: view.pixels(rows, columns, name))

    def _after(self, before: Map, again: Callable[[Map], Map]) -> Map:
        return replace(self, before=before, again=again)

    def unpadded(self, value: float) -> tuple[Map, tuple[int, int, int, int]]:
        """The map without a border of ``value``, and how wide that is: above, below, on the left and on the right.

        Windows have a border of their own, for nothing.
        """
        there = self.positions.reshape(self.sized) >= 0
        if self.value != value or there.all() or not there.any():
            return self, (0, 0, 0, 0)
        rows, columns = (np.flatnonzero(there.any(axes)) for axes in ((0, 2), (0, 1)))
        top, left = int(rows[0]), int(columns[0])
        height, width = len(rows), len(columns)
        inside = self.positions.reshape(self.sized)[:, top : top + height, left : left + width]
        if np.any(inside < 0):
            return self, (0, 0, 0, 0)
        dims = inside.shape if len(self.dims) == 3 else (inside.shape[0], width)
        _, h, w = self.sized
        return self.at(inside.reshape(dims)), (top, h - top - height, left, w - left - width)

    def moved(self, operator: Callable[..., Any], args: dict[str, Any], name: str) -> Map | list[Map]:
        """What ``operator`` makes of it; ``args`` hold this view, and nothing else that depends on the input."""
        places = self.positions if self.loose else self.positions[None]
        stand_in = torch.from_numpy(np.array(places, np.float64))
        with torch.no_grad():
            made = operator(**{key: _replaced(given, self, stand_in) for key, given in args.items()})
        if not isinstance(made, (tuple, list)):
            return self._read(made, name)._after(self, lambda view: _one(view.moved(operator, args, name)))
        return [
            self._read(tensor, name)._after(self, lambda view, k=number: _part(view.moved(operator, args, name), k))  # type: ignore[misc]
            for number, tensor in enumerate(made)
        ]

    def _read(self, positions: torch.Tensor, name: str) -> Map:
        places = positions.numpy().astype(np.int64)
        if places.shape[:1] != (1,):
            return replace(self.at(places, name=name), loose=True)
        return self.at(places[0], name=name)


def _one(moved: Map | list[Map]) -> Map:
    assert isinstance(moved, Map)
    return moved


def _part(moved: Map | list[Map], number: int) -> Map:
    assert isinstance(moved, list)
    return moved[number]


def _replaced(given: Any, view: Map, stand_in: torch.Tensor) -> Any:
    if isinstance(given, list):
        return [_replaced(inner, view, stand_in) for inner in given]
    return stand_in if isinstance(given, Map) else given
