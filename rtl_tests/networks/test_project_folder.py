"""The emitted folder by itself: proven without cnn2rtl, linted by three tools, read by the tool scripts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from external import ENVIRONMENT, need, yosys
from generator import images_for
from models import randomised
from test_mutations import network
from torch import nn

from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.schedule import Target
from cnn2rtl.verify import engine_for

pytestmark = [pytest.mark.xdist_group("project folder"), pytest.mark.slow]
SHAPE = (3, 9, 10)


def run(*command: str | Path, cwd: Path, path: str | None = None) -> str:
    """What a command prints; ``path`` replaces PATH. It must succeed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    if path is not None:
        environment["PATH"] = path
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


class Modules(nn.Module):
    """Named modules, so that the emitted names can be told from numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = network()
        self.always = nn.Linear(4, 3)  # a word of Verilog

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.always(self.layers(x))
        return out


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("design") / "project"
    torch.set_num_threads(1)
    options = Options(mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2), target=Target(multipliers=24))
    graph = capture(randomised(Modules(), 3), SHAPE, "net")
    compile_graph(graph, options, images_for(SHAPE, 5, 8)).write(folder)
    return folder


@pytest.fixture(scope="module")
def constants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network with weights built in."""
    folder = tmp_path_factory.mktemp("constants") / "project"
    options = Options(target=Target(multipliers=10_000, dsps=0))
    compile_graph(capture(randomised(Modules(), 3), SHAPE, "net"), options, images_for(SHAPE, 5, 8)).write(folder)
    assert list((folder / "rtl").glob("*_constants.v"))
    return folder


@pytest.fixture
def copy(project: Path, tmp_path: Path) -> Path:
    """The folder, copied elsewhere."""
    return Path(shutil.copytree(project, tmp_path / "copied here"))


def without_python(tmp_path: Path) -> str:
    """A PATH with the simulator and what a shell needs, and no Python."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("iverilog", "vvp", "make", "sh", "bash", "cat", "grep", "mkdir", "rm", "echo"):
        target = shutil.which(name)
        assert target, name
        (tools / name).symlink_to(target)
    return str(tools)


def test_the_folder_proves_itself_with_icarus_alone(copy: Path, tmp_path: Path) -> None:
    said = run("make", "-C", copy / "sim", cwd=tmp_path, path=without_python(tmp_path))
    assert len(re.findall(r"^PASS net: 2 frames, every value of every layer equal", said, re.MULTILINE)) == 2
    assert "FAIL" not in said
    assert "equal; latency" in run("make", "-C", copy / "sim", "WAVES=1", cwd=tmp_path)
    assert (copy / "sim" / "build" / "waves.vcd").stat().st_size > 1000


def test_the_folder_says_when_it_is_broken(copy: Path, tmp_path: Path) -> None:
    rom = copy / "rom" / "layers_0_weights.hex"
    text = rom.read_text()
    rom.write_text(f"{int(text[0], 16) ^ 1:x}{text[1:]}")
    done = subprocess.run(["make", "-C", str(copy / "sim")], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert re.search(r"^WRONG layer layers_0 frame 0 y \d+ x \d+ channel \d+", done.stdout, re.MULTILINE)
    assert re.search(r"^FAIL net", done.stdout, re.MULTILINE)


def test_the_folder_takes_no_words_that_are_too_wide(copy: Path) -> None:
    """The simulator cuts them off: the values would all be right."""
    rom = copy / "rom" / "layers_0_weights.hex"
    rom.write_text(f"f{rom.read_text()}")
    done = subprocess.run(["make", "-C", str(copy / "sim")], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "Excess hex digits" in done.stdout
    assert re.search(r"^FAIL net", done.stdout, re.MULTILINE)


def test_the_folder_proves_itself_with_verilator(copy: Path, tmp_path: Path) -> None:
    need("verilator")
    with pytest.raises(UserError, match="no blanks in a path"):
        engine_for("verilator", copy, copy / "sim" / "build").build()
    elsewhere = copy.rename(tmp_path / "no_blanks")
    said = run("make", "-C", elsewhere / "sim", "verilator", cwd=tmp_path)
    assert len(re.findall(r"^PASS net: 2 frames", said, re.MULTILINE)) == 2


def test_the_cocotb_test_passes_and_can_fail(copy: Path, tmp_path: Path) -> None:
    path = f"{ENVIRONMENT}{os.pathsep}{os.environ['PATH']}"
    said = run("make", "-C", copy / "sim", "cocotb", cwd=tmp_path, path=path)
    assert re.findall(r"^PASS net: .*", said, re.MULTILINE) == ["PASS net: 1 cocotb tests, 0 failed"]
    rom = copy / "rom" / "always_layer_requant.hex"
    first, rest = rom.read_text().split("\n", 1)
    rom.write_text(f"{int(first, 16) ^ 4096:0{len(first)}x}\n{rest}")
    done = subprocess.run(
        ["make", "-C", str(copy / "sim"), "cocotb"], capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": path},
    )  # fmt: skip
    assert done.returncode != 0
    assert re.search(r"^FAIL net: 1 cocotb tests, 1 failed", done.stdout, re.MULTILINE)


# ------------------------------------------------------------------------------------------------------------ lint


def sources(folder: Path) -> list[str]:
    return sorted(f"../rtl/{file.name}" for file in (folder / "rtl").glob("*.v"))


def test_the_verilog_is_2005_without_a_warning(project: Path, constants: Path) -> None:
    command = ("iverilog", "-g2005", "-Wall", "-t", "null", "-s", "net")
    for folder in (project, constants):
        assert run(*command, *sources(folder), cwd=folder / "rom") == ""


def test_verilator_has_no_complaint(project: Path, constants: Path) -> None:
    need("verilator")
    command = ("verilator", "--lint-only", "-Wall", "--top-module", "net")
    for folder in (project, constants):
        assert run(*command, *sources(folder), cwd=folder / "rom") == ""


def test_every_file_is_one_module_with_its_header(project: Path, constants: Path) -> None:
    for file in (*sorted((project / "rtl").glob("*.v")), *sorted((constants / "rtl").glob("*.v"))):
        text = file.read_text()
        assert re.findall(r"^module (\w+)", text, re.MULTILINE) == [file.stem]
        assert text.startswith(("// SPDX-", "// Generated by cnn2rtl"))
        assert text.endswith("`default_nettype wire\n")
        assert "`default_nettype none\n" in text
        assert not re.search(r"[ \t]+$|\t", text, re.MULTILINE), f"{file.name}: tabs or trailing blanks"


def test_rom_files_have_exactly_their_words(project: Path) -> None:
    seen = set()
    for file in (project / "rtl").glob("*.v"):
        text = file.read_text()
        for depth, name in re.findall(
            r"\.(?:WEIGHT_WORDS|FOLDS)\((\d+)\)(?:(?!\) u_).)*?_FILE\(\"(.*?)\"\)", text, re.DOTALL
        ):
            words = (project / "rom" / name).read_text().splitlines()
            assert len(words) == int(depth), name
            assert len({len(word) for word in words}) == 1
            assert all(re.fullmatch(r"[0-9a-f]+", word) for word in words)
            seen.add(name)
    assert seen == {file.name for file in (project / "rom").iterdir()}


# ---------------------------------------------------------------------------------------------------- tool scripts


def test_yosys_runs_its_script(copy: Path) -> None:
    # As the head of the script says.
    text = (copy / "syn" / "yosys" / "synth.ys").read_text()
    assert "mkdir -p build && cd ../../rom && yosys -l ../syn/yosys/build/synth.log ../syn/yosys/synth.ys" in text
    build = copy / "syn" / "yosys" / "build"
    build.mkdir()
    run(yosys(), "-q", "-l", "../syn/yosys/build/synth.log", "../syn/yosys/synth.ys", cwd=copy / "rom")
    log = (build / "synth.log").read_text()
    assert "Found and reported 0 problems" in log
    assert not re.search(r"^Warning: (?!.*[Rr]esizing)", log, re.MULTILINE), log
    assert (build / "net.json").stat().st_size > 10_000


# Vendor commands that the scripts may call. They do nothing but check that the files they are given exist.
STUBS = {
    "vivado": """
        set argc 0; set argv {}
        proc read_verilog {files} { foreach f $files { if {![file exists $f]} { error "no $f" }; puts "READ $f" } }
        foreach name {opt_design place_design route_design} { proc $name {args} {} }
        proc synth_design {args} { puts "SYNTH $args" }
        proc create_clock {name clk period value port} { puts "PERIOD $value" }
        proc get_ports {name} { return $name }
        foreach name {report_utilization report_timing_summary write_checkpoint} { proc $name {args} {} }
    """,
    "quartus": """
        set quartus(args) {}
        package provide ::quartus::project 1.0
        package provide ::quartus::flow 1.0
        proc project_new {args} { puts "PROJECT $args" }
        proc project_close {} {}
        proc export_assignments {} {}
        proc set_instance_assignment {args} {}
        proc execute_flow {args} { puts "FLOW $args" }
        proc set_global_assignment {flag name value} {
            if {$name eq "VERILOG_FILE"} { if {![file exists $value]} { error "no $value" }; puts "READ $value" }
            if {$name eq "SEARCH_PATH"} { if {![file isdirectory $value]} { error "no $value" }; puts "ROM $value" }
            if {$name eq "SDC_FILE"} { puts "PERIOD [lindex [read [open $value]] 4]" }
            if {$name eq "DEVICE"} { puts "DEVICE $value" }
            if {$name eq "TOP_LEVEL_ENTITY"} { puts "SYNTH -top $value" }
        }
    """,
}


BUILT = {"vivado": "-part xc7a35tcpg236-1", "quartus": "DEVICE 5CSEBA6U23I7"}


@pytest.mark.parametrize("tool", sorted(STUBS))
def test_vendor_scripts_name_every_file(tool: str, copy: Path, tmp_path: Path) -> None:
    need("tclsh")
    script = copy / "syn" / tool / "build.tcl"
    (tmp_path / "stub.tcl").write_text(f"{STUBS[tool]}\nsource {{{script}}}\n")
    said = run("tclsh", tmp_path / "stub.tcl", cwd=tmp_path)
    assert {Path(line[5:]) for line in said.splitlines() if line.startswith("READ ")} == set((copy / "rtl").glob("*.v"))
    assert re.search(r"^SYNTH .*-top net\b", said, re.MULTILINE)
    # No device was named: an example of the maker's, and the default clock.
    assert BUILT[tool] in said and "PERIOD 10.0\n" in said and "WARNING" not in said
    assert tool == "vivado" or f"ROM {copy / 'rom'}" in said
    # A ROM file of another length, or that is missing, stops the script.
    rom = copy / "rom" / "layers_0_weights.hex"
    words = rom.read_text().splitlines()
    for lines in (words[:-1], [*words, "0"], None):
        if lines is None:
            rom.unlink()
        else:
            rom.write_text("\n".join(lines) + "\n")
        done = subprocess.run(["tclsh", str(tmp_path / "stub.tcl")], capture_output=True, text=True, check=False)
        assert done.returncode != 0
        wrong = (
            "missing memory contents: "
            if lines is None
            else f"has {len(lines)} words, where the design has {len(words)}"
        )
        assert wrong in done.stderr and "rom/layers_0_weights.hex" in done.stderr
