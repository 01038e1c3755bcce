"""``simulate``, ``evaluate``, ``estimate`` and ``synth`` as functions: what they take, give, keep and refuse."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import contents, mistakes, run, succeed
from torch import nn

import cnn2rtl
from cnn2rtl import Compiled, Notice, UserError
from cnn2rtl.synthesis import SynthesisError

RAW = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), np.uint8)


@pytest.fixture(scope="module")
def design() -> Compiled:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 3, 3)).eval()
    return cnn2rtl.compile(network, (1, 8, 8), calibration=RAW, name="tiny")


@pytest.fixture
def folder(design: Compiled, tmp_path: Path) -> Path:
    design.write(tmp_path / "out")
    return tmp_path / "out"


def problems(function: Any, *arguments: Any, **options: Any) -> tuple[str, ...]:
    with pytest.raises(UserError) as caught:
        function(*arguments, **options)
    return caught.value.problems


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


# What they are


def test_all_names_are_there_and_only_those_that_are_asked_for_are_imported() -> None:
    assert all(getattr(cnn2rtl, name) is not None for name in cnn2rtl.__all__)
    code = (
        "import sys, cnn2rtl; [getattr(cnn2rtl, name) for name in cnn2rtl.__all__]; "
        "assert all(device.luts for device in cnn2rtl.known_devices()); print('torch' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True).stdout == "False\n"


def test_none_imports_torch_to_work_on_a_folder(folder: Path) -> None:
    code = (
        "import sys, numpy, cnn2rtl; assert cnn2rtl.simulate('out').passed; cnn2rtl.estimate('out'); "
        "cnn2rtl.evaluate('out', numpy.zeros((2, 8, 8, 1), numpy.uint8)); print('torch' in sys.modules)"
    )
    root = Path(cnn2rtl.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}); {code}"],
        cwd=folder.parent, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "False\n", done.stderr


def test_the_devices_are_values() -> None:
    devices = cnn2rtl.known_devices()
    assert {type(device) for device in devices} == {cnn2rtl.Device} and len({d.name for d in devices}) == len(devices)
    assert next(device for device in devices if device.name == "xc7a35t").dsps == 90


# Simulation


def test_a_design_is_simulated_without_being_written(design: Compiled, tmp_path: Path) -> None:
    places = Path(tempfile.gettempdir())
    before = {path.name for path in places.glob(".project.*")}
    found = cnn2rtl.simulate(design, RAW, frames=7, stall=10, seed=3)
    assert found.passed and found.details == () and (found.frames, found.data, found.stall) == (7, "arrays", 10)
    exact = cnn2rtl.simulate(design)
    assert (exact.latency, exact.interval) == (design.about["latency"], design.about["interval"])
    assert exact.values == 2 * sum(int(np.prod(node.shape)) for node in design.graph.layers)
    assert repr(exact).startswith("<Simulation of 'tiny': PASS; ") and "\n" not in repr(exact)
    assert {path.name for path in places.glob(".project.*")} <= before and not list(tmp_path.iterdir())


def test_the_command_and_the_function_keep_the_same(folder: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    np.save(folder.parent / "raw.npy", RAW)
    found = cnn2rtl.simulate(
        cnn2rtl.open(folder), folder.parent / "raw.npy", progress=lambda *step: heard.append(step)
    )  # fmt: skip
    kept = cnn2rtl.open(folder).about.results.simulation
    assert kept == found.recorded() and kept is not None and kept.data == "raw.npy"
    assert ("golden model", 6, 6) in heard and ("simulating rows", 48, 48) in heard
    before = contents(folder)["design.json"]
    assert "PASS" in succeed("simulate", "out", "--images", "raw.npy", cwd=folder.parent)
    assert contents(folder)["design.json"] == before


def test_hardware_that_differs_is_a_result(folder: Path) -> None:
    rom = next(file for file in sorted((folder / "rom").glob("*.hex")) if "weights" in file.name)
    words = rom.read_text().split()
    rom.write_text("\n".join([f"{int(words[0], 16) ^ 1:0{len(words[0])}x}", *words[1:]]) + "\n")
    with pytest.warns(Notice, match=rf"out: changed since .* used as they are: rom/{rom.name}$"):
        found = cnn2rtl.simulate(folder, RAW)
    assert not found.passed and any("WRONG" in line for line in found.details)
    assert repr(found).startswith("<Simulation of 'tiny': FAIL, ")
    result = run("simulate", "out", cwd=folder.parent)
    assert result.code == 1
    assert result.out.startswith(f"note out: changed since they were generated, and used as they are: rom/{rom.name}\n")


def test_what_speaks_against_a_simulation_is_told_at_once(folder: Path) -> None:
    found = problems(
        cnn2rtl.simulate, "nowhere", ["a.png", "b.png"], engine="modelsim", frames=0, stall=96, seed=-1, waves="/",
    )  # fmt: skip
    assert found == (
        "nowhere: no cnn2rtl project (design.json is missing); make one with `cnn2rtl generate`",
        "`frames=0`: at least 1 is expected",
        "`stall=96`: a percentage from 0 to 95 is expected",
        "`seed=-1`: 0 to 2147483647 is expected",
        "`engine=modelsim`: the engines are icarus, verilator",
        '`waves=/`: modelsim is built without waves here; use `engine="icarus"`',
        "`images=a.png`: no such file or folder",
        "`images=b.png`: no such file or folder",
    )
    assert problems(cnn2rtl.simulate, folder, RAW[:, :7]) == (
        "images: the images are 6x7x8x1; n x 8x8x1 or n x 1x8x8 expected",
    )
    assert mistakes("simulate", "nowhere", "--images", "a.png", cwd=folder.parent)[1:] == [
        "--images a.png: no such file or folder"
    ]


# Evaluation


def test_evaluation_of_arrays(design: Compiled, folder: Path) -> None:
    classes = design.golden(RAW)[:, 0, 0].argmax(-1)
    found = cnn2rtl.evaluate(design, RAW, classes.tolist())
    assert found.images == 6 and found.integer_accuracy == 1.0 and found.agreement == found.float_accuracy
    assert repr(found).startswith("<Evaluation on 6 images: ") and "100.0% right in integers" in repr(found)
    half = cnn2rtl.evaluate(folder, RAW, np.r_[classes[:3], (classes[3:] + 1) % 3])
    assert half.integer_accuracy == 0.5
    kept = cnn2rtl.open(folder).about.results.accuracy
    assert kept is not None and kept.data == "arrays"
    (output,) = kept.outputs
    assert output.task == "classification" and output.decisions is not None and output.decisions.integer_accuracy == 0.5
    with pytest.warns(Notice, match="label 3 is none of the network's outputs, 0 to 2, so no accuracy is given"):
        assert cnn2rtl.evaluate(design, RAW, [0, 1, 2, 3, 0, 1]).integer_accuracy is None
    assert cnn2rtl.evaluate(design, RAW, limit=2).images == 2


def test_mistakes_of_an_evaluation(design: Compiled, tmp_path: Path) -> None:
    assert problems(cnn2rtl.evaluate, tmp_path, "none") == (
        f"{tmp_path}: no cnn2rtl project (design.json is missing); make one with `cnn2rtl generate`",
        "`data=none`: no such file or folder",
    )
    (line,) = problems(cnn2rtl.evaluate, design, RAW, [1, 2])
    assert line == "data: the labels are 2 of int64; one for each of the 6 images is expected"
    np.save(tmp_path / "raw.npy", RAW)
    (line,) = problems(cnn2rtl.evaluate, design, tmp_path / "raw.npy", [0] * 6)
    assert line.startswith("labels: those of ")


# Estimate and synthesis


def test_estimates(design: Compiled, folder: Path) -> None:
    own = design.about["estimate"]
    found = cnn2rtl.estimate(design)
    assert (found.luts, found.flip_flops, found.dsps, found.rams) == (
        own["luts"], own["flip_flops"], own["dsps"], own["rams"],
    )  # fmt: skip
    assert found == cnn2rtl.estimate(folder) and found.family == "xc7" and found.fits is None and found.shares == ()
    held = cnn2rtl.estimate(folder, device="xc7a35t")
    assert held.fits and held.luts == found.luts and held.shares[0].available == 20_800
    assert repr(held).startswith("<Estimate for xc7a35t: ") and repr(held).endswith("; fits>")
    # Without DSP blocks, all products are in logic.
    other = cnn2rtl.estimate(design, device="iCE40HX8K")
    assert other.dsps == 0 and other.luts > found.luts
    (line,) = problems(cnn2rtl.estimate, folder, family="ice40")
    assert line.startswith("`family=ice40`: the project was written for xc7 and knows no other estimate; compile its ")
    assert problems(cnn2rtl.estimate, design, device="xc7a35t", family="xc7") == (
        "`device=xc7a35t` `family=xc7`: a device has a family already; give one of the two",
    )


@pytest.mark.slow
def test_synthesis(design: Compiled, folder: Path) -> None:
    found = cnn2rtl.synth(folder, device="LFE5U-45F")
    assert found.fits and found.usage.luts > 0 and repr(found).startswith("<SynthResult for LFE5U-45F: ")
    assert cnn2rtl.open(folder).about.results.synthesis == found.recorded()
    assert cnn2rtl.synth(design, family="ecp5").usage == found.usage
    (source,) = (folder / "rtl").glob("tiny.v")
    edit(source, "endmodule", "")
    with pytest.warns(Notice, match="rtl/tiny.v"), pytest.raises(SynthesisError):
        cnn2rtl.synth(folder)


def test_mistakes_of_a_synthesis(tmp_path: Path) -> None:
    found = problems(cnn2rtl.synth, tmp_path, pnr=True, mhz=0, seed=-1)
    assert [line.split(":")[0] for line in found] == [str(tmp_path), "`pnr=True`", "`mhz=0`", "`seed=-1`"]
    assert issubclass(SynthesisError, UserError)


# A folder that was edited


def test_opening_tells_what_was_changed(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert repr(cnn2rtl.open(folder)) == f"<Project 'tiny' in {folder}: 3 layers>"
        cnn2rtl.simulate(folder)
        # What tools leave there, and what is gone, is no change of ours.
        (folder / "README.md").unlink()
        (folder / "notes.txt").write_text("mine")
        cnn2rtl.open(folder)
    edit(folder / "rtl" / "tiny.v", "module", "// mine\nmodule")
    edit(folder / "design.json", "{", "{ ")
    with pytest.warns(Notice, match=r"used as they are: design\.json, rtl/tiny\.v$") as told:
        cnn2rtl.open(folder)
    assert told[0].filename == __file__
    data = bytearray((folder / "model.npz").read_bytes())
    data[-1] ^= 1
    (folder / "model.npz").write_bytes(data)
    (line,) = problems(cnn2rtl.open, folder)
    assert "model.npz is not the one that was generated" in line
