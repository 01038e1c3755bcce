"""Pixels that move, as in :mod:`~cnn2rtl.ops.resample` and :mod:`~cnn2rtl.ops.depth_to_space`: where from, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cnn2rtl.hardware.timing import ALWAYS, Beats, Rows, one_by_one
from cnn2rtl.hardware.window import Array
from cnn2rtl.quant.qformat import IntArray

CONSTANT = 0xFFFF
"""What stands for the constant in the tables of the unit; so many rows and columns are too many."""


@dataclass(frozen=True)
class Sources:
    """Where each row and column of a result comes from; -1 is the constant.

    A pixel of the map may hold ``block`` (y, x) finer ones, which ``rows`` and ``columns`` count then.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    block: tuple[int, int] = (1, 1)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the result."""
        return len(self.rows), len(self.columns)

    @property
    def constant(self) -> bool:
        """Whether some pixels are the constant."""
        return min(*self.rows, *self.columns) < 0

    def check(self, height: int, width: int) -> None:
        """Raise ``ValueError`` where a map of this size has not what is asked for."""
        for what, chosen, count, block in (
            ("rows", self.rows, height, self.block[0]),
            ("columns", self.columns, width, self.block[1]),
        ):
            if not chosen or min(chosen) < -1 or max(chosen) >= count * block or count * block >= CONSTANT:
                raise ValueError(f"takes {what} {chosen} of {count * block}")

    def take(self, x: Array, constant: Array | float) -> Array:
        """The result of a map (n, h, w, c) on the fine grid; ``constant`` is a number, or one per channel."""
        rows, columns = np.array(self.rows), np.array(self.columns)
        taken: Any = np.ascontiguousarray(x[:, rows][:, :, columns])
        if self.constant:
            taken[:, rows < 0] = constant
            taken[:, :, columns < 0] = constant
        result: Array = taken
        return result

    @cached_property
    def places(self) -> tuple[IntArray, IntArray]:
        """The rows and columns of the map, coarse ones, that hold them; 0 for the constant."""
        rows, columns = (np.maximum(np.array(chosen), 0) for chosen in (self.rows, self.columns))
        return rows // self.block[0], columns // self.block[1]

    def needed(self, width: int) -> IntArray:
        """Which pixel of the map, in raster order, each pixel of the result waits for, (pixels,)."""
        rows, columns = self.places
        needed = rows[:, None] * width + columns
        needed[np.array(self.rows) < 0] = 0
        needed[:, np.array(self.columns) < 0] = 0
        return needed.ravel()

    def given_up(self, height: int) -> IntArray:
        """Rows of the map that are given up before each row of the result, and in the end, (h_out + 1,)."""
        rows = np.where(np.array(self.rows) < 0, height, self.places[0])
        return np.minimum.accumulate(np.append(rows, height)[::-1])[::-1]


@dataclass(frozen=True)
class Moving(Rows):
    """A ring of ``rows`` rows of maps of ``size`` (h, w), whose results leave in ``folds`` beats per pixel.

    Pixels begin ``spacing`` cycles apart at least. ``patient`` says that the unit ahead may wait for room: one that
    stands still with gaps in it must not.
    """

    sources: Sources
    size: tuple[int, int]
    folds: int
    rows: int
    spacing: int = 1
    patient: bool = True

    LATENCY = 5
    STAGES = 4
    """Of the pipeline that reads."""

    @property
    def pixel_beats(self) -> int:
        """Beats per pixel of the map."""
        return self.folds * self.sources.block[0] * self.sources.block[1]

    def __call__(self, offered: Beats) -> Beats:
        complete = offered.times[self.pixel_beats - 1 :: self.pixel_beats].reshape(-1, self.size[0] * self.size[1])
        ready = complete[:, self._needed].ravel() + self.LATENCY
        return Beats(one_by_one(ready, max(self.folds, self.spacing)), self.folds)

    def taken(self, offered: Beats, released: IntArray | None) -> IntArray | None:
        return one_by_one(np.maximum(offered.times, self._room(self(offered).start)))

    def fitted(self, offered: Beats, held_up: Callable[[IntArray], Beats], pace: int) -> Moving:
        """The same for a layer that takes a pixel in ``pace`` cycles, with as few rows as will do for none to wait."""
        spaced = replace(self, spacing=pace if pace >= self.folds - 1 + self.STAGES else 1)
        starts = spaced(offered).start
        rows = spaced.least
        while True:
            found = replace(spaced, rows=rows)
            room = found._room(starts)
            if not self.patient and np.all(room <= offered.times):
                return found
            if self.patient and np.array_equal(found(held_up(room)).start, starts):
                return found
            rows += 1

    @property
    def least(self) -> int:
        """With fewer rows, some pixel never finds room."""
        rows = np.where(np.array(self.sources.rows) < 0, 0, self.sources.places[0] - self._given_up[:-1])
        return max(1, int(rows.max()) + 1)

    @cached_property
    def _needed(self) -> IntArray:
        return self.sources.needed(self.size[1])

    @cached_property
    def _given_up(self) -> IntArray:
        return self.sources.given_up(self.size[0])

    def _room(self, starts: IntArray) -> IntArray:
        """From when on there is room for each beat of the map, given when the pixels of the result leave."""
        (height, width), (rows, columns) = self.size, self.sources.size
        # A row gives up others as its last beat is read, which is known a cycle after the pipeline moves again.
        known = starts.reshape(-1, columns)[:, -1] + self.folds - self.STAGES + 1
        frames = starts.size // (rows * columns)
        # Pixels before this one may come; the first entry is what holds before any row has left.
        before = (np.arange(frames)[:, None] * height + self._given_up[:-1]).ravel()
        limit = (self.rows + np.append(before, frames * height + self._given_up[0])) * width
        row = np.searchsorted(limit, np.arange(frames * height * width), "right")
        return np.repeat(np.concatenate([[ALWAYS], known])[row], self.pixel_beats)
