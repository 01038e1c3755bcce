"""Extend: the same number in more bits, for every number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from cocotb.triggers import Timer
from simulation import Simulate
from unit_bench import Case, unit_test


@dataclass(frozen=True)
class Extend(Case):
    unit = "extend"
    in_w: int
    out_w: int
    signed: int


@unit_test
async def every_number(dut: Any, case: Any) -> None:
    for code in range(1 << case.in_w):
        # "in" is a word of Python's own.
        dut["in"].value = code
        await Timer(1, "ns")
        negative = case.signed and code >> (case.in_w - 1)
        assert int(dut.out.value) == (code - (1 << case.in_w) if negative else code) % (1 << case.out_w), code


CASES = (Extend(1, 1, 0), Extend(1, 4, 1), Extend(4, 4, 1), Extend(5, 9, 1), Extend(6, 7, 0), Extend(8, 32, 1))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_extend(case: Extend, simulate: Simulate) -> None:
    simulate(case)
