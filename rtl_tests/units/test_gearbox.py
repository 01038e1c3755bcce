"""Gearbox: elements keep their order, groups stay apart."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from random import Random

import pytest
from simulation import Simulate
from stream_tests import StreamCase
from unit_bench import Transfers, beats_of, in_lanes, random_codes

from cnn2rtl.hardware import timing as cycles
from cnn2rtl.hardware.unit import ceil_div

GROUPS = 5
"""Groups in a frame: more than the unit can hold."""


@dataclass(frozen=True)
class Gearbox(StreamCase):
    unit = "gearbox"
    element_w: int
    count: int
    in_lanes: int
    out_lanes: int

    @property
    def timing(self) -> cycles.Timing:
        if self.in_lanes == self.out_lanes:
            return cycles.Pipeline(0)
        return cycles.Gearbox(self.count, self.in_lanes, self.out_lanes)

    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        values = random_codes(rng, (GROUPS, self.count), self.element_w, False)
        taken, given = (beats_of(in_lanes(values, n), self.element_w) for n in (self.in_lanes, self.out_lanes))
        return taken, given

    def check_speed(self, done: Transfers, beats_in: int, beats_out: int) -> None:
        """The side with more beats per group moves one in every cycle, and never waits between groups."""
        latency = 0 if self.in_lanes == self.out_lanes else 1
        per_group = beats_in // GROUPS, beats_out // GROUPS
        first_full = ceil_div(min(self.out_lanes, self.count), self.in_lanes) - 1
        assert done.given[0] == done.taken[first_full] + latency
        if per_group[0] >= per_group[1]:
            assert done.taken == list(range(len(done.taken)))
        else:
            assert done.given == list(range(done.given[0], done.given[0] + len(done.given)))
        ends = done.given[per_group[1] - 1 :: per_group[1]]
        assert {b - a for a, b in pairwise(ends)} == {max(per_group)}


CASES = (
    Gearbox(8, 1, 1, 1),
    Gearbox(8, 4, 1, 4),
    Gearbox(8, 4, 4, 1),
    Gearbox(1, 5, 2, 3),
    Gearbox(3, 7, 3, 2),
    Gearbox(5, 1, 1, 3),
    Gearbox(5, 1, 3, 1),
    Gearbox(5, 3, 8, 2),
    Gearbox(2, 10, 4, 6),
    Gearbox(8, 99, 7, 11),
    Gearbox(16, 12, 6, 4),
    Gearbox(24, 9, 9, 4),
    Gearbox(13, 50, 25, 2),
    Gearbox(4, 198, 18, 11),
    Gearbox(8, 11, 16, 3),
    Gearbox(8, 27, 27, 5),
    Gearbox(7, 13, 5, 13),
    Gearbox(8, 6, 3, 3),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gearbox(case: Gearbox, simulate: Simulate) -> None:
    simulate(case, "stream_tests")
