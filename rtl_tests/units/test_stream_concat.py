"""Concatenation: all beats of a turn of each stream behind each other, none lost, none taken early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from join_tests import JoinCase
from simulation import Simulate
from unit_bench import Bench, always, rng_for, unit_test

from cnn2rtl.hardware.timing import InTurn, Join, Pipeline
from cnn2rtl.hardware.unit import Counts, ParameterValue

TURNS = 3
"""Turns of every stream in a frame of the test."""


@dataclass(frozen=True)
class StreamConcat(JoinCase):
    unit = "stream_concat"
    timing = Pipeline(0)
    width: int
    beats: tuple[int, ...]

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        inputs = len(self.beats)
        return {"INPUTS": inputs, "WIDTH": self.width, "BEATS": Counts.of(self.beats)}

    @property
    def join(self) -> Join:
        return InTurn(self.beats)

    @property
    def widths(self) -> Sequence[int]:
        return [self.width] * len(self.beats)

    def frame(self, rng: Random) -> tuple[Sequence[list[int]], list[int]]:
        streams: list[list[int]] = [[] for _ in self.beats]
        joined: list[int] = []
        for _ in range(TURNS):
            for stream, count in zip(streams, self.beats, strict=True):
                stream += [rng.getrandbits(self.width) for _ in range(count)]
                joined += stream[-count:]
        return streams, joined


@unit_test
async def others_wait(dut: Any, case: Any) -> None:
    """Where one stream never comes, the others get no further than to its turn."""
    rng = rng_for(case, "wait")
    bench = await Bench.start(dut)
    for missing in range(len(case.beats)):
        offers = [(lambda: False) if number == missing else always for number in range(len(case.beats))]
        sources, expected = case.frames(rng, 1, offers)
        before = [count if number < missing else 0 for number, count in enumerate(case.beats)]
        given = await bench.run_all(sources, expected, rng=rng, stop_after=sum(before) + 20)
        assert [len(source.taken) for source in sources] == before
        assert len(given) == sum(before)
        await bench.reset()


CASES = (
    StreamConcat(8, (1, 1)),
    StreamConcat(1, (1, 2)),
    StreamConcat(8, (3, 1)),
    StreamConcat(5, (7, 8)),
    StreamConcat(16, (1, 1, 1)),
    StreamConcat(3, (2, 5, 1)),
    StreamConcat(40, (1, 4, 2, 3)),
    StreamConcat(1, (1, 1, 1, 16)),
    StreamConcat(9, (33, 2)),
    StreamConcat(2, (1, 300)),  # whole frames
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_stream_concat(case: StreamConcat, simulate: Simulate) -> None:
    simulate(case, "join_tests,test_stream_concat")
