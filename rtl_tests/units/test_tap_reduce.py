"""Tap reduction: maximum and sum over a window that comes in beats of taps."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest
from simulation import Simulate
from stream_tests import StreamCase
from unit_bench import beats_of, random_codes

from cnn2rtl.hardware.timing import Pipeline, Timing

WINDOWS = 12
"""Windows in a frame."""


@dataclass(frozen=True)
class TapReduce(StreamCase):
    unit = "tap_reduce"
    max: int
    lanes: int
    taps: int
    steps: int
    bits: int
    signed: int
    out_bits: int

    @property
    def timing(self) -> Timing:
        return Pipeline(1 + max(1, (self.taps - 1).bit_length()), self.steps)

    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        values = random_codes(rng, (WINDOWS, self.steps, self.taps, self.lanes), self.bits, bool(self.signed))
        results = values.max((1, 2)) if self.max else values.sum((1, 2))
        return beats_of(values.reshape(-1, self.taps * self.lanes), self.bits), beats_of(results, self.out_bits)


CASES = (
    TapReduce(1, 1, 1, 1, 2, 0, 2),
    TapReduce(1, 3, 1, 9, 8, 1, 8),
    TapReduce(1, 2, 3, 3, 8, 0, 8),
    TapReduce(1, 5, 9, 1, 5, 1, 5),
    TapReduce(0, 1, 1, 4, 8, 0, 10),
    TapReduce(0, 3, 4, 4, 8, 1, 12),
    TapReduce(0, 2, 7, 7, 16, 1, 22),
    TapReduce(0, 4, 9, 1, 3, 0, 7),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tap_reduce(case: TapReduce, simulate: Simulate) -> None:
    simulate(case, "stream_tests")
