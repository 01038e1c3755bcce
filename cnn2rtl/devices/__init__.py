"""FPGAs and what they have: ``devices.toml`` as values."""

from __future__ import annotations

import difflib
import importlib.resources
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from cnn2rtl.errors import UserError


@dataclass(frozen=True)
class Device:
    """One FPGA. What the counts mean is told at the head of ``devices.toml``.

    ``multipliers`` are the ways to use a DSP block, (bits, bits, how many side by side); ``ram_shapes`` those to use a
    block RAM, (width in bits, depth in words). ``source`` is the document that the figures are from.
    """

    name: str
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

    @property
    def memory_bits(self) -> int:
        """Bits of block RAM in all."""
        return self.rams * self.ram_bits


@cache
def load() -> Mapping[str, Device]:
    """Every device by its name, in the order of the file."""
    text = (importlib.resources.files(__package__) / "devices.toml").read_text(encoding="utf-8")
    return {name: _device(name, row) for name, row in tomllib.loads(text).items()}


def find(name: str, option: str = "--device") -> Device:
    """The device ``name``, in upper or lower case; raises :class:`UserError`, which lists those there are.

    ``option`` is where the user named it.
    """
    devices = {device.name.lower(): device for device in load().values()}
    if name.lower() in devices:
        return devices[name.lower()]
    close = [devices[match].name for match in difflib.get_close_matches(name.lower(), devices, n=3)]
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    raise UserError(
        f"{option} {name}: no such device; {meant}there are {', '.join(load())}; "
        "for another one, see what the design takes with --family"
    )


def _device(name: str, row: Mapping[str, object]) -> Device:
    values = {key: tuple(map(tuple, value)) if isinstance(value, list) else value for key, value in row.items()}
    return Device(**{**values, "name": name, "ram_halves": bool(values["ram_halves"])})  # type: ignore[arg-type]
