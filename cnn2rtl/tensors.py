"""Shapes, batches and clamps: the words in which all stages speak of tensors.

Feature maps are ``(channels, height, width)`` per image; batches are NHWC arrays ``(n, h, w, c)``,
the order in which the hardware streams them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from cnn2rtl.threads import side_by_side

BATCH = 4
"""Images in a network at once: they stay in the processor's cache."""

INPUT = "input"
"""What the network's input is called; several have the names of the model's own."""


Shape = tuple[int, int, int]


Codes = np.ndarray[tuple[int, ...], np.dtype[np.integer[Any]]]
"""What the network takes: images of raw pixels, or numbers of another format."""

FloatArray = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
"""A batch for several inputs is a structured array (n,), with a field (h, w, c) for each, by its name."""


def part(batch: np.ndarray, name: str) -> np.ndarray:
    """What the input ``name`` takes of ``batch``, (n, h, w, c)."""
    return batch if batch.dtype.names is None else batch[name]


def batch_of(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Codes (n, h, w, c) for each input, as many for all, as one batch."""
    if len(arrays) == 1:
        (codes,) = arrays.values()
        return codes
    count = len(next(iter(arrays.values())))
    batch = np.empty(count, [(name, codes.dtype, codes.shape[1:]) for name, codes in arrays.items()])
    for name, codes in arrays.items():
        batch[name] = codes
    return batch


def code_type(lo: int, hi: int) -> type[np.integer[Any]]:
    """The narrowest type of numpy's that has all codes from ``lo`` to ``hi``, which are of 16 bits at most."""
    types = (np.uint8, np.int8, np.uint16, np.int16)
    return next(kind for kind in types if np.iinfo(kind).min <= lo and hi <= np.iinfo(kind).max)


def in_batches(run: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """``run`` on ``images``, (n, h, w, c), a few at a time; it may be called by several threads at once."""
    parts = (images[start : start + BATCH] for start in range(0, max(len(images), 1), BATCH))
    return np.concatenate(side_by_side(run, parts))


def noise(
    shapes: Mapping[str, Shape], count: int, seed: int = 0, ends: Mapping[str, tuple[int, int]] | None = None
) -> np.ndarray:
    """So many images, of random raw pixels, for a network with inputs of these ``shapes``, by their names.

    Where ``ends`` tells other codes of an input, the smallest and the largest, it is these.
    """
    rng, found = np.random.default_rng(seed), {}
    for name, (c, h, w) in shapes.items():
        lo, hi = (ends or {}).get(name, (0, 255))
        found[name] = rng.integers(lo, hi, (count, h, w, c), code_type(lo, hi), endpoint=True)
    return batch_of(found)


def times(shape: Iterable[int]) -> str:
    """A shape as people write it: ``3x128x128``."""
    return "x".join(map(str, shape))


@dataclass(frozen=True)
class Clamp:
    """An activation that only limits: ReLU is ``Clamp(0, inf)``, ReLU6 ``Clamp(0, 6)``."""

    lo: float = -inf
    hi: float = inf

    def __call__(self, x: FloatArray) -> FloatArray:
        return np.clip(x, self.lo, self.hi)

    @property
    def flaw(self) -> str:
        """What no activation could be limited to; empty where one can. Either end may be open."""
        return "" if self.lo < inf and self.hi > -inf else f"limits its values to {self.lo:g} and {self.hi:g}"

    def then(self, other: Clamp) -> Clamp:
        """The clamp equal to applying this one first and ``other`` after it."""
        return Clamp(float(np.clip(self.lo, other.lo, other.hi)), float(np.clip(self.hi, other.lo, other.hi)))
