"""Requantisation: equal to the Python definition for every accumulator of small widths, and in its cycles."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

import numpy as np
import pytest
from simulation import Simulate
from stream_tests import StreamCase
from unit_bench import Bench, beats_of, in_lanes, random_codes, rng_for, unit_test

from cnn2rtl.hardware import units
from cnn2rtl.hardware.timing import Pipeline, Timing
from cnn2rtl.hardware.unit import Instance, ParameterValue, Rom
from cnn2rtl.quant.layers import QuantLayer
from cnn2rtl.quant.qformat import MULTIPLIER_BITS, IntArray, QFormat, Requant


@dataclass(frozen=True)
class Requantise(StreamCase):
    unit = "requantise"
    channels: int
    lanes: int
    acc_bits: int
    shifts: tuple[int, int]  # smallest and largest
    q_bits: int = 8
    q_signed: bool = False
    clamp: tuple[int, int] | None = None
    acc_signed: bool = True
    pre_shift: int = 0
    scale: bool = False
    bias: int = 20  # largest magnitude
    zero: int = 0

    @cached_property
    def layer(self) -> QuantLayer:
        rng = np.random.default_rng(zlib.crc32(str(self).encode()))
        acc, out = QFormat.full(self.acc_bits, self.acc_signed, 1.0), QFormat.full(self.q_bits, self.q_signed, 1.0)
        lo, hi = self.clamp or (out.lo, out.hi)
        shift = rng.integers(self.shifts[0], self.shifts[1] + 1, self.channels)
        shift[0], shift[-1] = self.shifts
        if self.scale:
            multiplier = rng.integers(1 << (MULTIPLIER_BITS - 1), 1 << MULTIPLIER_BITS, self.channels)
            multiplier[-1] = (1 << MULTIPLIER_BITS) - 1
        else:
            multiplier = np.full(self.channels, 1 << self.pre_shift)
        return QuantLayer(
            source=acc,
            out=out,
            bias=rng.integers(-self.bias, self.bias + 1, self.channels),
            requant=Requant(multiplier, shift, lo, hi, MULTIPLIER_BITS if self.scale else 0, self.zero),
            acc_lo=np.full(self.channels, acc.lo),
            acc_hi=np.full(self.channels, acc.hi),
        )

    @cached_property
    def _built(self) -> tuple[Instance, Rom]:
        return units.requantise(
            self.layer, channels=self.channels, lanes=self.lanes, acc_bits=self.acc_bits, acc_signed=self.acc_signed
        )

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        return self._built[0].parameters

    @property
    def roms(self) -> Mapping[str, Rom]:
        return {"requant": self._built[1]}

    def beats(self, acc: IntArray) -> tuple[list[int], list[int]]:
        """Beats in and out for accumulators (pixels, channels); zero in spare lanes gives what the ROM says there."""
        requant, bias = self.layer.requant, self.layer.bias
        assert requant is not None and bias is not None
        codes = in_lanes(requant(acc + bias), self.lanes)
        spare = codes.shape[-1] * codes.shape[-2] - self.channels
        if spare:
            # Spare lanes hold no channel: bias, multiplier and shift are 0 there, and the zero point is clamped.
            codes[:, -1, self.lanes - spare :] = min(max(requant.zero, requant.lo), requant.hi)
        return beats_of(in_lanes(acc, self.lanes), self.acc_bits), beats_of(codes, self.q_bits)

    @property
    def timing(self) -> Timing:
        return Pipeline(5 if self.scale else 4)

    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        return self.beats(random_codes(rng, (8, self.channels), self.acc_bits, self.acc_signed))


@unit_test
async def every_accumulator(dut: Any, case: Any) -> None:
    """All accumulators there are, in every channel (a random 1,000 where they are too many)."""
    rng = rng_for(case, "every")
    bench = await Bench.start(dut)
    if case.acc_bits <= 10:
        acc = np.arange(case.layer.source.lo, case.layer.source.hi + 1)[:, None] + np.zeros(case.channels, np.int64)
    else:
        acc = random_codes(rng, (1000, case.channels), case.acc_bits, case.acc_signed)
    await bench.run(*case.beats(acc), rng=rng)


CASES = (
    Requantise(1, 1, 2, (0, 0), q_bits=2, bias=0),
    Requantise(5, 5, 8, (0, 6)),
    Requantise(5, 2, 9, (1, 4), q_bits=4, clamp=(0, 11)),
    Requantise(6, 3, 10, (3, 3), q_signed=True),
    Requantise(4, 4, 7, (0, 3), q_bits=10, q_signed=True, pre_shift=3),
    Requantise(3, 3, 8, (2, 9), q_bits=6, pre_shift=4, clamp=(-1, 40), q_signed=True),
    Requantise(4, 2, 8, (5, 5), acc_signed=False, q_bits=4),
    Requantise(3, 3, 6, (2, 2), acc_signed=False, q_bits=5, pre_shift=5, bias=0),
    Requantise(5, 5, 8, (12, 19), scale=True),
    Requantise(5, 3, 10, (14, 18), scale=True, q_signed=True, q_bits=7),
    Requantise(4, 4, 9, (17, 17), scale=True, acc_signed=False, q_bits=8, clamp=(0, 96)),
    Requantise(2, 2, 6, (1, 16), scale=True, q_bits=16, bias=3),
    Requantise(1, 1, 9, (16, 16), scale=True, q_bits=2, q_signed=True),
    Requantise(7, 4, 28, (10, 25), scale=True, q_bits=16, q_signed=True, bias=1 << 20),
    Requantise(7, 4, 40, (20, 31), q_bits=16, q_signed=True, bias=1 << 33),
    Requantise(9, 2, 24, (0, 12), q_bits=8, clamp=(3, 200), bias=1 << 12),
    Requantise(3, 1, 8, (30, 45), scale=True),
    Requantise(5, 3, 9, (13, 17), scale=True, q_signed=True, zero=-37),
    Requantise(3, 3, 8, (0, 3), q_signed=True, pre_shift=3, clamp=(-100, 90), zero=101),
    Requantise(2, 1, 10, (1, 5), q_bits=4, zero=15),
    Requantise(4, 2, 7, (2, 4), q_bits=16, q_signed=True, zero=-32768, acc_signed=False),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_requantise(case: Requantise, simulate: Simulate) -> None:
    simulate(case, "stream_tests,test_requantise")
