"""What hardware takes of a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Resources:
    """Look-up tables (those that hold memory too), flip-flops, DSP blocks and block RAMs; they add up.

    ``dsps`` and ``block_rams`` count in the family's smallest units, of which ``dsp_units`` and ``ram_units`` make a
    whole block: a RAMB18, say, is half of one. ``cells`` are logic cells in families where a look-up table, a flip-flop
    and a bit of a carry chain share one, and what there is of those is what a device's look-up tables are; else 0.
    """

    luts: float = 0.0
    flip_flops: float = 0.0
    dsps: int = 0
    block_rams: int = 0
    cells: float = 0.0

    def __add__(self, other: Self) -> Resources:
        return Resources(
            self.luts + other.luts,
            self.flip_flops + other.flip_flops,
            self.dsps + other.dsps,
            self.block_rams + other.block_rams,
            self.cells + other.cells,
        )
