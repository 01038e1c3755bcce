"""Cyclic ROM: every word of the file in order, then again; it starts over at reset."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge
from simulation import Simulate
from unit_bench import Case, rng_for, unit_test

from cnn2rtl.hardware.unit import ParameterValue, Rom, RomFile


@dataclass(frozen=True)
class CyclicRom(Case):
    unit = "cyclic_rom"
    width: int
    depth: int

    @cached_property
    def words(self) -> tuple[int, ...]:
        rng = Random(zlib.crc32(str(self).encode()))
        return tuple(rng.getrandbits(self.width) for _ in range(self.depth))

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        return {"WIDTH": self.width, "DEPTH": self.depth, "FILE": RomFile("words")}

    @property
    def roms(self) -> Mapping[str, Rom]:
        return {"words": Rom(self.width, self.words)}


@unit_test
async def reads_round_and_round(dut: Any, case: Any) -> None:
    rng = rng_for(case, "rom")
    Clock(dut.clk, 10, "ns").start()
    for _ in range(2):
        dut.rst.value, dut.next.value = 1, 0
        await RisingEdge(dut.clk)
        await RisingEdge(dut.clk)
        dut.rst.value = 0
        asked = 0
        # The second round of resets comes in the middle of the words.
        while asked < 2 * case.depth + case.depth // 2 + 1:
            ask = rng.random() < 0.6
            dut.next.value = int(ask)
            await RisingEdge(dut.clk)
            asked += ask
            await FallingEdge(dut.clk)
            if asked:
                assert int(dut.data.value) == case.words[(asked - 1) % case.depth], f"word {asked - 1}"


CASES = (CyclicRom(1, 1), CyclicRom(8, 16), CyclicRom(13, 17), CyclicRom(3, 2), CyclicRom(200, 5))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cyclic_rom(case: CyclicRom, simulate: Simulate) -> None:
    simulate(case)
