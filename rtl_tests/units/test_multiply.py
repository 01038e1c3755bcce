"""Multiplier in a block and in logic: exact for every pair of small numbers, standing still without enable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge
from simulation import Simulate
from unit_bench import Case, random_codes, rng_for, unit_test


@dataclass(frozen=True)
class Multiply(Case):
    unit = "multiply"
    a_w: int
    w_w: int
    logic: int

    @property
    def latency(self) -> int:
        return 1 + (self.w_w + 1) // 2 if self.logic else 2


def every(bits: int) -> range:
    return range(-(1 << (bits - 1)), 1 << (bits - 1))


async def compare(
    dut: Any, inputs: Sequence[dict[str, int]], outputs: Sequence[dict[str, int]], latency: int, rng: Random
) -> None:
    """Feed the inputs, one set per enabled cycle, and expect the outputs so many enabled cycles later."""
    Clock(dut.clk, 10, "ns").start()
    advances = 0
    while advances < len(inputs):
        enable = rng.random() < 0.8
        dut.en.value = int(enable)
        for name, value in inputs[advances].items():
            port = getattr(dut, name)
            port.value = value & ((1 << len(port)) - 1) if enable else rng.getrandbits(len(port))
        await FallingEdge(dut.clk)
        if advances >= latency:
            for name, value in outputs[advances - latency].items():
                port = getattr(dut, name)
                assert port.value.to_signed() == value, f"{name} of {inputs[advances - latency]}"
        await RisingEdge(dut.clk)
        advances += enable


@unit_test
async def products(dut: Any, case: Any) -> None:
    rng = rng_for(case, "values")
    if case.a_w + case.w_w <= 10:
        pairs = list(product(every(case.a_w), every(case.w_w)))
    else:
        columns = (random_codes(rng, (500,), bits, True).tolist() for bits in (case.a_w, case.w_w))
        pairs = list(zip(*columns, strict=True))
    pairs += [(0, 0)] * case.latency
    await compare(
        dut,
        [{"a": a, "w": w} for a, w in pairs],
        [{"product": a * w} for a, w in pairs],
        case.latency,
        rng_for(case, "enable"),
    )


CASES = (
    *(Multiply(a, w, 1) for a, w in ((2, 2), (3, 2), (5, 3), (4, 4), (3, 5), (4, 6), (9, 8), (17, 16), (9, 15))),
    Multiply(2, 2, 0),
    Multiply(5, 4, 0),
    Multiply(17, 16, 0),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_multiply(case: Multiply, simulate: Simulate) -> None:
    simulate(case)
