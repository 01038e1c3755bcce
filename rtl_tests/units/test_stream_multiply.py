"""Product of two streams: exact for every pair of small values, with zero points, in blocks and in logic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from pair_tests import PairCase
from simulation import Simulate

from cnn2rtl.hardware.timing import Pipeline
from cnn2rtl.hardware.unit import ParameterValue
from cnn2rtl.hardware.units.joins import real_bits
from cnn2rtl.quant.qformat import IntArray, QFormat, signed_bits


@dataclass(frozen=True)
class Operand:
    """Of one stream: bits, two's complement or not, and its zero point."""

    bits: int
    signed: int
    zero: int = 0

    @property
    def format(self) -> QFormat:
        return replace(QFormat.full(self.bits, bool(self.signed), 1.0), zero=self.zero)

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.bits}@{self.zero}"


@dataclass(frozen=True)
class StreamMultiply(PairCase):
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
        a, b = ((q.lo - q.zero, q.hi - q.zero) for q in self.formats)
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
    def formats(self) -> tuple[QFormat, QFormat]:
        return self.a.format, self.b.format

    def results(self, a: IntArray, b: IntArray) -> IntArray:
        return (a - self.a.zero) * (b - self.b.zero)


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
def test_stream_multiply(case: StreamMultiply, simulate: Simulate) -> None:
    simulate(case, "join_tests,pair_tests")
