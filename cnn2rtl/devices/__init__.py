"""FPGAs and what they have: ``devices.toml``, ``families.toml`` and ``boards.toml`` as values."""

from __future__ import annotations

import difflib
import importlib.resources
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from cnn2rtl.errors import UserError


@dataclass(frozen=True)
class Series:
    """What the devices of a family have in common.

    ``clock_mhz`` is the clock that speeds are told for where none is given; ``basis`` says what it is founded on. Where
    cells are ``shared``, a look-up table, a flip-flop and a bit of a carry chain lie in one.
    """

    maker: str
    clock_mhz: float
    basis: str
    shared: bool = False


@dataclass(frozen=True)
class LargeRam:
    """Memories beside the block RAMs, ``count`` of ``width`` bits by ``depth`` words. No design uses them yet.

    Each of their ``ports`` writes or reads a word per cycle.
    """

    name: str
    count: int
    width: int
    depth: int
    ports: int

    def __str__(self) -> str:
        ports = "one port" if self.ports == 1 else f"{self.ports} ports"
        return f"{self.count} {self.name} of {self.width} x {self.depth:,} bits, {ports}"


@dataclass(frozen=True)
class Device:
    """One FPGA. What the counts mean is told at the head of ``devices.toml``.

    ``part`` is the full name of one, with package and speed grade. ``multipliers`` are the ways to use a DSP block,
    (bits, bits, how many side by side); ``ram_shapes`` those to use a block RAM, (width in bits, depth in words).
    ``source`` is the document that the figures are from.
    """

    name: str
    part: str
    family: str
    luts: int
    lut_inputs: int
    flip_flops: int
    dsps: int
    multipliers: tuple[tuple[int, int, int], ...]
    rams: int
    ram_bits: int
    ram_shapes: tuple[tuple[int, int], ...]
    ram_halves: bool
    distributed_ram_bits: int
    source: str
    large_rams: tuple[LargeRam, ...] = ()

    @property
    def memory_bits(self) -> int:
        """Bits of block RAM in all."""
        return self.rams * self.ram_bits

    @property
    def series(self) -> Series:
        return families()[self.family]

    @property
    def logic_cells(self) -> int:
        """Cells that look-up tables, flip-flops and carries share, a look-up table in each; 0 where nothing does."""
        return self.luts if self.series.shared else 0

    @property
    def unused(self) -> str:
        """The memories that no design uses yet, in words; empty where there are none."""
        return " and ".join(map(str, self.large_rams))


@dataclass(frozen=True)
class Board:
    """A board. ``fpga`` are the devices that it is sold with, known here or not; ``also`` other names of it."""

    name: str
    fpga: tuple[str, ...]
    source: str
    also: tuple[str, ...] = ()


DEFAULT_CLOCK = 100.0
"""MHz, where there is no device."""


def default_clock(device: Device | None) -> float:
    """The clock, in MHz, that speeds are told for where none was chosen."""
    return DEFAULT_CLOCK if device is None else device.series.clock_mhz


def clock_words(mhz: float, family: str | None) -> str:
    """A clock, and whether it is the default of the device's family; ``None`` stands for no device."""
    series = families().get(family or "")
    return f"{mhz:g} MHz" + (f", the default for {family}" if series and mhz == series.clock_mhz else "")


@cache
def load() -> Mapping[str, Device]:
    """Every device by its name, in the order of the file."""
    return {name: _device(name, row) for name, row in _read("devices.toml").items()}


@cache
def families() -> Mapping[str, Series]:
    """Every family by its name."""
    return {name: Series(**row) for name, row in _read("families.toml").items()}


@cache
def boards() -> Mapping[str, Board]:
    """Every board by its name."""
    rows = _read("boards.toml")
    return {name: Board(name, **{key: _value(value) for key, value in row.items()}) for name, row in rows.items()}


def find(name: str, parameter: str = "device") -> Device:
    """The device ``name``, in upper or lower case; raises :class:`UserError`, which lists those there are.

    A board or a part with its package is answered with its device. ``parameter`` is what the user gave it as.
    """
    devices = {device.name.lower(): device for device in load().values()}
    if name.lower() in devices:
        return devices[name.lower()]
    raise UserError(
        f"`{parameter}={name}`: {_of_board(name, parameter) or _of_part(name, parameter) or _nearest(name)}"
    )


def _of_board(name: str, parameter: str) -> str:
    """What is on the board of that name; empty where there is none."""
    spelled = {_plain(alias): board for board in boards().values() for alias in (board.name, *board.also)}
    board = spelled.get(_plain(name))
    if board is None:
        return ""
    several = len(board.fpga) > 1
    what = f"a board that comes with {_either(board.fpga)}" if several else f"a board; its FPGA is {board.fpga[0]}"
    known = [chip for chip in board.fpga if chip in load()]
    then = (
        f": {_either([f'`{parameter}={chip}`' for chip in known])}"
        if known
        else f", whose figures are not known here; there are {', '.join(load())}"
    )
    return f"{board.name} is {what}{then}"


def _of_part(name: str, parameter: str) -> str:
    """The device of a part, which is called like it and then by its package and speed grade; empty for any other."""
    parts = {_plain(device.part): device.name for device in load().values()}
    longest = sorted(load(), key=len, reverse=True)
    found = parts.get(_plain(name)) or next((d for d in longest if _plain(name).startswith(_plain(d))), None)
    if found is None:
        return ""
    return f"a part, with package and speed grade; its device is {found}: `{parameter}={found}`"


def _either(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _nearest(name: str) -> str:
    names = {_plain(name): name for name in (*load(), *boards())}
    close = [names[match] for match in difflib.get_close_matches(_plain(name), names, n=3)]
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    there = ", ".join(load())
    return f"no such device; {meant}there are {there}; for another one, see what the design takes with `family=`"


def _plain(name: str) -> str:
    """Letters and digits alone: ``Tang Nano 9K`` is ``tang-nano-9k`` is ``tangnano9k``."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _read(file: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((importlib.resources.files(__package__) / file).read_text(encoding="utf-8"))


def _device(name: str, row: Mapping[str, Any]) -> Device:
    values = {key: _value(value) for key, value in row.items() if key != "large_rams"}
    large = tuple(LargeRam(**ram) for ram in row.get("large_rams", ()))
    return Device(**{**values, "name": name, "ram_halves": bool(values["ram_halves"]), "large_rams": large})


def _value(value: Any) -> Any:
    """Lists as tuples."""
    return tuple(map(_value, value)) if isinstance(value, list) else value
