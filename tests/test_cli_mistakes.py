"""A user's mistakes: exit code 2, one line each that says what to do, all at once, and nothing written."""

from __future__ import annotations

import json
import os
import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import DIGITS, EXAMPLE, mistakes, run
from PIL import Image
from torch import nn

from cnn2rtl.finite import REMEDY

ARCH = DIGITS[2]


class Evil:
    """Unpickling it writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return exec, (f"open({str(self.marker)!r}, 'w').close()",)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated") / "digits"
    assert run("generate", *DIGITS, "-o", folder, cwd=folder.parent).code == 0
    return folder


def one(*arguments: str | Path, cwd: Path) -> str:
    (line,) = mistakes(*arguments, cwd=cwd)
    return line


# The model


def test_files_that_are_damaged(tmp_path: Path) -> None:
    whole = Path(DIGITS[0]).read_bytes()
    for name, data in {"cut": whole[:3000], "empty": b"", "text": b"hello"}.items():
        (tmp_path / f"{name}.pt").write_bytes(data)
    options = DIGITS[1:]
    assert one("generate", "cut.pt", *options, cwd=tmp_path) == "cut.pt: the file is truncated or damaged"
    assert one("generate", "empty.pt", *options, cwd=tmp_path) == "empty.pt: the file is empty"
    assert one("generate", "text.pt", *options, cwd=tmp_path).startswith("text.pt: not a PyTorch file; expected")
    assert one("inspect", "none.pt", *options, cwd=tmp_path) == "none.pt: no such file"


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    state = torch.load(DIGITS[0], weights_only=True)
    state["features.0.weight"][3, 0, 0, 0] = float("nan")
    state["classifier.bias"][:2] = float("inf")
    torch.save(state, tmp_path / "nan.pt")
    assert mistakes("generate", "nan.pt", *DIGITS[1:], cwd=tmp_path) == [
        f"nan.pt: `features.0.weight`: 1 of 144 values are NaN or infinite; {REMEDY}",
        f"nan.pt: `classifier.bias`: 2 of 10 values are NaN or infinite; {REMEDY}",
    ]


def test_a_pickle_that_would_run_code(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1), "x": Evil(tmp_path / "marker")}, tmp_path / "evil.pt")
    for command in ("generate", "inspect"):
        line = one(command, "evil.pt", *DIGITS[1:], cwd=tmp_path)
        assert "exec" in line and "--trust-pickle" in line
    assert not (tmp_path / "marker").exists()


def test_layers_that_hardware_has_not(tmp_path: Path) -> None:
    layers = [
        ("first", nn.Conv2d(3, 4, 3)),
        ("gate", nn.GroupNorm(1, 4)),
        ("up", nn.Upsample(scale_factor=2.5, mode="bicubic")),
    ]
    torch.save(nn.Sequential(OrderedDict([*layers, ("last", nn.InstanceNorm2d(4))])), tmp_path / "net.pt")
    lines = mistakes("generate", "net.pt", "--input", "3x6x6", cwd=tmp_path)
    for line, path, operator in zip(
        lines, ("gate", "up", "last"), ("group_norm", "upsample", "instance_norm"), strict=False
    ):
        assert line.startswith(f"`{path}` (") and operator in line and "not supported" in line
    assert len(lines) == 3
    # Options are told before the network is even read: that takes seconds.
    assert one("generate", "net.pt", "--input", "3x6x6", "--bits", "1", cwd=tmp_path).startswith("width 1 of weights")


def test_input_sizes(tmp_path: Path) -> None:
    model = DIGITS[:3]
    assert one("generate", *model, cwd=tmp_path) == (
        f"{DIGITS[0]}: does not tell its input's size; say it with --input, like --input 3x128x128"
    )
    assert "does not run on a 3x8x8 input" in one("generate", *model, "--input", "3x8x8", cwd=tmp_path)
    assert "`features.16`" in one("generate", *model, "--input", "1x2x2", cwd=tmp_path)
    assert "does not run on a 1x8 input" in one("generate", *model, "--input", "1x8", cwd=tmp_path)
    for size in ("1x8x8x8", "1xx8", "axbxc", "1x0x8", "-1x8x8", "", "1x8x8.0", "1x8x²"):
        assert one("generate", *model, f"--input={size}", cwd=tmp_path) == (
            f"--input {size}: channels x height x width is expected, like 3x128x128, or channels x length, like 9x128"
        )
    torch.export.save(torch.export.export(nn.Conv2d(1, 2, 3), (torch.zeros(1, 1, 8, 8),)), tmp_path / "net.pt2")
    asked = one("generate", "net.pt2", "--input", "1x9x9", cwd=tmp_path)
    assert asked == "the model was exported for a 1x8x8 input, but 1x9x9 is asked for"


def test_architectures(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("class Other: pass\ndef broken(): raise RuntimeError('no such luck')\n")
    options = (DIGITS[0], "--input", "1x8x8")
    for arch, expected in {
        "net.py": "--arch net.py: expected FILE.py:NAME",
        "none.py:Net": "--arch: none.py: no such file",
        "net.py:Net": "--arch net.py:Net: net.py does not define `Net`; it defines broken",
        "net.py:broken": "no such luck",
        "net.py:Other": "--arch net.py:Other: Other() gives a Other, not an nn.Module",
    }.items():
        assert expected in one("generate", *options, "--arch", arch, cwd=tmp_path)
    assert "say which network with --arch FILE.py:NAME" in one("generate", *options, cwd=tmp_path)
    torch.save(nn.Sequential(nn.Conv2d(1, 2, 3)), tmp_path / "net.pt")
    assert f"leave out --arch {ARCH}" in one("generate", "net.pt", *DIGITS[1:], cwd=tmp_path)


# Options


def test_options_of_generate(tmp_path: Path) -> None:
    for text, expected in {
        "--bits 17": "width 17 of weights and activations: widths are whole numbers from 2 to 16 bits",
        "--weight-bits 0": "width 0 of weights: widths are",
        "--output-bits 1": "width 1 of outputs: widths are",
        "--mean a,b": "--mean a,b: numbers are expected, separated by commas, like",
        "--std ,": "--std ,: numbers are expected",
        "--mean .1,.2": "mean 0.1, 0.2: one value, or one for each of the input's 1 channels, is expected",
        "--mean nan": "mean nan: every value must be a finite number",
        "--std 0": "std 0.0: every value must be greater than 0",
        "--fps 0": "--fps 0.0: a number greater than 0 is expected",
        "--fps nan": "--fps nan: a number greater than 0 is expected",
        "--fps 1e9": "ask for at most 1562500.0 frames/s, a faster clock or a smaller input",
        "--clock -5": "--clock -5.0: a number of MHz greater than 0 is expected",
        "--multipliers 0": "--multipliers 0: a whole number, at least 1, is needed",
        "--multipliers 3": "3 multipliers are too few: every layer that multiplies needs one of its own, 6 in all",
        "--fps 1500000 --multipliers 9": "; allow that many, or ask for at most ",
        "--dsps -1": "--dsps -1: a whole number, at least 0, is needed",
        "--device xc7a35": "--device xc7a35: no such device; did you mean xc7a35t",
        "--calib none": "--calib none: no such file or folder",
        "--calib . --calib-limit 0": "--calib-limit 0: at least 1 image is needed",
        "--bits x": "--bits x: ",
        "--scheme log": "--scheme log: 'log' is not one of 'pow2', 'scale'",
        "--bitz 8": "no such option: --bitz",
        "more": "unexpected extra argument",
    }.items():
        assert expected in one("generate", *DIGITS, *text.split(), cwd=tmp_path), text


def test_arguments_that_cannot_be_read_are_told_together(tmp_path: Path, generated: Path) -> None:
    lines = mistakes("generate", "--bits", "x", "--fps", "y", "--fit", "z", cwd=tmp_path)
    assert [line.split()[0] for line in sorted(lines)] == ["--bits", "--fit", "--fps", "MODEL"]
    assert "MODEL is missing; `cnn2rtl generate --help` tells what it is" in lines
    lines = mistakes("simulate", generated, "--stall", "96", "--frames", "0", "--seed", "-1", cwd=tmp_path)
    assert [line.split(":")[0] for line in lines] == ["--stall 96", "--frames 0", "--seed -1"]
    assert one("evaluate", generated, cwd=tmp_path) == "--data is missing; `cnn2rtl evaluate --help` tells what it is"
    assert "Did you mean 'generate'?" in one("genrate", cwd=tmp_path)
    assert one("inspect", *DIGITS, "--bits", "0", cwd=tmp_path) == "--bits 0: widths run from 2 to 16 bits"


def test_calibration_images(tmp_path: Path) -> None:
    (tmp_path / "calib").mkdir()
    for name, size in {"a.png": (8, 8), "b.png": (7, 20), "c.png": (8, 5)}.items():
        Image.new("L", size).save(tmp_path / "calib" / name)
    np.save(tmp_path / "calib.npy", np.zeros((2, 9, 9, 1), np.uint8))
    small, thin = mistakes("generate", *DIGITS, "--calib", "calib", cwd=tmp_path)
    assert small == "calib/b.png: 20x7 pixels are too few to crop 8x8 from; use --fit resize"
    assert thin.startswith("calib/c.png: 5x8 pixels")
    line = one("generate", *DIGITS, "--calib", "calib.npy", cwd=tmp_path)
    assert line == "calib.npy: the images are 2x9x9x1; n x 8x8x1 or n x 1x8x8 expected"
    (tmp_path / "empty").mkdir()
    assert "empty: holds no images" in one("generate", *DIGITS, "--calib", "empty", cwd=tmp_path)


def test_all_mistakes_of_a_run_at_once(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    options = "--input 8x8x8x8 --bits 1 --mean a --std b --fps -3 --multipliers 0 --calib none --calib-limit 0 -o taken"
    lines = mistakes("generate", "none.pt", *options.split(), cwd=tmp_path)
    starts = (
        "taken: exists and is a file", "--mean a:", "--std b:", "width 1 of weights and activations", "--fps -3.0:",
        "--multipliers 0:", "--input 8x8x8x8:", "none.pt: no such file", "--calib-limit 0:", "--calib none:",
    )  # fmt: skip
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True)), lines


# The output


def test_output_folders(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("mine")
    for out, expected in {
        "mine": "mine: exists and is not a folder that cnn2rtl made; it stays as it is: choose another one with -o",
        "file": "file: exists and is a file, not a folder",
        "file/out": "is no folder; choose another place with -o",
        "link": "link: exists and is a link, not a folder",
        ".": ".: the current folder is in it",
        "x" * 300: "File name too long",
    }.items():
        for force in ([], ["--force"]):
            assert expected in one("generate", *DIGITS, "-o", out, *force, cwd=tmp_path)


def test_an_output_folder_that_may_not_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    if os.geteuid() == 0:
        # Root may write anywhere, whatever the mode says.
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path / "locked")
    line = one("generate", *DIGITS, "-o", "locked/out", cwd=tmp_path)
    assert line == f"locked/out: {tmp_path / 'locked'} may not be written to; choose another place with -o"


# Projects


def test_folders_that_are_no_project(tmp_path: Path) -> None:
    for command in (["simulate", "."], ["evaluate", ".", "--data", EXAMPLE / "images"]):
        assert one(*command, cwd=tmp_path) == (
            ".: no cnn2rtl project (design.json is missing); make one with `cnn2rtl generate`"
        )
    lines = mistakes("evaluate", "none", "--data", "nothing", cwd=tmp_path)
    assert [line.split(":")[0] for line in lines] == ["none", "--data nothing"]


@pytest.mark.parametrize("file", ["design.json", "model.npz"])
def test_damaged_projects(generated: Path, tmp_path: Path, file: str) -> None:
    shutil.copytree(generated, tmp_path / "out")
    damaged = tmp_path / "out" / file
    whole = damaged.read_bytes()
    middle = len(whole) // 2
    ends = [whole[:middle], b"", b"[]", b"[" * 100_000, whole[:middle] + bytes(20) + whole[middle + 20 :]]
    if file == "design.json":
        about = json.loads(whole)
        ends += [json.dumps({key: about[key] for key in about if key != gone}).encode() for gone in ("name", "layers")]
    for data in ends:
        damaged.write_bytes(data)
        for command in (["simulate", "out"], ["evaluate", "out", "--data", EXAMPLE / "images"]):
            line = one(*command, cwd=tmp_path)
            assert line.startswith("out: design.json or model.npz is damaged (")
            assert line.endswith("; generate the project again")


def test_projects_with_files_missing(generated: Path, tmp_path: Path) -> None:
    shutil.copytree(generated, tmp_path / "out")
    (tmp_path / "out" / "rom" / "features_6_weights.hex").unlink()
    (tmp_path / "out" / "sim" / "testbench.v").unlink()
    line = one("simulate", "out", cwd=tmp_path)
    assert line == "out: rom/features_6_weights.hex, sim/testbench.v missing; generate the project again"
    shutil.rmtree(tmp_path / "out" / "rom")
    assert "rom/classifier_requant.hex" in one("simulate", "out", cwd=tmp_path)


def test_what_simulate_refuses(generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (5, 5)).save(tmp_path / "small.png")
    np.save(tmp_path / "wrong.npy", np.zeros((1, 8, 8, 3), np.uint8))
    (tmp_path / "notes.txt").write_text("mine")
    assert "--engine modelsim: 'modelsim' is not one of" in one(
        "simulate", generated, "--engine=modelsim", cwd=tmp_path
    )
    sources = [argument for name in ("small.png", "wrong.npy", "none") for argument in ("--images", name)]
    small, wrong, none = mistakes("simulate", generated, *sources, cwd=tmp_path)
    assert small.startswith("small.png: 5x5 pixels are too few") and none == "--images none: no such file or folder"
    assert wrong == "wrong.npy: the images are 1x8x8x3; n x 8x8x1 or n x 1x8x8 expected"
    for waves in ("none/w.vcd", "."):
        assert f"--waves {waves}: cannot be written" in one("simulate", generated, "--waves", waves, cwd=tmp_path)
    kept = one("simulate", generated, "--waves", "notes.txt", cwd=tmp_path)
    assert kept.startswith("--waves notes.txt: exists and holds no waves; it stays as it is")
    monkeypatch.setenv("PATH", str(tmp_path))
    for engine, programs in {"icarus": "iverilog, vvp", "verilator": "verilator, make, g++"}.items():
        lines = mistakes("simulate", generated, "--engine", engine, "--images", "none", cwd=tmp_path)
        assert lines[0].startswith(f"{engine}: {programs} not found; install it (Debian: apt install {engine[:1]}")
        assert len(lines) == 2


def test_debug_shows_where_it_comes_from(tmp_path: Path) -> None:
    for arguments in (["--debug", "generate", "none.pt"], ["generate", "none.pt", "--debug"]):
        result = run(*arguments, cwd=tmp_path)
        assert result.code == 2 and "Traceback (most recent call last)" in result.err and "content.py" in result.err
        assert result.err.endswith("\nerror: none.pt: no such file\n")
    assert one("generate", "none.pt", cwd=tmp_path) == "none.pt: no such file"
    # A name of two lines is no reason for a message of two.
    assert one("inspect", "two\nlines.pt", cwd=tmp_path) == r"two\nlines.pt: no such file"
