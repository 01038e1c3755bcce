"""Layers, inputs and a network whose names would run something: both simulators find them as good as any others."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import run, succeed
from external import need, yosys
from hostile import network

pytestmark = pytest.mark.xdist_group("hostile names")

SYSTEM = '")) u_z(); initial $system("touch RAN"); stream_check #(.LAYER("b'
NAMES = (
    SYSTEM,
    "back\\",
    '\nendmodule\nmodule other; initial $system("touch RAN"); endmodule\n',
    '`include "RAN"\n`define clk',
    "synthesis translate_off",
    "*/ // $(shell touch RAN) ${HOME} `touch RAN` ; touch RAN",
    "l" * 4000,
    "\u202e\x1b[31m%s%0d[/]",
    "stream_fifo",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "project"
    network().compiled(NAMES, SYSTEM).write(folder)
    return folder


def verdict(project: Path) -> object:
    """What the last simulation found, but for who simulated."""
    results = json.loads((project / "design.json").read_text())["results"]["simulation"]
    return {key: value for key, value in results.items() if key != "engine"}


def test_it_is_simulated_like_any_other(project: Path) -> None:
    plain = network().compiled([f"layer{i}" for i in range(len(NAMES))], "plain")
    elsewhere = project.parent / "plain"
    plain.write(elsewhere)
    found = []
    for folder in (project, elsewhere):
        for engine in ("icarus", "verilator"):
            need(engine if engine == "verilator" else "iverilog")
            said = succeed("simulate", folder, "--engine", engine, "--verbose", cwd=project.parent)
            assert "PASS" in said and "\x1b" not in said and "\u202e" not in said
            found.append(verdict(folder))
    assert found[0] == found[1] and found[2] == found[3]
    assert len({json.dumps([*one["streams"].values()]) for one in found}) == 1  # type: ignore[index]
    assert not list(project.parent.rglob("RAN")) and not Path("RAN").exists()


def test_the_folder_proves_itself(project: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(project, tmp_path / "copy"))
    for target in ("icarus", "verilator"):
        need(target if target == "verilator" else "iverilog")
        done = subprocess.run(["make", "-C", str(copy / "sim"), target], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and len(re.findall(r"^PASS ", done.stdout, re.MULTILINE)) == 2, done
    assert not list(tmp_path.rglob("RAN"))


def test_linters_have_no_complaint(project: Path) -> None:
    sources = sorted(f"../rtl/{file.name}" for file in (project / "rtl").glob("*.v"))
    top = json.loads((project / "design.json").read_text())["name"]
    need("verilator")
    (project / "syn" / "yosys" / "build").mkdir()
    for command in (
        ["iverilog", "-g2005", "-Wall", "-t", "null", "-s", top, *sources],
        ["verilator", "--lint-only", "-Wall", "--top-module", top, *sources],
        [yosys(), "-q", "../syn/yosys/synth.ys"],
    ):
        done = subprocess.run(command, cwd=project / "rom", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done
        assert "arning" not in done.stdout + done.stderr or "yosys" in command[0], done
    assert not list(project.parent.rglob("RAN"))


def test_what_differs_is_told_by_the_layer_s_own_name(project: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(project, tmp_path / "copy"))
    rom = next((copy / "rom").glob("synthesis*_requant.hex"))
    first, rest = rom.read_text().split("\n", 1)
    rom.write_text(f"{int(first, 16) ^ 4096:0{len(first)}x}\n{rest}")
    result = run("simulate", copy, cwd=tmp_path)
    assert result.code == 1
    assert re.search(
        r"^WRONG layer synthesis translate_off frame 0 y \d+ x \d+ channel \d+: got", result.out, re.MULTILINE
    )
    assert "\x1b" not in result.out
