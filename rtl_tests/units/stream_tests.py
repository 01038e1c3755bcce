"""What every unit with one stream in and one stream out must do, whatever it computes; run by its own test file."""

from __future__ import annotations

from abc import abstractmethod
from random import Random
from typing import Any

import cocotb
from unit_bench import Bench, Case, Transfers, always, current_case, rng_for, sometimes


class StreamCase(Case):
    """A case with a model of the unit and its timing."""

    @abstractmethod
    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        """The beats of a random frame, and those that must come of it."""

    @abstractmethod
    def check_speed(self, done: Transfers, beats_in: int, beats_out: int) -> None:
        """Hold the frames of a stream without stalls, each so many beats in and out, to the documented cycles."""


def frames(case: StreamCase, rng: Random, count: int) -> tuple[list[int], list[int]]:
    """Frames back to back."""
    pairs = [case.frame(rng) for _ in range(count)]
    return [beat for beats, _ in pairs for beat in beats], [beat for _, beats in pairs for beat in beats]


@cocotb.test()
async def random_stalls(dut: Any) -> None:
    """Random pauses of the source, of the sink, and of both: only the order of the beats counts."""
    case, rng = current_case(), rng_for("stalls")
    bench = await Bench.start(dut)
    for offer, accept in ((True, True), (True, False), (False, True)):
        await bench.run(
            *frames(case, rng, 2), sometimes(rng) if offer else always, sometimes(rng) if accept else always, rng=rng
        )


@cocotb.test()
async def shy_sink(dut: Any) -> None:
    """Valid must come without ready."""
    case, rng = current_case(), rng_for("shy")
    bench = await Bench.start(dut)
    await bench.run(*frames(case, rng, 1), rng=rng, shy=True)


@cocotb.test()
async def full_speed(dut: Any) -> None:
    """No stalls, three frames back to back: exactly the documented cycles."""
    case, rng = current_case(), rng_for("speed")
    bench = await Bench.start(dut)
    beats, expected = frames(case, rng, 3)
    done = await bench.run(beats, expected, rng=rng)
    case.check_speed(done, len(beats) // 3, len(expected) // 3)


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """Reset while busy, at several moments; the frames after it must come out right."""
    case, rng = current_case(), rng_for("reset")
    bench = await Bench.start(dut)
    for _ in range(3):
        beats, expected = frames(case, rng, 1)
        moment = rng.randrange(2, 2 * max(len(beats), len(expected)) + 8)
        await bench.run(beats, expected, sometimes(rng), sometimes(rng), rng=rng, stop_after=moment)
        await bench.reset(rng.randint(1, 3), s_valid=rng.randrange(2))
    await bench.run(*frames(case, rng, 2), rng=rng)
