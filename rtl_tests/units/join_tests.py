"""What every unit must do that makes one stream of several, whatever it computes; run by its own test file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
from unit_bench import Bench, Case, Source, Stalls, always, rng_for, sometimes, unit_test

from cnn2rtl.hardware.timing import Beats, Join, Timing


class JoinCase(Case):
    """A case with a model of the unit and its timing."""

    timing: Timing
    """When beats leave, given when the merged ones are taken."""

    @property
    @abstractmethod
    def join(self) -> Join:
        """When beats are taken, as the schedule has it."""

    @property
    @abstractmethod
    def widths(self) -> Sequence[int]:
        """Bits per beat of each stream in."""

    @abstractmethod
    def frame(self, rng: Random) -> tuple[Sequence[list[int]], list[int]]:
        """The beats of a random frame, stream by stream, and those that must come of it."""

    def frames(self, rng: Random, count: int, offers: Sequence[Stalls]) -> tuple[list[Source], list[int]]:
        """Frames back to back, each stream with stalls of its own."""
        pairs = [self.frame(rng) for _ in range(count)]
        sources = [
            Source([beat for streams, _ in pairs for beat in streams[number]], bits, offer)
            for number, (bits, offer) in enumerate(zip(self.widths, offers, strict=True))
        ]
        return sources, [beat for _, beats in pairs for beat in beats]

    def check_cycles(self, sources: Sequence[Source], given: Sequence[int]) -> None:
        """Where the sink never waits, every beat moves in the cycle that the schedule counts on."""
        moved = self.join.merge([np.array(source.offered) for source in sources])
        for source, taken in zip(sources, self.join.split(moved), strict=True):
            assert source.taken == taken.tolist()
        assert given == self.timing(Beats(moved)).times.tolist()


@unit_test
async def random_stalls(dut: Any, case: Any) -> None:
    """Random pauses of each source by itself, of all, of the sink, and of everybody: only the order counts."""
    rng = rng_for(case, "stalls")
    bench = await Bench.start(dut)
    streams = range(len(case.widths))
    for slow in (*({number} for number in streams), {*streams}, set(), {*streams}):
        offers = [sometimes(rng) if number in slow else always for number in streams]
        sources, expected = case.frames(rng, 2, offers)
        await bench.run_all(sources, expected, sometimes(rng), rng=rng)


@unit_test
async def shy_sink(dut: Any, case: Any) -> None:
    """Valid must come without ready."""
    rng = rng_for(case, "shy")
    bench = await Bench.start(dut)
    await bench.run_all(*case.frames(rng, 1, [always for _ in case.widths]), rng=rng, shy=True)


@unit_test
async def full_speed(dut: Any, case: Any) -> None:
    """No stalls, three frames back to back: exactly the documented cycles, a beat in each."""
    rng = rng_for(case, "speed")
    bench = await Bench.start(dut)
    sources, expected = case.frames(rng, 3, [always for _ in case.widths])
    given = await bench.run_all(sources, expected, rng=rng)
    case.check_cycles(sources, given)
    assert given == list(range(given[0], given[0] + len(expected)))


@unit_test
async def gaps(dut: Any, case: Any) -> None:
    """Streams that pause, together or one at a time: beats leave in just the cycles that the schedule counts on."""
    rng = rng_for(case, "gaps")
    bench = await Bench.start(dut)
    streams = range(len(case.widths))
    for slow in (*({number} for number in streams), {*streams}):
        for seldom in (sometimes(rng), lambda: rng.random() < 0.1):
            sources, expected = case.frames(rng, 2, [seldom if number in slow else always for number in streams])
            case.check_cycles(sources, await bench.run_all(sources, expected, rng=rng))


@unit_test
async def reset_in_mid_frame(dut: Any, case: Any) -> None:
    """Reset while busy, at several moments; the frames after it must come out right."""
    rng = rng_for(case, "reset")
    bench = await Bench.start(dut)
    for _ in range(3):
        sources, expected = case.frames(rng, 1, [sometimes(rng) for _ in case.widths])
        moment = rng.randrange(2, 2 * len(expected) + 8)
        await bench.run_all(sources, expected, sometimes(rng), rng=rng, stop_after=moment)
        await bench.reset(rng.randint(1, 3), s_valid=rng.getrandbits(len(sources)))
    await bench.run_all(*case.frames(rng, 2, [always for _ in case.widths]), rng=rng)
