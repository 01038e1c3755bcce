"""Sum of two streams: exact for every pair of small values, signs and factors in every mixture, in its cycles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from pair_tests import PairCase
from simulation import Simulate

from cnn2rtl.hardware.timing import Pipeline
from cnn2rtl.hardware.unit import ParameterValue
from cnn2rtl.quant.qformat import IntArray, QFormat, signed_bits


@dataclass(frozen=True)
class Operand:
    """Of one stream: bits, two's complement or not, and its factor."""

    bits: int
    signed: int
    factor: int

    @property
    def format(self) -> QFormat:
        return QFormat.full(self.bits, bool(self.signed), 1.0)

    @property
    def ends(self) -> tuple[int, int]:
        """The smallest and the largest term."""
        low, high = sorted((self.format.lo * self.factor, self.format.hi * self.factor))
        return low, high

    def __str__(self) -> str:
        return f"{self.factor}x{'s' if self.signed else 'u'}{self.bits}"


@dataclass(frozen=True)
class StreamAdd(PairCase):
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
    def formats(self) -> tuple[QFormat, QFormat]:
        return self.a.format, self.b.format

    def results(self, a: IntArray, b: IntArray) -> IntArray:
        return a * self.a.factor + b * self.b.factor


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
def test_stream_add(case: StreamAdd, simulate: Simulate) -> None:
    simulate(case, "join_tests,pair_tests")
