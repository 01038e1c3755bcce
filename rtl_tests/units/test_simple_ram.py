"""Simple RAM: reads what was written last, and holds it while nothing is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge
from simulation import Simulate
from unit_bench import Case, rng_for, unit_test

from cnn2rtl.hardware.unit import ParameterValue


@dataclass(frozen=True)
class SimpleRam(Case):
    unit = "simple_ram"
    width: int
    depth: int

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        return {"WIDTH": self.width, "DEPTH": self.depth}


@unit_test
async def reads_and_writes(dut: Any, case: Any) -> None:
    rng = rng_for(case, "ram")
    Clock(dut.clk, 10, "ns").start()
    memory: dict[int, int] = {}
    shown = None
    await RisingEdge(dut.clk)
    for _ in range(20 * case.depth + 40):
        to, word, origin = rng.randrange(case.depth), rng.getrandbits(case.width), rng.randrange(case.depth)
        write, read = rng.random() < 0.6, rng.random() < 0.6
        # The one thing its users promise never to do, see the module's head.
        read = read and not (write and to == origin)
        dut.write.value, dut.write_addr.value, dut.write_data.value = int(write), to, word
        dut.read.value, dut.read_addr.value = int(read), origin
        await RisingEdge(dut.clk)
        if read:
            shown = memory.get(origin)
        if write:
            memory[to] = word
        await FallingEdge(dut.clk)
        if shown is not None:
            assert int(dut.read_data.value) == shown


CASES = (SimpleRam(1, 1), SimpleRam(8, 16), SimpleRam(13, 17), SimpleRam(70, 3))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_simple_ram(case: SimpleRam, simulate: Simulate) -> None:
    simulate(case)
