"""What every unit that computes on pairs of values must do: run by its own test file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import product
from random import Random
from typing import Any

import numpy as np
from join_tests import JoinCase
from unit_bench import Bench, Source, beats_of, random_codes, rng_for, unit_test

from cnn2rtl.hardware.timing import Join, Together
from cnn2rtl.quant.qformat import IntArray, QFormat

PIXELS = 8
"""Beats in a frame of the test."""


class PairCase(JoinCase):
    """A case on two streams of values, so many ``lanes`` of each."""

    lanes: int

    @property
    @abstractmethod
    def formats(self) -> tuple[QFormat, QFormat]:
        """Of the two streams' values."""

    @property
    @abstractmethod
    def out_w(self) -> int:
        """Bits per result."""

    @abstractmethod
    def results(self, a: IntArray, b: IntArray) -> IntArray:
        """What must come of values."""

    @property
    def join(self) -> Join:
        return Together(2)

    @property
    def widths(self) -> Sequence[int]:
        return [self.lanes * q.bits for q in self.formats]

    def beats(self, a: IntArray, b: IntArray) -> tuple[tuple[list[int], list[int]], list[int]]:
        """Beats in and out for values (beats, lanes)."""
        a_bits, b_bits = (q.bits for q in self.formats)
        return (beats_of(a, a_bits), beats_of(b, b_bits)), beats_of(self.results(a, b), self.out_w)

    def frame(self, rng: Random) -> tuple[Sequence[list[int]], list[int]]:
        a, b = (random_codes(rng, (PIXELS, self.lanes), q.bits, q.signed) for q in self.formats)
        return self.beats(a, b)


@unit_test
async def every_pair(dut: Any, case: Any) -> None:
    """All pairs of values there are (of those with many bits the extremes), in every lane."""
    rng = rng_for(case, "pairs")
    bench = await Bench.start(dut)
    values = [
        range(q.lo, q.hi + 1) if q.bits <= 4 else sorted({q.lo, -1 if q.signed else 1, 0, q.hi}) for q in case.formats
    ]
    pairs = np.array([*product(*values)])[:, :, None].repeat(case.lanes, 2)
    streams, expected = case.beats(pairs[:, 0], pairs[:, 1])
    sources = [Source(beats, bits) for beats, bits in zip(streams, case.widths, strict=True)]
    await bench.run_all(sources, expected, rng=rng)
