"""Product of two streams: exact for every pair of small values, with zero points, in blocks and in logic."""

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
from cnn2rtl.ops.multiply import real_bits
from cnn2rtl.ops.timing import Join, Pipeline, Together
from cnn2rtl.quant.qformat import IntArray, QFormat, signed_bits

PIXELS = 8
"""Beats in a frame of the test."""


@dataclass(frozen=True)
class Operand:
    """Of one stream: bits, two's complement or not, and its zero point."""

    bits: int
    signed: int
    zero: int = 0

    @property
    def format(self) -> QFormat:
        q = QFormat.full(self.bits, bool(self.signed), 1.0)
        return QFormat(q.bits, q.signed, q.scale, q.lo, q.hi, self.zero)

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.bits}@{self.zero}"


@dataclass(frozen=True)
class StreamMultiply(JoinCase):
    unit = "stream_multiply"
    lanes: int
    a: Operand
    b: Operand
    logic: int = 0
    spare: int = 0
    """Bits that no product needs."""

    @property
    def timing(self) -> Pipeline:  # type: ignore[override]
        return Pipeline(2 + (real_bits(self.b.format) + 1) // 2 if self.logic else 3)

    @property
    def out_w(self) -> int:
        a, b = ((q.lo - q.zero, q.hi - q.zero) for q in (self.a.format, self.b.format))
        corners = [x * y for x in a for y in b]
        return signed_bits(min(corners), max(corners)) + self.spare

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        operands = {
            f"{name}_{part.upper()}": getattr(operand, part)
            for name, operand in (("A", self.a), ("B", self.b))
            for part in ("bits", "signed", "zero")
        }
        return {"LANES": self.lanes, **operands, "OUT_W": self.out_w, "LOGIC": self.logic}

    @property
    def join(self) -> Join:
        return Together(2)

    @property
    def widths(self) -> Sequence[int]:
        return self.lanes * self.a.bits, self.lanes * self.b.bits

    def beats(self, a: IntArray, b: IntArray) -> tuple[tuple[list[int], list[int]], list[int]]:
        """Beats in and out for values (beats, lanes)."""
        products = (a - self.a.zero) * (b - self.b.zero)
        return (beats_of(a, self.a.bits), beats_of(b, self.b.bits)), beats_of(products, self.out_w)

    def frame(self, rng: Random) -> tuple[Sequence[list[int]], list[int]]:
        a, b = (random_codes(rng, (PIXELS, self.lanes), x.bits, bool(x.signed)) for x in (self.a, self.b))
        return self.beats(a, b)


@cocotb.test()
async def every_pair(dut: Any) -> None:
    """All pairs of values there are (of those with many bits the extremes), in every lane."""
    case, rng = current_case(), rng_for("pairs")
    bench = await Bench.start(dut)
    formats = [x.format for x in (case.a, case.b)]
    values = [range(q.lo, q.hi + 1) if q.bits <= 4 else sorted({q.lo, -1 if q.signed else 1, 0, q.hi}) for q in formats]
    pairs = np.array([*product(*values)])[:, :, None].repeat(case.lanes, 2)
    streams, expected = case.beats(pairs[:, 0], pairs[:, 1])
    sources = [Source(beats, bits) for beats, bits in zip(streams, case.widths, strict=True)]
    await bench.run_all(sources, expected, rng=rng)


CASES = (
    StreamMultiply(1, Operand(8, 0), Operand(8, 0)),
    StreamMultiply(3, Operand(8, 1), Operand(8, 1), logic=1),
    StreamMultiply(2, Operand(4, 0, 9), Operand(3, 1, -4)),
    StreamMultiply(2, Operand(4, 1, -3), Operand(4, 0, 15), logic=1),
    StreamMultiply(1, Operand(16, 1, -32768), Operand(16, 0)),
    StreamMultiply(4, Operand(2, 1), Operand(2, 0), logic=1, spare=6),
    StreamMultiply(5, Operand(2, 0), Operand(12, 1), spare=1),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_stream_multiply(case: StreamMultiply, tmp_path: Path) -> None:
    simulate(case, tmp_path, "join_tests,test_stream_multiply")
