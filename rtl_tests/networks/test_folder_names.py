"""Folders may be called anything: what is in them is generated, simulated and measured like in any other."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from command_line import EXAMPLE, mistakes, run, succeed
from external import need
from torch import nn

NAMES = (
    "blanks, \"quotes\" and 'ticks'",
    "$HOME $(touch RAN) `touch RAN`; touch RAN",
    "back\\slash #hash %d%s a=b :colon",
    "-rf",
    "übung 日本 \u202e",
    "two\nlines\tand [red] *?",
    "l" * 200,
)


SMALL = ("net.pt", "--input", "1x8x8")


def write_small(folder: Path) -> None:
    torch.manual_seed(0)
    torch.save(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10)), folder / "net.pt")


def tried(name: str, tmp_path: Path, engine: str) -> None:
    """Everything that a project is used for, with the folders of it and of its images called so."""
    work = tmp_path / "work"
    shutil.copytree(EXAMPLE / "calib", work / "images" / name)
    images, project = Path("images", name), Path("projects", name)
    (work / "projects").mkdir()
    write_small(work)
    text = succeed("generate", *SMALL, "--calib", images, "-o", project, cwd=work)
    # What it says to do next can be pasted into a shell.
    if name.isprintable():
        command = next(line for line in text.splitlines() if line.strip().startswith("proof")).split("cnn2rtl ", 1)[1]
        assert shlex.split(command)[:2] == ["simulate", str(project)]
    said = succeed("simulate", project, "--engine", engine, "--frames", "1", "--images", images, cwd=work)
    assert "\nPASS net: 0 wrong of " in said
    assert "top-1 agreement " in succeed("evaluate", project, "--data", images, cwd=work)
    if engine == "icarus":
        made = subprocess.run(["make", "-C", work / project / "sim"], capture_output=True, text=True, check=False)
        assert made.returncode == 0 and made.stdout.count("PASS net") == 2, made
    assert not list(tmp_path.rglob("RAN")) and not Path("RAN").exists()


@pytest.mark.parametrize("name", NAMES)
def test_in_icarus(name: str, tmp_path: Path) -> None:
    need("iverilog")
    tried(name, tmp_path, "icarus")


@pytest.mark.slow
def test_in_verilator(tmp_path: Path) -> None:
    """All of the names in one, as it takes long to compile; make allows no blanks."""
    need("verilator")
    tried("".join(reversed(NAMES[:5])).replace(" ", "_"), tmp_path, "verilator")


def test_what_make_cannot_build_is_refused_with_all_else(tmp_path: Path) -> None:
    need("verilator")
    write_small(tmp_path)
    assert run("generate", *SMALL, "-o", "a b", cwd=tmp_path).code == 0
    lines = mistakes("simulate", "a b", "--engine", "verilator", "--images", "none", cwd=tmp_path)
    assert lines[0].startswith("verilator: cannot build in ") and "make allows no blanks in a path" in lines[0]
    assert lines[1:] == ["--images none: no such file or folder"]
