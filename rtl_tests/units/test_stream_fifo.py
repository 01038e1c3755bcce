"""Stream FIFO: order, latency, rate and room."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from simulation import Simulate
from stream_tests import StreamCase
from unit_bench import Bench, always, rng_for, unit_test

from cnn2rtl.hardware.timing import FIFO, Timing


@dataclass(frozen=True)
class StreamFifo(StreamCase):
    unit = "stream_fifo"
    width: int
    depth: int

    @property
    def timing(self) -> Timing:
        return FIFO

    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        beats = [rng.getrandbits(self.width) for _ in range(3 * self.depth + 5)]
        return beats, beats


@unit_test
async def room(dut: Any, case: Any) -> None:
    """A sink that takes nothing finds DEPTH + 1 beats waiting, and not one more was taken in."""
    rng = rng_for(case, "room")
    bench = await Bench.start(dut)
    beats, expected = case.frame(rng)
    done = await bench.run(beats, expected, always, lambda: False, rng=rng, stop_after=2 * len(beats))
    assert (len(done.taken), len(done.given)) == (case.depth + 1, 0)


CASES = (StreamFifo(8, 2), StreamFifo(1, 3), StreamFifo(5, 4), StreamFifo(40, 16), StreamFifo(9, 21))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_stream_fifo(case: StreamFifo, simulate: Simulate) -> None:
    simulate(case, "stream_tests,test_stream_fifo")
