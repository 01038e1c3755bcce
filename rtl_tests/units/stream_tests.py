"""What every unit with one stream in and one stream out must do, whatever it computes; run by its own test file."""

from __future__ import annotations

from abc import abstractmethod
from random import Random
from typing import Any

import numpy as np
from unit_bench import Bench, Case, Transfers, always, rng_for, sometimes, unit_test

from cnn2rtl.hardware.timing import Beats, Timing


class StreamCase(Case):
    """A case with a model of the unit and its timing."""

    @property
    @abstractmethod
    def timing(self) -> Timing:
        """When beats are taken and when they leave, as the schedule has it."""

    @abstractmethod
    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        """The beats of a random frame, and those that must come of it."""

    def check_speed(self, done: Transfers, beats_in: int, beats_out: int) -> None:
        """What else is documented of the cycles of a stream without stalls, whose frames are so many beats in and out.

        That ``timing`` is right has been found by then.
        """


def frames(case: StreamCase, rng: Random, count: int) -> tuple[list[int], list[int]]:
    """Frames back to back."""
    pairs = [case.frame(rng) for _ in range(count)]
    return [beat for beats, _ in pairs for beat in beats], [beat for _, beats in pairs for beat in beats]


@unit_test
async def random_stalls(dut: Any, case: Any) -> None:
    """Random pauses of the source, of the sink, and of both: only the order of the beats counts."""
    rng = rng_for(case, "stalls")
    bench = await Bench.start(dut)
    for offer, accept in ((True, True), (True, False), (False, True)):
        await bench.run(
            *frames(case, rng, 2), sometimes(rng) if offer else always, sometimes(rng) if accept else always, rng=rng
        )


@unit_test
async def shy_sink(dut: Any, case: Any) -> None:
    """Valid must come without ready."""
    rng = rng_for(case, "shy")
    bench = await Bench.start(dut)
    await bench.run(*frames(case, rng, 1), rng=rng, shy=True)


@unit_test
async def full_speed(dut: Any, case: Any) -> None:
    """No stalls, three frames back to back: exactly the documented cycles."""
    rng = rng_for(case, "speed")
    bench = await Bench.start(dut)
    beats, expected = frames(case, rng, 3)
    done = await bench.run(beats, expected, rng=rng)
    offered = Beats(np.arange(len(beats)))
    taken = case.timing.taken(offered, None)
    assert (np.array(done.taken) <= (offered.times if taken is None else taken)).all()
    assert done.given == case.timing(Beats(np.array(done.taken))).times.tolist()
    case.check_speed(done, len(beats) // 3, len(expected) // 3)


@unit_test
async def gaps(dut: Any, case: Any) -> None:
    """Beats that come now and then leave in just the cycles that the schedule counts on."""
    rng = rng_for(case, "gaps")
    bench = await Bench.start(dut)
    for offer in (sometimes(rng), lambda: rng.random() < 0.1):
        done = await bench.run(*frames(case, rng, 2), offer, rng=rng)
        taken = np.array(done.taken) - done.taken[0]
        assert (np.array(done.given) - done.taken[0]).tolist() == case.timing(Beats(taken)).times.tolist()


@unit_test
async def reset_in_mid_frame(dut: Any, case: Any) -> None:
    """Reset while busy, at several moments; the frames after it must come out right."""
    rng = rng_for(case, "reset")
    bench = await Bench.start(dut)
    for _ in range(3):
        beats, expected = frames(case, rng, 1)
        moment = rng.randrange(2, 2 * max(len(beats), len(expected)) + 8)
        await bench.run(beats, expected, sometimes(rng), sometimes(rng), rng=rng, stop_after=moment)
        await bench.reset(rng.randint(1, 3), s_valid=rng.randrange(2))
    await bench.run(*frames(case, rng, 2), rng=rng)
