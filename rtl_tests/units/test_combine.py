"""Combine: maximum and sum of two numbers, compared for every pair."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from cocotb.triggers import Timer
from simulation import Simulate
from unit_bench import Case, unit_test


@dataclass(frozen=True)
class Combine(Case):
    unit = "combine"
    max: int
    bits: int
    signed: int


@unit_test
async def every_pair(dut: Any, case: Any) -> None:
    codes = range(1 << case.bits)

    def value(code: int) -> int:
        return code - (1 << case.bits) if case.signed and code >> (case.bits - 1) else code

    for a, b in product(codes, codes):
        dut.a.value, dut.b.value = a, b
        await Timer(1, "ns")
        expected = max(a, b, key=value) if case.max else (a + b) % (1 << case.bits)
        assert int(dut.out.value) == expected, f"{a} and {b}"


CASES = (Combine(1, 1, 0), Combine(1, 2, 1), Combine(1, 4, 0), Combine(1, 5, 1), Combine(0, 4, 0), Combine(0, 5, 1))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_combine(case: Combine, simulate: Simulate) -> None:
    simulate(case)
