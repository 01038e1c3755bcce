"""nextpnr: places and routes what Yosys mapped, and tells how fast it is.

Nothing is written that could be put into a device: the pins are wherever nextpnr had room for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cnn2rtl.devices import load
from cnn2rtl.errors import UserError
from cnn2rtl.render.verilog import WRAPPER
from cnn2rtl.synthesis.problems import SynthesisError
from cnn2rtl.synthesis.process import OnStage, programs, run, version
from cnn2rtl.synthesis.result import Routed
from cnn2rtl.synthesis.tool import Target


@dataclass(frozen=True)
class Chip:
    """How one device is called by nextpnr: ``program`` without its prefix, and the ``options`` that name the device.

    ``pins`` (port to pin) where nextpnr does not choose them by itself; those of a common board.
    """

    program: str
    options: tuple[str, ...]
    pins: tuple[tuple[str, str], ...] = ()


def _ecp5(size: str) -> Chip:
    # The slowest speed grade, which every board has or exceeds.
    options = (f"--{size}k", "--package", "CABGA381", "--speed", "6", "--lpf-allow-unconstrained")
    return Chip("nextpnr-ecp5", options)


def _ice40(name: str, package: str) -> Chip:
    options = (f"--{name}", "--package", package, "--pcf-allow-unconstrained")
    return Chip("nextpnr-ice40", options)


def _gowin(device: str, family: str, *pins: str) -> Chip:
    options = ("--device", load()[device].part, "--vopt", f"family={family}", "--vopt", "cst=pins.cst")
    ports = tuple(zip(("clk", "rst", "in", "out"), pins, strict=True))
    return Chip("nextpnr-himbaechel-gowin", options, ports)


CHIPS: Mapping[str, Chip] = {
    # To nextpnr the smallest one has as much of everything as the next; the device's own figures say whether it fits.
    "LFE5U-12F": _ecp5("12"),
    "LFE5U-25F": _ecp5("25"),
    "LFE5U-45F": _ecp5("45"),
    "LFE5U-85F": _ecp5("85"),
    "iCE40UP5K": _ice40("up5k", "sg48"),
    "iCE40HX8K": _ice40("hx8k", "ct256"),
    "GW1NR-9": _gowin("GW1NR-9", "GW1N-9C", "52", "4", "25", "10"),
    "GW2AR-18": _gowin("GW2AR-18", "GW2A-18C", "4", "88", "27", "15"),
}
"""The devices that nextpnr knows, by their name in ``devices.toml``."""


@dataclass(frozen=True)
class Nextpnr:
    """nextpnr for one chip. It runs in the build folder, where the netlist lies."""

    TOP: ClassVar[str] = WRAPPER
    chip: Chip
    program: str
    version: str

    def run(self, work: Path, mhz: float, seed: int, on_stage: OnStage) -> Routed:
        """Place and route ``netlist.json`` for ``mhz``; raises :class:`SynthesisError` where that is impossible."""
        report = work / "report.json"
        report.unlink(missing_ok=True)
        if self.chip.pins:
            places = "".join(f'IO_LOC "{port}" {pin};\n' for port, pin in self.chip.pins)
            (work / "pins.cst").write_text(places, encoding="utf-8")
        command = [
            self.program, *self.chip.options, "--json", "netlist.json", "--top", self.TOP, "--report", report.name,
            "--freq", f"{mhz:g}", "--seed", str(seed), "--timing-allow-fail",
        ]  # fmt: skip
        code, lines = run(command, work, work / "nextpnr.log", on_stage)
        if code != 0 or not report.is_file():
            errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
            raise SynthesisError(
                f"nextpnr: {error}" for error in errors or [f"exit code {code}; see {work / 'nextpnr.log'}"]
            )
        return Routed(self.chip.program, self.version, seed, mhz, round(_fmax(report), 2))


def nextpnr_for(target: Target) -> Nextpnr:
    """nextpnr for the device of ``target``."""
    names = ", ".join(CHIPS)
    if target.device is None:
        raise UserError(f"`pnr=True`: needs a device to place on: give `device=`, one of {names}")
    chip = CHIPS.get(target.device.name)
    if chip is None:
        raise UserError(
            f"`pnr=True`: nextpnr does not know {target.device.name}; it places and routes on {names}; for other "
            "devices use the maker's tool with the script in syn/"
        )
    program = next(programs(chip.program, f"yowasp-{chip.program}"), None)
    if program is None:
        raise UserError(f"`pnr=True`: {chip.program} not found; pip install yowasp-{chip.program}, or cnn2rtl[pnr]")
    return Nextpnr(chip, program, version(program, "--version"))


def _fmax(report: Path) -> float:
    """MHz that the slowest clock of the final report reached."""
    clocks = json.loads(report.read_text(encoding="utf-8"))["fmax"]
    if not clocks:
        raise SynthesisError(["nextpnr: the report names no clock"])
    return float(min(clock["achieved"] for clock in clocks.values()))
