"""Multiply-accumulate array with its weight ROM and adder tree: exact sums, one beat per cycle."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np
import pytest
from simulation import Simulate
from stream_tests import StreamCase
from unit_bench import beats_of, random_codes

from cnn2rtl.hardware import units
from cnn2rtl.hardware.timing import Timing
from cnn2rtl.hardware.unit import ParameterValue, Rom, RomFile, pack
from cnn2rtl.quant.qformat import IntArray, QFormat, signed_bits


@dataclass(frozen=True)
class MacArray(StreamCase):
    unit = "mac_array"
    pe: int
    simd: int
    steps: int
    outputs: int  # groups of PE outputs before the weights repeat
    shared: bool = True
    a_bits: int = 8
    a_signed: bool = False
    w_bits: int = 8
    spare_bits: int = 0  # of the accumulator, beyond what the weights need
    style: int = 0

    @cached_property
    def weights(self) -> IntArray:
        """(outputs, steps, pe, simd)"""
        rng = Random(zlib.crc32(str(self).encode()))
        return random_codes(rng, (self.outputs, self.steps, self.pe, self.simd), self.w_bits, True)

    @property
    def acc_bits(self) -> int:
        source = QFormat.full(self.a_bits, self.a_signed, 1.0)
        up, down = (part.sum((1, 3)) for part in (np.maximum(self.weights, 0), np.minimum(self.weights, 0)))
        low, high = up * source.lo + down * source.hi, up * source.hi + down * source.lo
        return signed_bits(int(low.min()), int(high.max())) + self.spare_bits

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        return {
            "PE": self.pe, "SIMD": self.simd, "SHARED": int(self.shared), "STEPS": self.steps, "STYLE": self.style,
            "A_BITS": self.a_bits, "A_SIGNED": int(self.a_signed), "W_BITS": self.w_bits, "ACC_W": self.acc_bits,
            "WEIGHT_WORDS": self.outputs * self.steps, "WEIGHT_FILE": RomFile("weights"),
        }  # fmt: skip

    @property
    def roms(self) -> Mapping[str, Rom]:
        flat = self.weights.reshape(self.outputs * self.steps, -1)
        return {"weights": Rom(self.pe * self.simd * self.w_bits, pack(flat, self.w_bits))}

    @property
    def timing(self) -> Timing:
        return units.mac_timing(simd=self.simd, steps=self.steps, weight_bits=self.w_bits, style=self.style)

    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        """A few pixels, each all the outputs there are weights for."""
        pixels, pes = 3, 1 if self.shared else self.pe
        a = random_codes(rng, (pixels, self.outputs, self.steps, self.simd, pes), self.a_bits, self.a_signed)
        # The first pixel meets every weight with the activation that drives the sum highest.
        source = QFormat.full(self.a_bits, self.a_signed, 1.0)
        a[0] = np.where(self.weights.sum(2, keepdims=True).swapaxes(2, 3) > 0, source.hi, source.lo)
        sums = np.einsum("xostp,ostp->xop", np.broadcast_to(a, (*a.shape[:-1], self.pe)), self.weights.swapaxes(2, 3))
        return beats_of(a.reshape(-1, self.simd * pes), self.a_bits), beats_of(sums, self.acc_bits)


CASES = (
    MacArray(1, 1, 1, 1),
    MacArray(1, 1, 9, 3, w_bits=2, a_bits=2),
    MacArray(2, 3, 5, 2),
    MacArray(3, 2, 4, 1, shared=False),
    MacArray(4, 9, 1, 2, shared=False, a_signed=True, w_bits=5),
    MacArray(3, 5, 3, 3, a_signed=True, a_bits=4, w_bits=3),
    MacArray(2, 4, 7, 1, a_bits=16, w_bits=16, a_signed=True),
    MacArray(1, 8, 2, 5, a_bits=1, w_bits=2),
    MacArray(5, 1, 6, 1, w_bits=6, spare_bits=7),
    MacArray(1, 7, 1, 1, a_bits=3, w_bits=12, spare_bits=9),
    MacArray(11, 3, 2, 4, a_bits=7, w_bits=7),
    MacArray(8, 16, 3, 2, a_bits=4, w_bits=4),
    MacArray(4, 2, 3, 2, style=1),
    MacArray(5, 1, 9, 1, style=1, a_signed=True),
    MacArray(1, 3, 1, 2, style=1, a_bits=4, w_bits=4),
    MacArray(3, 2, 2, 1, style=1, a_bits=16, w_bits=16, a_signed=True),
    MacArray(2, 5, 2, 2, style=2),
    MacArray(3, 1, 4, 1, style=2, shared=False, w_bits=5, a_signed=True),
    MacArray(1, 1, 9, 3, style=2, w_bits=2, a_bits=2),
    MacArray(2, 2, 1, 1, style=2, a_bits=16, w_bits=16, shared=False),
    MacArray(2, 3, 2, 2, style=1, a_bits=1),
    MacArray(3, 4, 2, 1, style=2, a_bits=1, w_bits=3),
    MacArray(2, 9, 1, 2, a_bits=2, a_signed=True, shared=False),
    MacArray(2, 3, 3, 1, a_bits=16, w_bits=8),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_mac_array(case: MacArray, simulate: Simulate) -> None:
    simulate(case, "stream_tests")
