"""examples/food11: its commands, from the data set to the proven design, on a stand-in and with smaller networks."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from command_line import succeed

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "food11"
SMALLER = {
    "3x128x128": "3x32x32",
    "zoo:standard_cnn": "zoo:standard_cnn,width=0.1,size=32",
    "zoo:student_net": "zoo:student_net,widths=8-16-16-24",
    "--epochs 60 --rate 0.001": "--epochs 6 --rate 0.004 --batch 32",
    "--epochs 120 --rate 0.004": "--epochs 12 --rate 0.02 --batch 32",
    # So small a network fits as it is.
    "--fit xc7a35t --fps 100": "--keep 0.75",
    "--epochs 30 --rate 0.001": "--epochs 3 --rate 0.004 --batch 32",
    "--shift 8": "--shift 2",
    "--zoom 1.4": "--zoom 1.1",
    "--frames 2": "--frames 1",
}
"""What of the page's commands is otherwise here."""


def commands() -> list[str]:
    """The commands of the page, from top to bottom, but with the stand-in drawn before it is arranged."""
    text = (EXAMPLE / "README.md").read_text().replace("\\\n", " ")
    found = [" ".join(line.split()) for line in re.findall(r"^    ((?:cnn2rtl|python) .*)$", text, re.MULTILINE)]
    return sorted(found, key=lambda command: "shapes.py" not in command)


def script(name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, EXAMPLE / name, *arguments], cwd=cwd, capture_output=True, text=True)


@pytest.mark.slow
def test_from_the_data_set_to_the_proven_design(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    text = "\n".join(commands())
    for full, small in SMALLER.items():
        assert full in text, f"{full}: no such thing on the page any more"
        text = text.replace(full, small)
    printed = {}
    for command in text.splitlines():
        program, *arguments = shlex.split(command)
        if program == "python":
            done = script(Path(arguments[0]).name, *arguments[1:], cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        else:
            printed[" ".join(arguments[:2])] = succeed(*arguments, cwd=tmp_path)
    classes = sorted(path.name for path in (tmp_path / "food" / "evaluation").iterdir())
    assert len(classes) == 11 and classes[0] == "00-bread" and classes[10] == "10-vegetables"
    # Of 11 classes, 9 % would be right by chance.
    accuracies = re.findall(r"([\d.]+) % (?:float|integer)", printed["evaluate out/food11"])
    assert "fits.pt: epoch" in printed["compress prune"]
    assert len(accuracies) == 2 and all(float(accuracy) > 60 for accuracy in accuracies)
    assert "PASS" in printed["simulate out/food11"]


@pytest.fixture
def original(tmp_path: Path) -> Path:
    for part in ("training", "validation", "evaluation"):
        (tmp_path / "food-11" / part).mkdir(parents=True)
        (tmp_path / "food-11" / part / "3_7.jpg").write_bytes(part.encode())
    return tmp_path / "food-11"


def test_what_cannot_be_arranged(original: Path, tmp_path: Path) -> None:
    assert script("arrange.py", "food-11", "food", cwd=tmp_path).stdout.startswith("food/training: 1 images\n")
    assert (tmp_path / "food" / "validation" / "03-egg" / "3_7.jpg").read_text() == "validation"
    assert len(list((tmp_path / "food" / "training").iterdir())) == 11
    again = script("arrange.py", "food-11", "food", cwd=tmp_path)
    assert again.returncode == 1 and again.stderr == "food: exists; give a folder that does not\n"
    (original / "training" / "11_0.jpg").write_bytes(b"")
    unknown = script("arrange.py", "food-11", "other", cwd=tmp_path)
    assert "11_0.jpg: CLASS_NUMBER.jpg is expected, with classes 0 to 10" in unknown.stderr
    assert not (tmp_path / "other").exists()
    shutil.rmtree(original / "validation")
    lacking = script("arrange.py", "food-11", "third", cwd=tmp_path)
    assert lacking.stderr.startswith("food-11: has no folder validation;") and not (tmp_path / "third").exists()
