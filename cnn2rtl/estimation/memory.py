"""What a memory becomes: the choice that Yosys' ``memory_libmap`` makes, for one port to write and one to read.

For every way to build the memory there is a cost: so much per block, and half a point per multiplexer bit where it
is deeper than a block. The cheapest way wins, the first one of equals; registers and logic are one of the ways.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cnn2rtl.hardware.parts import Memory
from cnn2rtl.hardware.unit import Place, ceil_div


@dataclass(frozen=True)
class Cell:
    """A way to build memories. ``address_bits`` are those at the narrowest of ``widths``.

    ``cost`` and ``width_cost`` (the part of it that only the bits in use cost) are Yosys'. Writes are by whole groups
    of ``byte`` bits, and no narrower than ``narrowest_write``. A cell takes ``blocks`` block RAMs, or ``luts``.
    """

    address_bits: int
    widths: tuple[int, ...]
    cost: int
    width_cost: int = 0
    byte: int = 0
    narrowest_write: int = 1
    blocks: int = 0
    luts: int = 0


@dataclass(frozen=True)
class Built:
    """What a memory becomes. Without cells it is logic.

    ``segments`` are the cells that one bit is spread over, by address; a multiplexer chooses among them.
    """

    blocks: int = 0
    luts: int = 0
    segments: int = 1

    @property
    def logic(self) -> bool:
        return not self.blocks and not self.luts


@dataclass(frozen=True)
class Library:
    """The cells of a family in the order in which Yosys tries them, and what a bit of ROM costs in logic."""

    cells: tuple[Cell, ...]
    rom_bit_cost: float = 1 / 16

    def map(self, memory: Memory) -> Built:
        """One copy of ``memory``."""
        return _map(self, memory.width, memory.depth, memory.writable, memory.place)


@lru_cache(maxsize=1 << 16)
def _map(library: Library, width: int, depth: int, writable: bool, place: Place) -> Built:
    if width == 0 or (depth == 1 and not writable):
        return Built()
    cells: Iterable[Cell] = library.cells
    if place == Place.REGISTERS or (place == Place.TABLES and not writable):
        cells = ()
    elif place == Place.TABLES:
        cells = (cell for cell in library.cells if not cell.blocks)
    elif place == Place.BLOCK:
        cells = (cell for cell in library.cells if cell.blocks)
    # Of each kind the cheapest; then the cheapest kind. Yosys keeps the best cost so far as a whole number.
    best: dict[bool, tuple[float, Built]] = {}
    for cell in cells:
        if not cell.blocks and not writable:
            continue
        found = _geometry(cell, width, depth, writable)
        kind = cell.blocks > 0
        if kind not in best or found[0] < best[kind][0]:
            best[kind] = found
    least, chosen = float("inf"), Built()
    if place in (Place.ANY, Place.REGISTERS):
        least = int(width * depth * (1 if writable else library.rom_bit_cost))
    for cost, mapping in best.values():
        if cost < least:
            least, chosen = int(cost), mapping
    return chosen


def _geometry(cell: Cell, width: int, depth: int, writable: bool) -> tuple[float, Built]:
    """The cheapest shape of ``cell`` for a memory, and its cost."""
    best, chosen = -1, (0.0, Built())
    for narrowing, unit in enumerate(cell.widths):
        if writable and unit < min(cell.narrowest_write, cell.byte):
            continue
        group = min(cell.byte or unit, unit) if writable else 1
        segments = ceil_div(depth, 1 << (cell.address_bits - narrowing))
        count = ceil_div(segments * ceil_div(width, group) * group, unit)
        cost = (cell.cost - cell.width_cost) * count + cell.width_cost * segments * width / unit
        cost += 0.5 * (segments - 1) * width
        if writable and segments > 1:
            cost += 0.5 * segments
        cost += 2
        if best < 0 or cost < best:
            best, chosen = int(cost), (cost, Built(cell.blocks * count, cell.luts * count, segments))
    return chosen
