"""The model's own outputs, put together again from those of the hardware.

What only moves values at a network's end costs nothing where it is left away: the hardware delivers the maps before it,
and whoever reads them knows where each value belongs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np

from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.tensors import FloatArray, Shape

Digits: TypeAlias = list[tuple[int, int]]
"""Of a number that counts through a tensor, outermost first: how far each digit counts, and by which step."""


@dataclass(frozen=True, eq=False)
class ModelOutput:
    """An output of the model, (n, *dims), whose values are those of the hardware's outputs ``sources``, by number.

    ``places``, of shape ``dims``, is where each value is among those of all sources behind each other, each map in the
    order (c, h, w); -1 stands for the constant ``value``. ``None`` is all of them in order.
    """

    dims: tuple[int, ...]
    sources: tuple[int, ...]
    places: IntArray | None = None
    value: float = 0.0

    def of(self, maps: Sequence[FloatArray]) -> FloatArray:
        """The output, (n, *dims), from all outputs of the hardware in reals, (n, h, w, c) each."""
        parts = [maps[source].transpose(0, 3, 1, 2).reshape(len(maps[source]), -1) for source in self.sources]
        values = np.concatenate(parts, 1)
        if self.places is not None:
            values = np.where(self.places.ravel() < 0, self.value, values[:, self.places.ravel()])
        return values.reshape(-1, *self.dims)

    def moved(self, shapes: Sequence[Shape]) -> bool:
        """Whether it is more than the map of a source, with or without dimensions of one pixel; ``shapes`` of all."""
        own, map_of = ([size for size in dims if size > 1] for dims in (self.dims, shapes[self.sources[0]]))
        return self.places is not None or len(self.sources) > 1 or own != map_of

    def recipe(self, shapes: Sequence[Shape]) -> str:
        """The same in numpy, of arrays (n, h, w, c) called y, or y0, y1, …; empty where that takes more than a line."""
        places = np.arange(prod(self.dims)).reshape(self.dims) if self.places is None else self.places
        if np.any(places < 0):
            return ""
        names = ["y"] if len(self.sources) == 1 else [f"y{source}" for source in self.sources]
        parts, first, axis = [], 0, None
        for name, source in zip(names, self.sources, strict=True):
            there = (places >= first) & (places < first + prod(shapes[source]))
            block = np.ix_(*(np.flatnonzero(there.any(tuple(set(range(there.ndim)) - {n}))) for n in range(there.ndim)))
            cut = [n for n in range(there.ndim) if block[n].size < there.shape[n]]
            if not there[block].all() or len(cut) > 1 or (cut and axis not in (None, *cut)):
                return ""
            axis = cut[0] if cut else axis
            part = _recipe(name, places[block] - first, shapes[source])
            if not part:
                return ""
            parts.append((int(block[axis or 0].min()), part))
            first += prod(shapes[source])
        if len(parts) == 1:
            return parts[0][1]
        return f"np.concatenate([{', '.join(part for _, part in sorted(parts))}], {1 + (axis or 0)})"


def _recipe(name: str, places: IntArray, shape: Shape) -> str:
    """``places`` of a map, counted in the order (c, h, w), as a view of it in numpy, (n, h, w, c)."""
    c, h, w = shape
    streamed = (places % (h * w) * c + places // (h * w)).ravel()
    digits = _digits(streamed)
    if digits is None or places.size != c * h * w:
        return ""
    order = sorted(range(len(digits)), key=lambda number: -digits[number][1])
    sizes = [digits[number][0] for number in order]
    if any(digits[number][1] != prod(sizes[at + 1 :]) for at, number in enumerate(order)) or streamed[0] != 0:
        return ""
    axes = [1 + order.index(number) for number in range(len(order))]
    moved, found = [sizes[axis - 1] for axis in axes], name
    if axes == sorted(axes) and places.shape == (h, w, c):
        return name
    if axes != sorted(axes):
        found += f"{_reshaped(sizes) if sizes != [h, w, c] else ''}.transpose(0, {', '.join(map(str, axes))})"
    return found + (_reshaped(places.shape) if list(places.shape) != moved or axes == sorted(axes) else "")


def _reshaped(sizes: Sequence[int]) -> str:
    return f".reshape(-1, {', '.join(map(str, sizes))})"


def _digits(numbers: IntArray) -> Digits | None:
    """A sequence as the sums of ever more digits' steps; ``None`` where it is none."""
    found: Digits = []
    while numbers.size > 1:
        steps = np.diff(numbers)
        others = np.flatnonzero(steps != steps[0])
        length = int(others[0]) + 1 if others.size else numbers.size
        if numbers.size % length:
            return None
        runs = numbers.reshape(-1, length)
        if np.any(runs != runs[:, :1] + steps[0] * np.arange(length)):
            return None
        found.insert(0, (length, int(steps[0])))
        numbers = runs[:, 0]
    return found


def restored(
    outputs: Sequence[ModelOutput], found: Sequence[np.ndarray], formats: Sequence[QFormat], shapes: Sequence[Shape]
) -> tuple[FloatArray, ...]:
    """The model's ``outputs``, (n, *dims) each, from what the hardware delivers of each of its own, (n, h, w, c).

    Integers are codes of its ``formats``, floats what they stand for. Without any ``outputs`` they are the maps as they
    are, (n, c, h, w). Raises ``ValueError`` for arrays that are not of these ``shapes``.
    """
    if len(found) != len(shapes):
        raise ValueError(f"{len(found)} outputs are given; the hardware has {len(shapes)}")
    for number, (array, (c, h, w)) in enumerate(zip(found, shapes, strict=True)):
        if array.shape[1:] != (h, w, c):
            raise ValueError(f"output {number} is given as {array.shape}; (n, {h}, {w}, {c}) is expected")
    reals = [q.reals(a) if a.dtype.kind in "iu" else a for a, q in zip(found, formats, strict=True)]
    chosen = outputs or [ModelOutput(shape, (number,)) for number, shape in enumerate(shapes)]
    return tuple(output.of(reals) for output in chosen)


def notes(outputs: Sequence[ModelOutput], names: Sequence[str], shapes: Sequence[Shape]) -> tuple[str, ...]:
    """What the user has to know of outputs that only together, or in another order, are the model's: a line for each.

    ``names`` and ``shapes`` are those of the hardware's outputs.
    """
    lines = []
    for number, output in enumerate(outputs):
        if not output.moved(shapes):
            continue
        which = "The model's output" if len(outputs) == 1 else f"Output {number} of the model"
        parts = ", ".join(f"`{names[source]}` ({'x'.join(map(str, shapes[source]))})" for source in output.sources)
        dims = ", ".join(map(str, output.dims))
        lines.append(
            f"{which}, (n, {dims}), is delivered as {parts}: what only moves values at the end is left away, and "
            f"`restore` does it{_in_numpy(output, shapes)}."
        )
    return tuple(lines)


def _in_numpy(output: ModelOutput, shapes: Sequence[Shape]) -> str:
    recipe = output.recipe(shapes)
    arrays = "y as" if len(output.sources) == 1 else "y0, y1, … as outputs 0, 1, …,"
    return f"; with {arrays} (n, h, w, c), it is {recipe}" if recipe else ""
