"""What the families' memories and DSP blocks are to Yosys. All figures are those of its own library files."""

from __future__ import annotations

from dataclasses import dataclass

from cnn2rtl.estimation.memory import Cell, Library
from cnn2rtl.estimation.multiplier import Block


@dataclass(frozen=True)
class Family:
    """``like`` is the family whose coefficients count; look-up tables and flip-flops are scaled by these factors.

    ``ram_units`` make a block RAM, ``dsp_units`` a DSP block. ``product_luts`` are what one of the bits times bits of a
    product takes that is in no DSP block; where none, the coefficients tell. Where look-up tables, flip-flops and
    carries share cells (``shares``), the coefficients tell how many of those.
    """

    name: str
    library: Library
    blocks: tuple[Block, ...]
    like: str
    ram_units: int = 1
    dsp_units: int = 1
    lut_scale: float = 1.0
    flip_flop_scale: float = 1.0
    product_luts: float = 0.0
    shares: bool = False


_WIDTHS = (1, 2, 4, 9, 18, 36)
_XC7_TABLES = (
    Cell(5, (4,), 8, 8, luts=4), Cell(6, (2,), 8, 8, luts=4), Cell(7, (1,), 8, 8, luts=4),
    Cell(5, (2,), 7, 7, luts=4), Cell(6, (1,), 7, 7, luts=4),
    Cell(5, (6,), 8, 7, luts=4), Cell(6, (3,), 8, 7, luts=4),
)  # fmt: skip
_XCUP_TABLES = (
    Cell(5, (8,), 16, 16, luts=8), Cell(6, (4,), 16, 16, luts=8), Cell(7, (2,), 16, 16, luts=8),
    Cell(8, (1,), 16, 16, luts=8), Cell(5, (4,), 16, 16, luts=8), Cell(6, (2,), 16, 16, luts=8),
    Cell(5, (2,), 16, 16, luts=8), Cell(6, (1,), 16, 16, luts=8),
    Cell(5, (14,), 16, 16, luts=8), Cell(6, (7,), 16, 16, luts=8),
)  # fmt: skip
# Two ports that read and write, then one of each: RAMB18, RAMB36.
_XILINX_BLOCKS = (
    Cell(14, _WIDTHS[:5], 129, byte=9, blocks=1), Cell(15, _WIDTHS, 257, byte=9, blocks=2),
    Cell(14, _WIDTHS, 129, byte=9, blocks=1), Cell(15, (*_WIDTHS, 72), 257, byte=9, blocks=2),
)  # fmt: skip
_XC7_CASCADE = Cell(16, _WIDTHS[:4], 513, byte=9, blocks=4)
_LATTICE = (
    Cell(14, _WIDTHS[:5], 128, byte=9, blocks=1), Cell(14, _WIDTHS, 128, byte=9, narrowest_write=36, blocks=1),
)  # fmt: skip
_GOWIN = (
    Cell(4, (4,), 4, 4, luts=4), Cell(14, _WIDTHS[:5], 128, byte=9, blocks=1), Cell(14, _WIDTHS, 128, byte=9, blocks=1),
)  # fmt: skip
_ICE40 = (Cell(11, (2, 4, 8), 64, blocks=1), Cell(11, (2, 4, 8, 16), 64, byte=1, narrowest_write=16, blocks=1))
_M9K = (Cell(13, _WIDTHS, 64, blocks=1),)

_DSP48 = (Block(25, 18, 18, least_product=9, signed_only=True),)
_DSP48E2 = (Block(27, 18, 18, least_product=9, signed_only=True),)
_18X18 = (Block(18, 18, 18),)
_MAC16 = (Block(16, 16, 16, least_product=11),)
_GOWIN_DSP = (Block(36, 36, 36, 22, units=8), Block(18, 18, 18, 4, longer=10, units=2), Block(9, 9, 9, 4))
_MISTRAL = (
    Block(27, 27, 27, 4, longer=19, units=6), Block(18, 18, 18, 4, longer=10, units=3), Block(9, 9, 9, 4, units=2),
)  # fmt: skip
_M9K_DSP = (Block(18, 18, 18, longer=10, units=2), Block(9, 9, 9))

FAMILIES = {
    family.name: family
    for family in (
        Family("xc7", Library((*_XC7_TABLES, *_XILINX_BLOCKS[:2], _XC7_CASCADE, *_XILINX_BLOCKS[2:]), 1 / 64), _DSP48,
               "xc7", ram_units=2),
        Family("xcup", Library((*_XCUP_TABLES, *_XILINX_BLOCKS), 1 / 64), _DSP48E2, "xc7", ram_units=2, lut_scale=1.24,
               flip_flop_scale=1.6),
        Family("ecp5", Library((Cell(4, (4,), 4, luts=6), *_LATTICE)), _18X18, "ecp5"),
        Family("ice40", Library(_ICE40), (), "ice40up", shares=True),
        Family("ice40up", Library(_ICE40), _MAC16, "ice40up", shares=True),
        Family("gw1n", Library(_GOWIN), _GOWIN_DSP, "gw1n", dsp_units=2, shares=True),
        Family("gw2a", Library(_GOWIN), _GOWIN_DSP, "gw1n", dsp_units=2, shares=True),
        Family("cyclonev", Library((Cell(13, (1, 2, 5, 10, 20, 40), 64, blocks=1),)), _MISTRAL, "ecp5", dsp_units=6,
               lut_scale=0.87,
               product_luts=2.1),
        Family("cyclone10lp", Library(_M9K), _M9K_DSP, "ecp5", dsp_units=2, lut_scale=1.16),
        Family("max10", Library(_M9K), _M9K_DSP, "ecp5", dsp_units=2, lut_scale=1.16),
    )
}  # fmt: skip
