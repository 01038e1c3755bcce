"""FPGA families: how Yosys maps to them, and what its cells take.

Every choice of an option below was measured with Yosys 0.70; the figures are in docs/synthesis.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from cnn2rtl.synthesis.result import Usage

BUILD = "../syn/yosys/build"
"""Where the files of a run are, as seen from where the ROM files lie, which is where Yosys runs."""


@dataclass(frozen=True)
class Cost:
    """What one cell takes; ``dsps`` and ``rams`` in the device's blocks, ``distributed`` in bits of memory."""

    luts: int = 0
    flip_flops: int = 0
    dsps: Fraction = Fraction(0)
    rams: Fraction = Fraction(0)
    distributed: int = 0


@dataclass(frozen=True)
class Family:
    """``command`` synthesises; ``mapped`` is its label behind which memories without a block become registers.

    ``extra`` are commands for that place, where the family's own ones leave something out. ``pads`` is added to
    the command where no pins are wanted, which is wherever the design is not placed and routed.
    """

    name: str
    command: str
    mapped: str
    costs: Mapping[str, Cost]
    pads: str = ""
    extra: tuple[str, ...] = ()
    caveat: str = ""

    @property
    def multiplies(self) -> bool:
        """Whether multipliers are expected in DSP blocks."""
        return any(cost.dsps for cost in self.costs.values())

    def usage(self, cells: Mapping[str, int]) -> Usage:
        """What ``cells`` (type to count) take; a cell that the family's table does not know takes nothing."""
        costs = [(self.cost(cell), count) for cell, count in cells.items()]
        return Usage(
            luts=sum(cost.luts * count for cost, count in costs),
            flip_flops=sum(cost.flip_flops * count for cost, count in costs),
            dsps=float(sum((cost.dsps * count for cost, count in costs), Fraction(0))),
            rams=float(sum((cost.rams * count for cost, count in costs), Fraction(0))),
            distributed_ram_bits=sum(cost.distributed * count for cost, count in costs),
        )

    def cells_of(self, resource: str, cells: Mapping[str, int]) -> Mapping[str, int]:
        """Those of ``cells`` that take a resource, which goes by its name in ``Usage``."""
        return {cell: count for cell, count in cells.items() if getattr(self.usage({cell: 1}), resource)}

    def cost(self, cell: str) -> Cost:
        return next((cost for pattern, cost in self.costs.items() if re.fullmatch(pattern, cell)), Cost())


def _memory(luts: int, bits: int) -> Cost:
    return Cost(luts=luts, distributed=bits)


_LUT, _FLIP_FLOP = Cost(luts=1), Cost(flip_flops=1)
_DSP, _RAM = Cost(dsps=Fraction(1)), Cost(rams=Fraction(1))
_HALF_DSP, _HALF_RAM = Cost(dsps=Fraction(1, 2)), Cost(rams=Fraction(1, 2))

_XILINX = {
    "LUT[1-6]|INV": _LUT,
    "FD[CPRS]E(_1)?|LD[CP]E": _FLIP_FLOP,
    "DSP48E[12]": _DSP,
    "RAMB36E[12]": _RAM,
    "RAMB18E[12]": _HALF_RAM,
    "SRL16E|SRLC32E": _memory(1, 0),
    "RAM(32|64)X1S": _memory(1, 64),
    "RAM(32|64)X1D|RAM128X1S": _memory(2, 128),
    "RAM(32|64)M|RAM128X1D|RAM256X1[SD]": _memory(4, 256),
    "RAM32M16|RAM64M8|RAM512X1S": _memory(8, 512),
}
_LATTICE = {
    "LUT4": _LUT,
    # Two bits of a carry chain are two look-up tables.
    "CCU2C": Cost(luts=2),
    # Four look-up tables hold the data, and their slice's neighbours the address to write to.
    "TRELLIS_DPR16X4": _memory(6, 64),
    "TRELLIS_FF": _FLIP_FLOP,
    "MULT18X18D": _DSP,
    "DP16KD|PDPW16KD": _RAM,
}
_ICE40 = {"SB_LUT4": _LUT, "SB_DFF.*": _FLIP_FLOP, "SB_RAM40_4K.*": _RAM}
_GOWIN = {
    "LUT[1-4]|ALU": _LUT,
    "DFFN?[SRCP]?E?": _FLIP_FLOP,
    "MULT9X9": _HALF_DSP,
    "MULT18X18": _DSP,
    "MULT36X36": Cost(dsps=Fraction(4)),
    "RAM16SDP4|RAM16S4": _memory(4, 64),
    "(SP|SDP|DP)(B|X9|X9B)?|pROM(X9)?": _RAM,
}
_CYCLONE_V = {
    "MISTRAL_ALUT([2-5]|_ARITH)": _LUT,
    # All eight inputs of an adaptive logic module, which is two look-up tables.
    "MISTRAL_ALUT6": Cost(luts=2),
    "MISTRAL_MLAB": _memory(1, 32),
    "MISTRAL_FF": _FLIP_FLOP,
    "MISTRAL_MUL27X27": _DSP,
    "MISTRAL_MUL18X18": _HALF_DSP,
    "MISTRAL_MUL9X9": Cost(dsps=Fraction(1, 3)),
    "MISTRAL_M10K": _RAM,
}
_M9K = {
    "fiftyfivenm_lcell_comb": _LUT,
    "dffeas": _FLIP_FLOP,
    "fiftyfivenm_mac_mult": _DSP,
    "MUL9X9": _HALF_DSP,
    "M9K": _RAM,
}
# Yosys 0.70 stops at a memory with contents for MAX 10, and has neither memories nor multipliers for Cyclone 10 LP.
# Both have the M9K and the multiplier of Cyclone IV, so both are mapped as MAX 10, and these lines see to the memories;
# in the netlist they stay as boxes.
_M9K_COMMAND = "synth_intel -family max10 -nobram"
_M9K_EXTRA = (
    f"read_verilog -lib {BUILD}/m9k.v",
    "chtype -set MUL9X9 t:fiftyfivenm_mac_mult r:dataa_width<=9 %i r:datab_width<=9 %i",
    f"memory_libmap -lib {BUILD}/m9k.txt",
    "chtype -set M9K t:$__M9K_",
)
_M9K_CAVEAT = "look-up tables are an estimate: Yosys uses no carry chains here; Quartus does"

FAMILIES = {
    family.name: family
    for family in (
        # Multiplexers of look-up tables (wide LUTs) make the 7 series neither larger nor slower; on ECP5 and Gowin they
        # cost more tables than they save, and no speed. -dff saves 13 % of the tables, for 3.5 times the run time.
        Family("xc7", "synth_xilinx -family xc7 -flatten", "map_ffram", _XILINX, "-noiopad -noclkbuf"),
        Family(
            "xcup", "synth_xilinx -family xcup -flatten", "map_ffram", _XILINX, "-noiopad -noclkbuf",
            caveat="flip-flops are too many: Yosys puts none into a DSP48E2; Vivado does",
        ),
        Family("ecp5", "synth_ecp5 -nowidelut", "map_ffram", _LATTICE),
        Family("ice40", "synth_ice40 -device hx", "map_ffram", _ICE40),
        Family("ice40up", "synth_ice40 -device u -dsp", "map_ffram", {**_ICE40, "SB_MAC16": _DSP}),
        Family("gw1n", "synth_gowin -family gw1n -nowidelut", "map_ffram", _GOWIN, "-noiopads"),
        Family("gw2a", "synth_gowin -family gw2a -nowidelut", "map_ffram", _GOWIN, "-noiopads"),
        Family(
            "cyclonev", "synth_intel_alm -family cyclonev", "map_ffram", _CYCLONE_V, "-noiopad -noclkbuf",
            caveat="memories lie where Yosys likes: here it does not read where they are to lie; Quartus does",
        ),
        Family("cyclone10lp", _M9K_COMMAND, "map_ffram", _M9K, extra=_M9K_EXTRA, caveat=_M9K_CAVEAT),
        Family("max10", _M9K_COMMAND, "map_ffram", _M9K, extra=_M9K_EXTRA, caveat=_M9K_CAVEAT),
    )
}  # fmt: skip
