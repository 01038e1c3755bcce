"""Frame check: finds the last beat by itself, and notices a tlast that is early, late or missing."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge
from simulation import Simulate
from unit_bench import Case, rng_for, unit_test


@dataclass(frozen=True)
class FrameCheck(Case):
    unit = "frame_check"
    beats: int


async def send(dut: Any, rng: Random, tlasts: list[bool], frame: int) -> None:
    """Send beats from the start of a frame, with pauses, and compare ``last`` and ``error`` at each."""
    wrong = False
    for index, tlast in enumerate(tlasts):
        last = index % frame == frame - 1
        while True:
            beat = rng.random() < 0.6
            # Between beats, tlast means nothing.
            dut.beat.value, dut.tlast.value = int(beat), int(tlast) if beat else rng.randrange(2)
            await FallingEdge(dut.clk)
            assert int(dut.last.value) == last, f"last at beat {index}"
            assert int(dut.error.value) == wrong, f"error at beat {index}"
            await RisingEdge(dut.clk)
            if beat:
                break
        wrong = wrong or tlast != last
    dut.beat.value = 0
    await FallingEdge(dut.clk)
    assert int(dut.error.value) == wrong


@unit_test
async def notices_wrong_sizes(dut: Any, case: Any) -> None:
    rng = rng_for(case, "frames")
    Clock(dut.clk, 10, "ns").start()
    right = [index % case.beats == case.beats - 1 for index in range(3 * case.beats)]
    streams = [right]
    for _ in range(4):
        flipped = list(right)
        at = rng.randrange(len(flipped))
        flipped[at] = not flipped[at]
        streams.append(flipped)
    # The first stream once more: reset clears the error and the position.
    for tlasts in [*streams, streams[1][: case.beats + 1], right]:
        dut.rst.value, dut.beat.value = 1, rng.randrange(2)
        await RisingEdge(dut.clk)
        await RisingEdge(dut.clk)
        dut.rst.value = 0
        await send(dut, rng, tlasts, case.beats)


CASES = (FrameCheck(1), FrameCheck(2), FrameCheck(3), FrameCheck(16), FrameCheck(37))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_frame_check(case: FrameCheck, simulate: Simulate) -> None:
    simulate(case)
