"""Memories by themselves: ``cyclic_rom`` and ``simple_ram``."""

from __future__ import annotations

from cnn2rtl.hardware.parts import Memory, Parameters, Parts, describes, rom_address


@describes("cyclic_rom")
def cyclic_rom_parts(p: Parameters) -> Parts:
    depth = p["DEPTH"]
    return Parts(rom_address(depth), (Memory(p["WIDTH"], depth, False, p.place),))


@describes("simple_ram")
def simple_ram_parts(p: Parameters) -> Parts:
    return Parts({}, (Memory(p["WIDTH"], p["DEPTH"], True, p.place),))
