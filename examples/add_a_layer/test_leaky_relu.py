"""Leaky ReLU: exactly one term per number, in its cycles, for signed and unsigned numbers of many widths."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from simulation import Simulate
from stream_tests import StreamCase
from unit_bench import beats_of, random_codes

from cnn2rtl.hardware.timing import Pipeline, Timing

BEATS = 40
"""Beats in a frame."""


@dataclass(frozen=True)
class LeakyRelu(StreamCase):
    unit = "leaky_relu"
    lanes: int
    bits: int
    signed: int
    slope_shift: int

    @property
    def timing(self) -> Timing:
        return Pipeline(1)

    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        values = random_codes(rng, (BEATS, self.lanes), self.bits, bool(self.signed))
        results = np.where(values < 0, values, values * 2**self.slope_shift)
        return beats_of(values, self.bits), beats_of(results, self.bits + self.slope_shift)


CASES = (
    LeakyRelu(1, 2, 1, 1),
    LeakyRelu(1, 8, 1, 3),
    LeakyRelu(5, 8, 1, 8),
    LeakyRelu(3, 4, 0, 2),
    LeakyRelu(2, 16, 1, 7),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_leaky_relu(case: LeakyRelu, simulate: Simulate) -> None:
    simulate(case, "stream_tests")
