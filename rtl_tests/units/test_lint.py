"""Three tools, every parameter corner that the tests of the units use, not a single warning."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest
from external import need, yosys
from unit_bench import UNITS, Case

NAMES = sorted(path.stem for path in UNITS.glob("*.v"))


def cases_of(unit: str) -> tuple[Case, ...]:
    cases: tuple[Case, ...] = import_module(f"test_{unit}").CASES
    return cases


def expect_silence(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    """What ``command`` has to complain about, headed by the command."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})}
    )
    said = (done.stdout + done.stderr).strip()
    return f"{shlex.join(command)}\n{said}" if said or done.returncode else ""


@pytest.mark.parametrize("unit", NAMES)
def test_icarus(unit: str, tmp_path: Path) -> None:
    wrong = []
    for case in cases_of(unit):
        parameters = [f"-P{unit}.{name}={value}" for name, value in case.literals().items()]
        command = ["iverilog", "-g2005", "-Wall", "-t", "null", "-y", str(UNITS), "-s", unit, *parameters]
        wrong.append(expect_silence([*command, str(UNITS / f"{unit}.v")], tmp_path))
    assert not any(wrong), "\n\n".join(filter(None, wrong))


@pytest.mark.parametrize("unit", NAMES)
def test_verilator(unit: str, tmp_path: Path) -> None:
    need("verilator")
    wrong = []
    for case in cases_of(unit):
        parameters = [f"-G{name}={value}" for name, value in case.literals().items()]
        command = ["verilator", "--lint-only", "-Wall", "--top-module", unit, "-y", str(UNITS), *parameters]
        wrong.append(expect_silence([*command, str(UNITS / f"{unit}.v")], tmp_path))
    assert not any(wrong), "\n\n".join(filter(None, wrong))


@pytest.mark.parametrize("unit", NAMES)
def test_yosys(unit: str, tmp_path: Path) -> None:
    command = yosys()
    sources = " ".join(path.name for path in sorted(UNITS.glob("*.v")))
    for path in UNITS.glob("*.v"):
        shutil.copy(path, tmp_path)
    lines = [f"read_verilog -defer {sources} cases.v", "design -save all"]
    wrappers = []
    for index, case in enumerate(cases_of(unit)):
        # Each case has a folder of its own, for its ROM files; only a wrapper can pass Yosys their names.
        folder = tmp_path / f"case{index}"
        folder.mkdir()
        case.write_roms(folder)
        wrappers.append(f"module {folder.name}; {case.verilog(folder.name)} endmodule\n")
        lines += ["design -load all", f"hierarchy -check -top {folder.name}", "proc", "check -assert"]
    (tmp_path / "cases.v").write_text("".join(wrappers))
    (tmp_path / "lint.ys").write_text("\n".join(lines) + "\n")
    complaint = expect_silence([command, "-q", "-s", "lint.ys"], tmp_path)
    assert not complaint, complaint
