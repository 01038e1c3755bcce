"""Sum of two streams: exact for every pair of small values, signs and factors in every mixture, in its cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import cocotb
import numpy as np
import pytest
from join_tests import JoinCase
from unit_bench import Bench, Source, beats_of, current_case, random_codes, rng_for, simulate

from cnn2rtl.ops.hardware import ParameterValue
from cnn2rtl.ops.timing import Join, Pipeline, Together
from cnn2rtl.quant.qformat import IntArray, QFormat, signed_bits

PIXELS = 8
"""Beats in a frame of the test."""


@dataclass(frozen=True)
class Operand:
    """Of one stream: bits, two's complement or not, and its factor."""

    bits: int
    signed: int
    factor: int

    @property
    def ends(self) -> tuple[int, int]:
        """The smallest and the largest term."""
        q = QFormat.full(self.bits, bool(self.signed), 1.0)
        low, high = sorted((q.lo * self.factor, q.hi * self.factor))
        return low, high

    def __str__(self) -> str:
        return f"{self.factor}x{'s' if self.signed else 'u'}{self.bits}"


@dataclass(frozen=True)
class StreamAdd(JoinCase):
    unit = "stream_add"
    timing = Pipeline(2)
    lanes: int
    a: Operand
    b: Operand
    spare: int = 0
    """Bits that no sum needs."""

    @property
    def out_w(self) -> int:
        low, high = map(sum, zip(self.a.ends, self.b.ends, strict=True))
        return max(signed_bits(low, high), self.a.bits, self.b.bits) + self.spare

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        operands = {
            f"{name}_{part.upper()}": getattr(operand, part)
            for name, operand in (("A", self.a), ("B", self.b))
            for part in ("bits", "signed", "factor")
        }
        return {"LANES": self.lanes, **operands, "OUT_W": self.out_w}

    @property
    def join(self) -> Join:
        return Together(2)

    @property
    def widths(self) -> Sequence[int]:
        return self.lanes * self.a.bits, self.lanes * self.b.bits

    def beats(self, a: IntArray, b: IntArray) -> tuple[tuple[list[int], list[int]], list[int]]:
        """Beats in and out for values (beats, lanes)."""
        sums = a * self.a.factor + b * self.b.factor
        return (beats_of(a, self.a.bits), beats_of(b, self.b.bits)), beats_of(sums, self.out_w)

    def frame(self, rng: Random) -> tuple[Sequence[list[int]], list[int]]:
        a, b = (random_codes(rng, (PIXELS, self.lanes), x.bits, bool(x.signed)) for x in (self.a, self.b))
        return self.beats(a, b)


@cocotb.test()
async def every_pair(dut: Any) -> None:
    """All pairs of values there are (of those with many bits the extremes), in every lane."""
    case, rng = current_case(), rng_for("pairs")
    bench = await Bench.start(dut)
    formats = [QFormat.full(x.bits, bool(x.signed), 1.0) for x in (case.a, case.b)]
    values = [range(q.lo, q.hi + 1) if q.bits <= 4 else sorted({q.lo, -1 if q.signed else 1, 0, q.hi}) for q in formats]
    pairs = np.array([*product(*values)])[:, :, None].repeat(case.lanes, 2)
    streams, expected = case.beats(pairs[:, 0], pairs[:, 1])
    sources = [Source(beats, bits) for beats, bits in zip(streams, case.widths, strict=True)]
    await bench.run_all(sources, expected, rng=rng)


CASES = (
    StreamAdd(1, Operand(8, 0, 1), Operand(8, 0, 1)),
    StreamAdd(3, Operand(8, 1, 1), Operand(8, 1, -1)),
    StreamAdd(1, Operand(2, 0, 1), Operand(2, 1, 4)),
    StreamAdd(5, Operand(4, 1, 8), Operand(4, 0, -2)),
    StreamAdd(2, Operand(3, 0, -1), Operand(3, 0, -1)),
    StreamAdd(2, Operand(8, 0, 32768), Operand(8, 1, 20011)),
    StreamAdd(4, Operand(4, 1, -77), Operand(3, 0, 6), spare=3),
    StreamAdd(1, Operand(16, 1, 1 << 24), Operand(16, 0, 1)),
    StreamAdd(1, Operand(16, 1, -(1 << 24)), Operand(2, 1, (1 << 24) - 1)),
    StreamAdd(7, Operand(16, 0, 23170), Operand(5, 1, -32768)),
    StreamAdd(2, Operand(8, 0, 0), Operand(3, 1, 1)),
    StreamAdd(1, Operand(8, 1, 1), Operand(8, 0, 0)),
    StreamAdd(1, Operand(1, 0, 1), Operand(1, 1, 1)),
    StreamAdd(16, Operand(2, 1, 1), Operand(9, 0, 1)),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_stream_add(case: StreamAdd, tmp_path: Path) -> None:
    simulate(case, tmp_path, "join_tests,test_stream_add")
