"""Tile reduction: maximum and sum over windows side by side; pixels beyond the last whole tile count for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest
from simulation import Simulate
from stream_tests import StreamCase
from unit_bench import beats_of, random_codes

from cnn2rtl.hardware.timing import Tiles, Timing


@dataclass(frozen=True)
class TileReduce(StreamCase):
    unit = "tile_reduce"
    max: int
    lanes: int
    folds: int
    in_h: int
    in_w: int
    tile_y: int
    tile_x: int
    bits: int
    signed: int
    out_bits: int

    @property
    def grid(self) -> tuple[int, int]:
        return self.in_h // self.tile_y, self.in_w // self.tile_x

    @property
    def timing(self) -> Timing:
        return Tiles((self.in_h, self.in_w), (self.tile_y, self.tile_x), self.folds)

    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        image = random_codes(rng, (self.in_h, self.in_w, self.folds, self.lanes), self.bits, bool(self.signed))
        rows, columns = self.grid
        whole = image[: rows * self.tile_y, : columns * self.tile_x]
        tiles = whole.reshape(rows, self.tile_y, columns, self.tile_x, self.folds, self.lanes)
        results = tiles.max((1, 3)) if self.max else tiles.sum((1, 3))
        return beats_of(image, self.bits), beats_of(results, self.out_bits)


CASES = (
    TileReduce(1, 1, 1, 1, 1, 1, 1, 8, 0, 8),
    TileReduce(1, 1, 1, 8, 8, 2, 2, 8, 1, 8),
    TileReduce(1, 3, 2, 7, 5, 2, 2, 8, 1, 8),
    TileReduce(1, 2, 3, 6, 9, 3, 2, 4, 0, 4),
    TileReduce(0, 1, 1, 4, 4, 4, 4, 8, 0, 12),
    TileReduce(0, 4, 5, 3, 5, 3, 5, 8, 1, 12),
    TileReduce(0, 2, 1, 5, 7, 2, 3, 16, 1, 19),
    TileReduce(1, 1, 2, 5, 1, 2, 1, 2, 0, 2),
    TileReduce(0, 1, 4, 1, 9, 1, 2, 3, 0, 4),
    TileReduce(1, 5, 1, 6, 6, 1, 3, 8, 1, 8),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tile_reduce(case: TileReduce, simulate: Simulate) -> None:
    simulate(case, "stream_tests")
