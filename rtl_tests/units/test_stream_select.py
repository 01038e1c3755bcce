"""Channels picked: every beat and lane, dropped beats, repeated channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from simulation import Simulate
from stream_tests import StreamCase
from unit_bench import beats_of, random_codes

from cnn2rtl.hardware.timing import Picked, Timing
from cnn2rtl.hardware.unit import Bits, ParameterValue, pack

PIXELS = 6


@dataclass(frozen=True)
class StreamSelect(StreamCase):
    unit = "stream_select"
    bits: int
    in_lanes: int
    keep: tuple[bool, ...]
    lanes: tuple[int, ...]

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        beats, outputs = len(self.keep), len(self.lanes)
        return {
            "BITS": self.bits, "IN_LANES": self.in_lanes, "OUT_LANES": outputs, "BEATS": beats,
            "KEEP": Bits(beats, pack(np.array([self.keep], np.int64), 1)[0]),
            "LANES": Bits(16 * outputs, pack(np.array([self.lanes]), 16)[0]),
        }  # fmt: skip

    @property
    def timing(self) -> Timing:
        return Picked(self.keep)

    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        codes = random_codes(rng, (PIXELS, len(self.keep), self.in_lanes), self.bits, False)
        kept = codes[:, np.flatnonzero(self.keep)][..., list(self.lanes)]
        return beats_of(codes, self.bits), beats_of(kept, self.bits)


CASES = (
    StreamSelect(8, 1, (True,), (0,)),
    StreamSelect(8, 1, (False, True, True), (0,)),
    StreamSelect(5, 6, (True,), (5, 0, 0, 3, 2)),
    StreamSelect(3, 4, (True, False, False, True, False), (1, 2)),
    StreamSelect(16, 2, (False, True), (1, 0, 1)),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_stream_select(case: StreamSelect, simulate: Simulate) -> None:
    simulate(case, "stream_tests")
