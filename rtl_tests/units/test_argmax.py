"""Arg max: the index of the largest number, the first one of equals."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest
from simulation import Simulate
from stream_tests import StreamCase
from unit_bench import beats_of, random_codes

from cnn2rtl.hardware.timing import Pipeline, Timing

FRAMES = 8
"""Searches in a frame of the test."""


@dataclass(frozen=True)
class ArgMax(StreamCase):
    unit = "argmax"
    lanes: int
    beats: int
    bits: int
    signed: int
    index_bits: int

    @property
    def timing(self) -> Timing:
        return Pipeline(1 + max(1, (self.lanes - 1).bit_length()), self.beats)

    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        values = random_codes(rng, (FRAMES, self.beats, self.lanes), self.bits, bool(self.signed))
        indices = values.reshape(FRAMES, -1).argmax(1)
        return beats_of(values, self.bits), indices.tolist()


CASES = (
    ArgMax(1, 1, 8, 0, 1),
    ArgMax(1, 10, 16, 1, 16),
    ArgMax(1, 11, 8, 1, 4),
    ArgMax(5, 3, 2, 1, 4),
    ArgMax(8, 1, 3, 0, 3),
    ArgMax(3, 7, 12, 0, 9),
    ArgMax(11, 1, 6, 1, 8),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_argmax(case: ArgMax, simulate: Simulate) -> None:
    simulate(case, "stream_tests")
