"""What a unit of plain signals must do, cycle by cycle: what its model says; run by its own test file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from random import Random
from typing import Any, Protocol

from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge
from unit_bench import Case, rng_for, unit_test


class Model(Protocol):
    """A unit after reset; derived from, so that what is not said need not be."""

    def inputs(self, rng: Random) -> Mapping[str, int]:
        """What stands at the inputs in this cycle, but for the reset."""

    def outputs(self, inputs: Mapping[str, int]) -> Mapping[str, int]:
        """What must stand at the outputs meanwhile; one that is left out means nothing."""

    def clock(self, inputs: Mapping[str, int]) -> None:
        """To the next cycle."""

    def check(self, dut: Any) -> None:
        """What else must be so, in the middle of the cycle."""
        return


class SignalCase(Case):
    """A case with a model of the unit."""

    cycles = 400
    """Of each run."""

    @abstractmethod
    def model(self) -> Model: ...


@unit_test
async def as_its_model(dut: Any, case: Any) -> None:
    """Random inputs, from reset twice: the second one comes in the middle."""
    rng = rng_for(case, "signals")
    Clock(dut.clk, 10, "ns").start()
    for _ in range(2):
        model = case.model()
        # A unit that has nothing to reset has no such port.
        if hasattr(dut, "rst"):
            dut.rst.value = 1
        drive(dut, model.inputs(rng))
        await RisingEdge(dut.clk)
        await RisingEdge(dut.clk)
        if hasattr(dut, "rst"):
            dut.rst.value = 0
        for cycle in range(case.cycles):
            inputs = model.inputs(rng)
            drive(dut, inputs)
            await FallingEdge(dut.clk)
            for name, value in model.outputs(inputs).items():
                found = getattr(dut, name).value
                assert found == value, f"cycle {cycle}: {name} is {found}, not {value}"
            model.check(dut)
            model.clock(inputs)
            await RisingEdge(dut.clk)


def drive(dut: Any, inputs: Mapping[str, int]) -> None:
    for name, value in inputs.items():
        getattr(dut, name).value = value
