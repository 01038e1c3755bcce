"""The commands, used as they are meant to be, and what they say of a design that is wrong."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import DIGITS, EXAMPLE, contents, run, succeed
from PIL import Image
from torch import nn

from cnn2rtl import __version__
from cnn2rtl.project import open_project

PATIENCE = 300
"""Seconds for what never takes that long, unless it hangs."""

NET = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)).eval()


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's project; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("generated") / "digits"
    succeed("generate", *DIGITS, "--calib", EXAMPLE / "calib", "-o", folder, cwd=folder.parent)
    return folder


@pytest.fixture
def project(generated: Path, tmp_path: Path) -> Path:
    return shutil.copytree(generated, tmp_path / "digits")


def test_generate_tells_the_four_answers(tmp_path: Path) -> None:
    text = succeed("generate", *DIGITS, "--calib", EXAMPLE / "calib", "--clock", "50", cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["digits_rtl"]
    assert text.startswith("digits_rtl: digits, 9 layers\n")
    speed = re.search(r"([\d,]+) cycles per frame \(([\d,.]+) frames/s at 50 MHz\)", text)
    assert speed is not None
    cycles, frames = (float(number.replace(",", "")) for number in speed.groups())
    assert frames == pytest.approx(50e6 / cycles, rel=1e-4)
    for part in ("fits? ", "multipliers", "calibrated on 50 images of calib", "cnn2rtl simulate digits_rtl"):
        assert part in text
    assert "note" not in text


def test_commands_that_are_offered_can_be_pasted(tmp_path: Path) -> None:
    text = succeed("generate", *DIGITS, "-o", "two words", cwd=tmp_path)
    assert "cnn2rtl simulate 'two words'" in text and "make -C 'two words/sim'" in text
    assert "note     No calibration images" in text


@pytest.mark.parametrize("kind", ["archive", "module", "trusted module"])
def test_generate_takes_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    options = ["--input", "3x6x6"]
    if kind == "archive":
        torch.export.save(torch.export.export(NET, (torch.zeros(1, 3, 6, 6),)), tmp_path / "net.pt2")
        options = []
    else:
        torch.save(NET, tmp_path / "net.pt2")
    if kind == "trusted module":
        options += ["--trust-pickle"]
    assert "net_rtl: net, 2 layers" in succeed("generate", "net.pt2", *options, cwd=tmp_path)
    assert open_project(tmp_path / "net_rtl").graph.inputs == {"input": (3, 6, 6)}


def test_options_reach_the_design(tmp_path: Path) -> None:
    torch.save(NET, tmp_path / "net.pt")
    options = "--input 3x6x6 --bits 6 --weight-bits 4 --output-bits 12 --scheme scale --mean 0.5,0.4,0.3 --std 0.25 "
    options += "--ranges percentile --effort best --layer 0=w6a12 --fit resize --channels bgr"
    succeed("generate", "net.pt", *options.split(), "--multipliers", "10", "--class-index", "-o", "out", cwd=tmp_path)
    about = open_project(tmp_path / "out").about.contents()
    expected = {
        "weight_bits": 4, "activation_bits": 6, "output_bits": 12, "scheme": "scale", "mean": [0.5, 0.4, 0.3],
        "std": [0.25], "class_index": True, "ranges": "percentile", "effort": "best",
        "layers": {"0": {"weights": 6, "activations": 12}}, "fit": "resize", "channels": "bgr",
    }  # fmt: skip
    assert about["options"] == expected
    assert about["multipliers"] <= 10 and about["name"] == "net"


def test_a_file_name_of_any_bytes(tmp_path: Path) -> None:
    """Names that are no UTF-8, or look like markup, must neither fail nor change."""
    name = os.fsdecode(b"\xff [red]:warning:")
    shutil.copy(DIGITS[0], tmp_path / f"{name}.pt")
    text = succeed("generate", f"{name}.pt", *DIGITS[1:], cwd=tmp_path)
    assert f"{name}_rtl: " in text
    assert "PASS" in succeed("simulate", f"{name}_rtl", cwd=tmp_path)


def test_inspect(tmp_path: Path) -> None:
    text = succeed("inspect", *DIGITS, "--bits", "4", cwd=tmp_path)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
    assert rows["features.0"] == ["conv2d", "16x8x8", "160", "9,216", "18,432", "576"]
    assert rows["features.3"][0] == "depthwise_conv2d" and rows["features.17"][0] == "avgpool2d"
    assert rows["total"] == ["3,946", "89,216", "178,432", "15,104"]
    assert "4,106 parameters in the model" in text and not contents(tmp_path)


def test_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = succeed("doctor", cwd=tmp_path)
    assert f"cnn2rtl {__version__}" in text and torch.__version__ in text
    assert text.endswith("everything that is needed is here\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("doctor", cwd=tmp_path)
    assert result.code == 1
    assert result.out.endswith("missing and needed: iverilog (apt install iverilog)\n")
    assert "verilator" in result.out and "apt install verilator" in result.out


def test_help_and_version(tmp_path: Path) -> None:
    assert succeed("--version", cwd=tmp_path) == f"cnn2rtl {__version__}\n"
    commands = ("generate", "simulate", "evaluate", "synth", "export", "inspect", "doctor", "compress")
    overview = succeed("--help", cwd=tmp_path)
    assert all(command in overview for command in commands)
    for command in commands:
        assert f"Usage: cnn2rtl {command}" in succeed(command, "-h", cwd=tmp_path)
    for arguments in ([], ["generate"], ["simulate"]):
        result = run(*arguments, cwd=tmp_path)
        assert "Usage: cnn2rtl" in result.out + result.err and "error:" not in result.err


@pytest.mark.parametrize("engine", ["icarus", "verilator"])
def test_simulate_proves_and_finds_a_changed_weight(project: Path, engine: str) -> None:
    images = ("--images", EXAMPLE / "images", "--frames", "3", "--stall", "30")
    text = succeed("simulate", project, "--engine", engine, *images, cwd=project.parent)
    values = 3 * sum(int(np.prod(node.shape)) for node in open_project(project).graph.layers)
    assert f"digits in {engine}: 3 frames, 30 % stalls" in text
    assert f"PASS digits: 0 wrong of {values:,} values in 9 layers; latency " in text
    rom = project / "rom" / "features_6_weights.hex"
    digits = rom.read_text()
    last = len(digits.rstrip()) - 1
    rom.write_text(digits[:last] + ("0" if digits[last] != "0" else "1") + digits[last + 1 :])
    result = run("simulate", project, "--engine", engine, *images, cwd=project.parent)
    assert result.code == 1 and result.err == ""
    first = next(line for line in result.out.splitlines() if line.startswith("WRONG"))
    assert re.fullmatch(r"WRONG layer features\.6 frame \d+ y \d+ x \d+ channel \d+: got \S+, expected \S+", first)
    assert result.out.endswith("FAIL digits: the hardware differs from the golden model\n")


@pytest.mark.parametrize("engine", ["icarus", "verilator"])
def test_simulate_takes_no_rom_of_another_size(project: Path, engine: str) -> None:
    """A word that is too wide is cut off by simulators: the rest was right, and so would be the verdict."""
    rom = project / "rom" / "features_6_weights.hex"
    words = rom.read_text().splitlines()
    wrong = {
        f"has {len(words) - 1:,} words, where the design has {len(words):,}": words[:-1],
        f"has {len(words) + 1:,} words, where the design has {len(words):,}": [*words, words[0]],
        "word 2 is no hexadecimal number of ": [words[0], f"f{words[1]}", *words[2:]],
    }
    for problem, lines in wrong.items():
        rom.write_text("\n".join(lines) + "\n")
        refused = run("simulate", project, "--engine", engine, cwd=project.parent)
        assert refused.code == 2 and refused.out.endswith(f"used as they are: rom/{rom.name}\n")
        assert f"rom/{rom.name}" in refused.err and problem in refused.err
        assert refused.err.count("\n") == 1 and refused.err.endswith("; generate the project again\n")


def test_simulate_predicts_the_frame_interval(generated: Path) -> None:
    text = succeed("simulate", generated, cwd=generated.parent)
    found = re.search(r"frame interval ([\d,]+) cycles \(predicted ([\d,]+)\)", text)
    assert found is not None and found[1] == found[2]
    # The same seed feeds the same noise, and is told.
    assert succeed("simulate", generated, cwd=generated.parent) == text and "seed 1" in text


def test_simulate_shows_every_stream_and_fails_where_a_cycle_is_not_as_predicted(project: Path) -> None:
    layers = json.loads((project / "design.json").read_text())["layers"]
    text = succeed("simulate", project, "--verbose", cwd=project.parent)
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.endswith(" of 2")}
    for layer in layers[:3]:
        _, _, first, last, _, waited, *_ = rows[layer["node"]]
        assert [first, last, waited] == [f"{layer['first']:,}", f"{layer['last'][0]:,}", "0"]
    about = (project / "design.json").read_text()
    (project / "design.json").write_text(about.replace(f'"first": {layers[0]["first"]},', '"first": 3,'))
    result = run("simulate", project, cwd=project.parent)
    assert result.code == 1 and result.err == ""
    node, first = layers[0]["node"], layers[0]["first"]
    assert f"{node}, first beat: {first:,} cycles, 3 were predicted\n" in result.out
    assert result.out.endswith("FAIL digits: every value is right, but not in its cycle\n")
    assert "PASS" in succeed("simulate", project, "--stall", "10", cwd=project.parent)


def test_waves(generated: Path, tmp_path: Path) -> None:
    for _ in range(2):
        # The second time over the first one's: those are waves, and go.
        succeed("simulate", generated, "--frames", "1", "--waves", "w", cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["w.vcd"]
    with (tmp_path / "w.vcd").open() as file:
        assert file.readline().startswith("$date")
    assert (tmp_path / "w.vcd").stat().st_size > 100_000


def test_a_pooling_alone_has_no_rom_and_simulates(tmp_path: Path) -> None:
    torch.save(nn.MaxPool2d(2), tmp_path / "pool.pt")
    succeed("generate", "pool.pt", "--input", "1x4x4", cwd=tmp_path)
    assert "PASS pool" in succeed("simulate", "pool_rtl", cwd=tmp_path)


def test_a_simulated_project_may_be_generated_anew(project: Path) -> None:
    succeed("simulate", project, cwd=project.parent)
    subprocess.run(["make", "-C", project / "sim"], check=True, capture_output=True)
    succeed("generate", *DIGITS, "-o", project, cwd=project.parent)
    assert not (project / "sim" / "build").exists()


def test_evaluate(generated: Path, tmp_path: Path) -> None:
    text = succeed("evaluate", generated, "--data", EXAMPLE / "images", cwd=tmp_path)
    row = re.search(r"^features\.0 +u8\*\S+ +\d\d\.\d +[\d.e-]+ % +(\d+) % +(\d+) of (\d+)$", text, re.MULTILINE)
    assert row and int(row[1]) <= 100 and int(row[2]) <= int(row[3])
    assert "top-1 agreement  100.0 %  (100 of 100 images)" in text
    assert re.search(r"accuracy +100\.0 % float\n +100\.0 % integer", text)
    # Wrong labels must show, or the figure means nothing.
    pixels = np.stack(
        [np.asarray(Image.open(EXAMPLE / "images" / f"{digit}" / name)) for digit, name in first_images()]
    )
    np.savez(tmp_path / "right.npz", images=pixels, labels=np.arange(10))
    np.savez(tmp_path / "half.npz", images=pixels, labels=np.where(np.arange(10) < 5, np.arange(10), 0))
    assert "100.0 % float" in succeed("evaluate", generated, "--data", "right.npz", cwd=tmp_path)
    half = succeed("evaluate", generated, "--data", "half.npz", cwd=tmp_path)
    assert "50.0 % float" in half and "50.0 % integer" in half


def first_images() -> list[tuple[int, str]]:
    return [(digit, min(path.name for path in (EXAMPLE / "images" / str(digit)).iterdir())) for digit in range(10)]


def test_evaluate_without_usable_labels(generated: Path, tmp_path: Path) -> None:
    flat = succeed("evaluate", generated, "--data", EXAMPLE / "images" / "3", "--limit", "4", cwd=tmp_path)
    assert "(4 of 4 images)" in flat and "accuracy " not in flat and "note" not in flat
    for digit, name in first_images()[:3]:
        (tmp_path / "three" / str(digit)).mkdir(parents=True)
        shutil.copy(EXAMPLE / "images" / str(digit) / name, tmp_path / "three" / str(digit))
    few = succeed("evaluate", generated, "--data", "three", cwd=tmp_path)
    assert "note 3 class folders, but the network has 10 outputs" in few and "accuracy  " not in few
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 8, 8), np.uint8), labels=[3, 10])
    beyond = succeed("evaluate", generated, "--data", "a.npz", cwd=tmp_path)
    assert "note label 10 is none of the network's outputs, 0 to 9" in beyond and "accuracy  " not in beyond


PROGRAM = Path(sys.executable).with_name("cnn2rtl")
COMMAND = [str(PROGRAM)] if PROGRAM.exists() else [sys.executable, "-m", "cnn2rtl"]


def test_the_installed_command(tmp_path: Path) -> None:
    """As a program of its own: quiet, without bars or colours where nobody watches, and fit for pipes."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    out = os.fsdecode(b"out\xff")
    for arguments in (["generate", *DIGITS, "--calib", EXAMPLE / "calib", "-o", out], ["simulate", out]):
        done = call(*arguments)
        assert done.returncode == 0 and done.stderr == "" and not re.search(r"[\x1b\r━]", done.stdout), done
    done = call("simulate", "--debug", "no")
    assert done.returncode == 2 and "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: no: no cnn2rtl project")
    # `cnn2rtl generate --help | head` closes the pipe early.
    command = [*COMMAND, "generate", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_simulation_tidies_up(generated: Path, tmp_path: Path, number: signal.Signals) -> None:
    """The signal comes while the simulator runs, which says through a named pipe that it has been started."""
    programs, scratch, started = tmp_path / "programs", tmp_path / "scratch", tmp_path / "started"
    programs.mkdir()
    scratch.mkdir()
    os.mkfifo(started)
    vvp = programs / "vvp"
    vvp.write_text(f'#!/bin/sh\necho started >"{started}"\nexec "{shutil.which("vvp")}" "$@"\n')
    vvp.chmod(0o755)
    environment = {
        **os.environ, "TMPDIR": str(scratch), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    command = [*COMMAND, "simulate", generated, "--engine", "icarus", "--frames", "1000"]
    listening = os.open(started, os.O_RDONLY | os.O_NONBLOCK)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert select.select([listening], [], [], PATIENCE)[0]
        os.close(listening)
        assert list(scratch.glob(".vectors.cnn2rtl-*/new/pixels.bin")) and process.poll() is None
        process.send_signal(number)
        assert process.wait() == 128 + number
        assert process.stderr is not None and process.stderr.read() == b""
    assert not list(scratch.iterdir())
