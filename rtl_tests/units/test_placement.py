"""Memories lie where they are told to: attributes for every maker's tool, and what Yosys makes of them."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from external import yosys
from unit_bench import UNITS

from cnn2rtl.synthesis import FAMILIES

MEMORY = re.compile(r"(?:\(\* (?P<attributes>[^*]*) \*\)\s*)?reg \[[^\]]*\] mem \[0:")
BLOCKS = {"g_block", "g_tables", "g_registers", "g_any"}
"""The branches of a unit, one for each place."""
# What the makers' manuals list: AMD UG901 (ROM_STYLE, RAM_STYLE), Intel 683283 (ramstyle and romstyle).
AMD = {"rom_style": {"block", "distributed"}, "ram_style": {"block", "distributed", "registers"}}
INTEL = {"romstyle": {"M10K", "logic"}, "ramstyle": {"M10K", "MLAB", "logic"}}


def memories(unit: Path) -> dict[str, list[dict[str, str]]]:
    """The attributes of the memories in each of the unit's branches."""
    found: dict[str, list[dict[str, str]]] = {}
    for part in re.split(r"begin : ", unit.read_text())[1:]:
        for match in MEMORY.finditer(part):
            pairs = re.findall(r'(\w+)(?: = "([^"]*)")?', match["attributes"] or "")
            found.setdefault(part.split()[0], []).append(dict(pairs))
    return found


UNITS_WITH_PLACE = [path for path in sorted(UNITS.glob("*.v")) if memories(path).keys() & (BLOCKS - {"g_any"})]


def test_every_memory_is_in_a_branch_for_its_place() -> None:
    assert {path.stem for path in UNITS_WITH_PLACE} == {"cyclic_rom", "lookup", "simple_ram"}
    # No other unit has memories of its own; the tables of resample are constants, always in logic.
    others = [
        path.stem for path in UNITS.glob("*.v") if path not in UNITS_WITH_PLACE and MEMORY.search(path.read_text())
    ]
    assert not others


@pytest.mark.parametrize("path", UNITS_WITH_PLACE, ids=lambda path: path.stem)
def test_every_maker_is_told(path: Path) -> None:
    branches = memories(path)
    assert branches.keys() <= BLOCKS
    kind = "rom" if "$readmemh" in path.read_text() else "ram"
    for branch in branches.keys() - {"g_any"}:
        for attributes in branches[branch]:
            amd, intel = attributes[f"{kind}_style"], attributes[f"{kind}style"]
            assert amd in AMD[f"{kind}_style"]
            assert intel.removesuffix(", no_rw_check") in INTEL[f"{kind}style"]
            # Where the one tool must not add logic for collisions, the other must not either.
            assert ("no_rw_check" in attributes) == ("no_rw_check" in intel)


LOGIC = "$mem_v2"
"""A memory that no cell was found for, and that becomes look-up tables and registers from there on."""
# Unit, its parameters, where it lies, and what that takes. Each place beside PLACE 0, of a size that the tool left to
# itself puts elsewhere.
FILES = {"cyclic_rom": "FILE", "lookup": "TABLE_FILE"}
PLACED: tuple[tuple[str, dict[str, int], str], ...] = (
    ("simple_ram", {"DEPTH": 32, "PLACE": 0}, "distributed_ram_bits"),
    ("simple_ram", {"DEPTH": 32, "PLACE": 1}, "rams"),
    ("simple_ram", {"DEPTH": 1024, "PLACE": 0}, "rams"),
    ("simple_ram", {"DEPTH": 1024, "PLACE": 2}, "distributed_ram_bits"),
    ("simple_ram", {"DEPTH": 1024, "PLACE": 3}, LOGIC),
    ("cyclic_rom", {"DEPTH": 32, "PLACE": 0}, LOGIC),
    ("cyclic_rom", {"DEPTH": 32, "PLACE": 1}, "rams"),
    ("cyclic_rom", {"DEPTH": 4096, "PLACE": 0}, "rams"),
    ("cyclic_rom", {"DEPTH": 4096, "PLACE": 2}, LOGIC),
    ("lookup", {"BITS": 5, "PLACE": 0}, LOGIC),
    ("lookup", {"BITS": 5, "PLACE": 1}, "rams"),
    ("lookup", {"BITS": 12, "PLACE": 0}, "rams"),
    ("lookup", {"BITS": 12, "PLACE": 2}, LOGIC),
)


@pytest.mark.parametrize(("family", "whole"), [("xc7", "-flatten"), ("ecp5", "-nowidelut")])
def test_yosys_does_as_it_is_told(family: str, whole: str, tmp_path: Path) -> None:
    about, instances = FAMILIES[family], []
    # The Yosys from PyPI sees no files but those below the folder it runs in.
    for unit in {unit for unit, _, _ in PLACED}:
        (tmp_path / f"{unit}.v").write_text((UNITS / f"{unit}.v").read_text())
    for number, (unit, parameters, _) in enumerate(PLACED):
        words = parameters.get("DEPTH", 1 << parameters.get("BITS", 0))
        contents = [(word * 37 + 11) * (word + 3) * word % 251 for word in range(words)]
        (tmp_path / f"{number}.hex").write_text("".join(f"{word:02x}\n" for word in contents))
        values = {name: str(value) for name, value in parameters.items()}
        if unit in FILES:
            values[FILES[unit]] = f'"{number}.hex"'
        given = ", ".join(f".{name}({value})" for name, value in values.items())
        instances.append(f"(* keep *) {unit} #({given}) u{number} ();\n")
    (tmp_path / "placed.v").write_text(f"module placed;\n{''.join(instances)}endmodule\n")
    # Module by module, so that nothing is taken out for having no wires.
    command = about.command.replace(whole, "" if whole == "-flatten" else f"{whole} -noflatten")
    sources = " ".join(sorted(path.name for path in tmp_path.glob("*.v")))
    script = (
        f"read_verilog -defer {sources}; {command} {about.pads} -top placed -run begin:{about.mapped}; "
        "select =A:whitebox %n =A:blackbox %n %i; write_json -selected placed.json"
    )
    done = subprocess.run([yosys(), "-q", "-p", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    modules = json.loads((tmp_path / "placed.json").read_text())["modules"]
    for number, (unit, parameters, resource) in enumerate(PLACED):
        module = modules[modules["placed"]["cells"][f"u{number}"]["type"]]
        cells = Counter(cell["type"] for cell in module["cells"].values())
        usage = about.usage(cells)
        found = {name for name in ("rams", "distributed_ram_bits") if getattr(usage, name)} | cells.keys() & {LOGIC}
        assert found == {resource}, f"{unit} {parameters}: {cells}"
