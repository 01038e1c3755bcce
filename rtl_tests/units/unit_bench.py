"""Test bench of the unit library: the parameters that a unit is tried with, and what drives and checks its streams.

:mod:`simulation` starts the simulator in which the tests (:func:`unit_test`) run.
"""

from __future__ import annotations

import os
import random
import re
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from cnn2rtl.hardware.unit import Bits, ParameterValue, Rom, RomFile, pack
from cnn2rtl.render.rom import hex_lines

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
UNITS = ROOT / "templates" / "units"
PATIENCE = 1000
"""Cycles without a transfer after which a stream counts as stuck."""
TAIL = 12
"""Cycles after the last beat in which no other may come."""

Stalls = Callable[[], bool]


# ---------------------------------------------------------------------------------------------------------- cases


@dataclass(frozen=True)
class Case:
    """A unit with one set of parameters. The fields of a case are what its author chose; the rest follows."""

    unit: ClassVar[str]

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        """The Verilog parameters, by default the fields in capitals."""
        return {f.name.upper(): getattr(self, f.name) for f in fields(self)}

    @property
    def roms(self) -> Mapping[str, Rom]:
        """Contents of the ROM files that the parameters name."""
        return {}

    def __str__(self) -> str:
        values = (getattr(self, f.name) for f in fields(self))
        return "-".join(str(v).translate(str.maketrans("", "", " ()[]'\"/=")).replace(",", ".") for v in values)

    def literals(self) -> dict[str, str]:
        """The parameters as Verilog constants."""
        return {name: _literal(value) for name, value in self.parameters.items()}

    @property
    def seed(self) -> str:
        """Of all its random numbers; ``SEED`` in the environment replaces it."""
        return os.environ.get("SEED") or str(zlib.crc32(f"{self.unit} {self}".encode()))

    def verilog(self, name: str, connections: Mapping[str, str] | None = None) -> str:
        """Verilog of an instance, with what its ports are connected to; its ROM files lie in the folder ``name``."""
        values = {key: re.sub(r'^"', f'"{name}/', value) for key, value in self.literals().items()}
        parameters = ", ".join(f".{key}({value})" for key, value in values.items())
        ports = ", ".join(f".{port}({signal})" for port, signal in (connections or {}).items())
        return f"{self.unit} #({parameters}) {name} ({ports});"

    def write_roms(self, folder: Path) -> None:
        for name, rom in self.roms.items():
            (folder / f"{name}.hex").write_text(hex_lines(rom))


def _literal(value: ParameterValue) -> str:
    if isinstance(value, RomFile):
        return f'"{value.name}.hex"'
    if isinstance(value, Bits):
        return f"{value.width}'h{value.value:x}"
    return str(value)


# ---------------------------------------------------------------------------------------------------------- tests


RUNNING = tuple(map(int, os.environ.get("CASES", "").split()))
"""In the simulator: the cases that it runs, by their places among those of ``UNIT``."""


def unit_test(check: Callable[[Any, Any], Awaitable[None]]) -> Any:
    """A cocotb test of every case of the simulation; it is given the instance of the unit, and the case."""

    @cocotb.test()
    @cocotb.parametrize(case=RUNNING)
    @wraps(check)
    async def test(dut: Any, case: int) -> None:
        unit = import_module(f"test_{os.environ['UNIT']}")
        await check(dut[f"case{case}"], unit.CASES[case])

    return test


def rng_for(case: Case, test: str) -> random.Random:
    """Random numbers of one test of a case: the same whichever others run."""
    return random.Random(f"{case.seed} {test}")


def always() -> bool:
    return True


def sometimes(rng: random.Random) -> Stalls:
    """Bursts and pauses of random length, so that the stream is now ahead, now behind."""
    on, left = True, 0

    def step() -> bool:
        nonlocal on, left
        if left == 0:
            on = not on or rng.random() < 0.3
            left = rng.choice((1, 1, 1, 2, 3, 5, 9))
        left -= 1
        return on

    return step


@dataclass
class Source:
    """A stream into the unit, ``bits`` per beat; in which clock cycle each beat was first offered, and taken."""

    beats: Sequence[int]
    bits: int
    offer: Stalls = always
    offered: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)

    @property
    def offering(self) -> bool:
        return len(self.offered) > len(self.taken)

    def drive(self, cycle: int, rng: random.Random) -> int:
        """The data of a cycle, in which :attr:`offering` is valid."""
        if not self.offering and len(self.taken) < len(self.beats) and self.offer():
            self.offered.append(cycle)
        # What stands there without valid means nothing.
        return self.beats[len(self.taken)] if self.offering else rng.getrandbits(self.bits)


@dataclass
class Transfers:
    """In which clock cycle each beat was taken from the source, and given to the sink."""

    taken: list[int] = field(default_factory=list)
    given: list[int] = field(default_factory=list)


class Bench:
    """Clock, reset, source and sink of a unit with one stream in and one out."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut

    @classmethod
    async def start(cls, dut: Any) -> Bench:
        """Start the clock and reset the unit."""
        Clock(dut.clk, 10, "ns").start()
        bench = cls(dut)
        dut.s_data.value = 0
        await bench.reset()
        return bench

    async def reset(self, cycles: int = 2, s_valid: int = 0) -> None:
        """Reset for some cycles; what is offered meanwhile is not for the unit to keep."""
        dut = self.dut
        await RisingEdge(dut.clk)
        dut.rst.value, dut.s_valid.value, dut.m_ready.value = 1, s_valid, 0
        for _ in range(cycles):
            await RisingEdge(dut.clk)
        dut.rst.value, dut.s_valid.value = 0, 0
        await FallingEdge(dut.clk)
        assert int(dut.m_valid.value) == 0, "m_valid after reset"

    async def run(
        self,
        beats: Sequence[int],
        expected: Sequence[int],
        offer: Stalls = always,
        accept: Stalls = always,
        *,
        rng: random.Random,
        shy: bool = False,
        stop_after: int | None = None,
    ) -> Transfers:
        """Stream ``beats`` through the unit with one stream in: :meth:`run_all`."""
        source = Source(beats, len(self.dut.s_data), offer)
        given = await self.run_all([source], expected, accept, rng=rng, shy=shy, stop_after=stop_after)
        return Transfers(source.taken, given)

    async def run_all(
        self,
        sources: Sequence[Source],
        expected: Sequence[int],
        accept: Stalls = always,
        *,
        rng: random.Random,
        shy: bool = False,
        stop_after: int | None = None,
    ) -> list[int]:
        """Stream ``sources`` through the unit and compare what comes out with ``expected``, beat by beat.

        The cycles in which the sink takes them come back. Sources lie side by side, the first lowest. Inputs change
        after the rising edge; everything is read at the falling one, where it has settled. A ``shy`` sink is never
        ready before it has seen valid. ``stop_after`` that many cycles the stream is left as it is.
        """
        dut, clk = self.dut, self.dut.clk
        given: list[int] = []
        seen, pending, quiet, cycle = False, None, 0, 0
        while stop_after is None or cycle < stop_after:
            await RisingEdge(clk)
            dut.s_data.value = side_by_side([(source.drive(cycle, rng), source.bits) for source in sources])
            dut.s_valid.value = side_by_side([(source.offering, 1) for source in sources])
            ready = accept() and (seen or not shy)
            dut.m_ready.value = int(ready)

            await FallingEdge(clk)
            index = len(given)
            seen = int(dut.m_valid.value) == 1
            moved = False
            if pending is not None:
                assert seen, f"beat {index}: valid fell before the beat was taken"
            if seen:
                data = int(dut.m_data.value)
                assert pending in (None, data), (
                    f"beat {index}: data changed from {pending:x} to {data:x} while it waited"
                )
                assert index < len(expected), f"beat {index} ({data:x}) after the last one that was due"
                assert data == expected[index], f"beat {index} of {len(expected)}: {data:x}, not {expected[index]:x}"
                pending = None if ready else data
                if ready:
                    given.append(cycle)
                    moved = True
            for number, source in enumerate(sources):
                if source.offering and int(dut.s_ready.value) >> number & 1:
                    source.taken.append(cycle)
                    moved = True
            quiet = 0 if moved else quiet + 1
            cycle += 1
            taken, total = sum(len(source.taken) for source in sources), sum(len(source.beats) for source in sources)
            if taken == total and len(given) == len(expected) and quiet >= TAIL:
                break
            assert quiet < PATIENCE, f"stuck: {taken} of {total} beats in, {len(given)} of {len(expected)} out"
        return given


def side_by_side(fields: Iterable[tuple[int, int]]) -> int:
    """Numbers of so many bits each, the first lowest."""
    word = offset = 0
    for value, bits in fields:
        word |= value << offset
        offset += bits
    return word


# ---------------------------------------------------------------------------------------------------------- data


def random_codes(rng: random.Random, shape: Iterable[int], bits: int, signed: bool) -> np.ndarray:
    """Integers of ``bits`` bits, the extremes among them more often than chance would have it."""
    lo, hi = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    generator = np.random.default_rng(rng.getrandbits(64))
    values = generator.integers(lo, hi + 1, tuple(shape))
    edges = generator.choice(np.array([lo, hi, 0]), values.shape)
    return np.where(generator.random(values.shape) < 0.25, edges, values)


def beats_of(values: np.ndarray, bits: int) -> list[int]:
    """Pack (..., lanes) into one integer per beat, lane 0 lowest."""
    return list(pack(np.asarray(values, np.int64).reshape(-1, values.shape[-1]), bits))


def in_lanes(values: np.ndarray, lanes: int) -> np.ndarray:
    """Cut the last axis into zero-padded beats: (..., n) becomes (..., beats, lanes)."""
    *lead, n = values.shape
    pads = [(0, 0)] * len(lead) + [(0, -n % lanes)]
    return np.pad(values, pads).reshape(*lead, -1, lanes)
