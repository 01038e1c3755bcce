"""The resource estimate against Yosys on whole networks: the table in docs/estimate.md.

    python benchmarks/estimate_error.py [--family xc7 ecp5 ...] [--networks student-64 digits-64 ...] [--measured FILE]

With ``--measured`` what was counted is kept in a file, by the digest of what was synthesised; only designs that are not
in it yet are synthesised. With ``--place`` nextpnr tells whether the design fits, wherever Yosys' counts say that it
does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import common  # noqa: F401 - puts the folders of the networks on the path
from estimate_networks import NETWORKS, compiled

from cnn2rtl import devices
from cnn2rtl.devices import Device
from cnn2rtl.estimation import FAMILIES, Resources
from cnn2rtl.output import listed_files
from cnn2rtl.project import open_project
from cnn2rtl.schedule import takes_of
from cnn2rtl.synthesis import FAMILIES as FLOWS
from cnn2rtl.synthesis import Family, SynthesisError, target_for, tool_for
from cnn2rtl.synthesis.nextpnr import CHIPS

DEVICES = {"xc7": "xc7a35t", "ecp5": "LFE5U-25F", "ice40up": "iCE40UP5K", "gw1n": "GW1NR-9"}
"""For each family the device that a design is to fit."""
CLOCK = 25.0
"""MHz to place and route for: whether there is room is the question."""


def digest(folder: Path, family: Family) -> str:
    """Of all that synthesis reads."""
    found = hashlib.sha256(f"{family.command} {family.pads}".encode())
    for path in sorted(listed_files(folder)):
        if path.startswith(("rtl/", "rom/")):
            found.update(path.encode() + (folder / path).read_bytes())
    return found.hexdigest()


@dataclass
class Measured:
    """What was counted, by digest and family; kept in ``file`` where there is one."""

    file: Path | None
    rows: dict[str, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.file is not None and self.file.exists():
            self.rows = json.loads(self.file.read_text(encoding="utf-8"))

    def usage(self, folder: Path, family: str) -> Resources:
        """What Yosys counts of the project in ``folder``, by ``cnn2rtl synth``."""
        key = f"{family} {digest(folder, FLOWS[family])}"
        if key not in self.rows:
            found = (
                tool_for("yosys", open_project(folder), target_for(None, family)).synthesise(lambda stage: None).usage
            )
            scale = FAMILIES[family]
            self._keep(key, asdict(Resources(
                found.luts, found.flip_flops, round(found.dsps * scale.dsp_units), round(found.rams * scale.ram_units),
                found.logic_cells,
            )))  # fmt: skip
        return Resources(**self.rows[key])  # type: ignore[arg-type]

    def placed(self, folder: Path, device: Device) -> bool:
        """Whether nextpnr places and routes it, with a wrapper that needs few pins."""
        key = f"{device.name} {digest(folder, FLOWS[device.family])}"
        if key not in self.rows:
            tool = tool_for("yosys", open_project(folder), target_for(device.name, None))
            try:
                tool.place_and_route(CLOCK, 1, lambda stage: None)
            except SynthesisError as error:
                print(error)
            self._keep(key, {"placed": float((folder / "syn/yosys/build/report.json").is_file())})
        return bool(self.rows[key]["placed"])

    def _keep(self, key: str, row: dict[str, float]) -> None:
        self.rows[key] = row
        if self.file is not None:
            self.file.write_text(json.dumps(self.rows, indent=1), encoding="utf-8")


def fits(found: Resources, device: Device) -> bool:
    family = FAMILIES[device.family]
    return (
        max(found.luts, found.cells) <= device.luts
        and found.flip_flops <= device.flip_flops
        and found.dsps <= device.dsps * family.dsp_units
        and found.block_rams <= device.rams * family.ram_units
    )


def compared(real: float, guess: float) -> list[str]:
    """Both and the error, nothing where there is none of it."""
    return [f"{real:,.0f}", f"{guess:,.0f}", f"{100 * (guess / real - 1):+.1f} %"] if real else ["", "", ""]


def rows(name: str, families: Iterable[str], measured: Measured, *, place: bool) -> Iterable[str]:
    """The rows of one network."""
    network = compiled(name)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "design"
        network.write(project)
        for family in families:
            real = measured.usage(project, family)
            guess = takes_of(network.graph, network.design.schedule, family).total
            cells = [name, family]
            for resource in ("luts", "flip_flops", "cells"):
                cells += compared(getattr(real, resource), getattr(guess, resource))
            cells += [str(value) for value in (real.dsps, guess.dsps, real.block_rams, guess.block_rams)]
            if family in DEVICES:
                device = devices.find(DEVICES[family])
                there = fits(real, device)
                how = ""
                if place and there and device.name in CHIPS:
                    there, how = measured.placed(project, device), " (placed)"
                cells += [f"{(there and 'yes') or 'no'}{how}", "yes" if fits(guess, device) else "no"]
            yield f"| {' | '.join(cells)} |"


HEAD = """\
| network | family | LUTs | estimate | | FFs | estimate | | cells | estimate | | DSPs | | RAMs | | fits | |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", nargs="+", default=[*DEVICES], choices=[*FAMILIES])
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--measured", type=Path, help="keep what was counted in this file, and use what is there")
    parser.add_argument("--place", action="store_true", help="place and route what seems to fit, where nextpnr can")
    arguments = parser.parse_args()
    measured = Measured(arguments.measured)
    print(HEAD)
    for name in arguments.networks:
        for row in rows(name, arguments.family, measured, place=arguments.place):
            print(row, flush=True)


if __name__ == "__main__":
    main()
