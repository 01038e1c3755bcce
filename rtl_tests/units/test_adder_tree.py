"""Adder tree: exact sums, a register per level, standing still without enable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge
from simulation import Simulate
from unit_bench import Case, beats_of, random_codes, rng_for, unit_test


@dataclass(frozen=True)
class AdderTree(Case):
    unit = "adder_tree"
    terms: int
    term_w: int
    sum_w: int


@unit_test
async def sums(dut: Any, case: Any) -> None:
    rng = rng_for(case, "sums")
    latency = (case.terms - 1).bit_length()
    values = random_codes(rng, (60, case.terms), case.term_w, True)
    values[0], values[1] = values.min(), values.max()
    terms, expected = beats_of(values, case.term_w), beats_of(values.sum(1, keepdims=True), case.sum_w)
    Clock(dut.clk, 10, "ns").start()
    advances = 0
    while advances < len(terms):
        # Enable decides whether the sum of `latency` enabled cycles ago is still shown at the next falling edge.
        enable = rng.random() < 0.7
        dut.en.value, dut.terms.value = int(enable), terms[advances] if enable else rng.getrandbits(len(dut.terms))
        if latency == 0:
            dut.terms.value = terms[advances]
        await FallingEdge(dut.clk)
        shown = advances - latency
        if shown >= 0:
            assert int(dut.sum.value) == expected[shown], f"sum {shown}"
        await RisingEdge(dut.clk)
        advances += enable


CASES = (
    AdderTree(1, 5, 5),
    AdderTree(1, 5, 9),
    AdderTree(2, 16, 17),
    AdderTree(3, 1, 3),
    AdderTree(5, 8, 20),
    AdderTree(8, 4, 7),
    AdderTree(27, 16, 21),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_adder_tree(case: AdderTree, simulate: Simulate) -> None:
    simulate(case)
