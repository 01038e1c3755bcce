"""What a design is in Verilog: parameters' values, and the library modules that it needs."""

from __future__ import annotations

from collections.abc import Iterable

from cnn2rtl.hardware.block import Block
from cnn2rtl.hardware.unit import Bits, Numbers, ParameterValue, RomFile
from cnn2rtl.render import templates

SIMULATION = ("stream_check", "stream_meter", "stream_sink", "stream_source")
"""Modules of the testbench."""

WRAPPER = "cnn2rtl_pins"
"""The module around a design that is placed and routed by itself."""

NUMBERS = 12
"""Of a table among the parameters, in a line."""


def reserved() -> tuple[str, ...]:
    """The names of all modules but the design's, which its own must not be called as."""
    return (*templates.unit_names(), *SIMULATION, WRAPPER)


def used_units(blocks: Iterable[Block]) -> tuple[str, ...]:
    """The library modules that the design needs, with those that these instantiate."""
    found: set[str] = set()
    units = (instance for block in blocks for instance in block.instances if not instance.template)
    wanted = {instance.module for instance in units} | {"stream_fifo", "frame_check"}
    library = templates.unit_names()
    while wanted:
        name = wanted.pop()
        found.add(name)
        text = templates.read(f"units/{name}.v")
        wanted |= {other for other in library if f" {other} #(" in text} - found
    return tuple(sorted(found))


def literal(value: ParameterValue, module: str) -> str:
    """A parameter's value in Verilog."""
    if isinstance(value, RomFile):
        return f'"{module}_{value.name}.hex"'
    if isinstance(value, Numbers):
        return _numbers(value)
    if isinstance(value, Bits):
        return f"{value.width}'h{value.value:x}"
    return str(value)


def _numbers(value: Numbers) -> str:
    """The last one first, as Verilog has them, some to a line."""
    ones = (1 << value.BITS) - 1
    words = [f"{value.BITS}'{f'd{n}' if n < ones else f'h{ones:X}'}" for n in reversed(value.values)]
    lines = [", ".join(words[first : first + NUMBERS]) for first in range(0, len(words), NUMBERS)]
    return "{" + (lines[0] if len(lines) == 1 else "".join(f"\n            {line}," for line in lines)[:-1]) + "}"
