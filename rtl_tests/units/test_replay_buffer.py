"""Replay buffer: each vector as often as asked, without a pause."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from random import Random

import pytest
from simulation import Simulate
from stream_tests import StreamCase
from unit_bench import Transfers

from cnn2rtl.hardware.timing import Pipeline, Replay, Timing

VECTORS = 7
"""Vectors in a frame: more than the unit can hold."""


@dataclass(frozen=True)
class ReplayBuffer(StreamCase):
    unit = "replay_buffer"
    width: int
    words: int
    repeat: int

    @property
    def timing(self) -> Timing:
        return Pipeline(0) if self.repeat == 1 else Replay(self.words, self.repeat)

    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        vectors = [[rng.getrandbits(self.width) for _ in range(self.words)] for _ in range(VECTORS)]
        shown = [vector * self.repeat for vector in vectors]
        return list(chain(*vectors)), list(chain(*shown))

    def check_speed(self, done: Transfers, beats_in: int, beats_out: int) -> None:
        start = done.taken[0] + (0 if self.repeat == 1 else 2)
        assert done.given == list(range(start, start + len(done.given)))


CASES = tuple(
    ReplayBuffer(width, words, repeat)
    for width, words, repeat in (
        (8, 1, 1), (8, 4, 1), (8, 1, 2), (1, 1, 3), (5, 2, 2), (16, 3, 2), (8, 2, 3), (7, 1, 8), (8, 1, 9),
        (33, 5, 4), (64, 8, 2), (4, 16, 3),
    )
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_replay_buffer(case: ReplayBuffer, simulate: Simulate) -> None:
    simulate(case, "stream_tests")
