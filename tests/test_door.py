"""The one door: every kind of model by the command line and from Python; what is told before torch is imported."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import DIGITS, EXAMPLE, mistakes, succeed
from torch import nn

import cnn2rtl
from cnn2rtl import pipeline
from cnn2rtl.errors import UserError
from cnn2rtl.quantise import auto

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("{model} --bits 77", "width 77 of weights and activations"),
        ("{model} --device xc7a35", "xc7a35: no such device; did you mean xc7a35t"),
        ("none.pt --input 1x8x8", "none.pt: no such file"),
        ("{model} --calib none", "--calib none: no such file or folder"),
        ("{model} --arch none.py:Net", "none.py: no such file"),
        ("{example}/images/0 --input 1x8x8", "is a folder; a model file is expected"),
        ("{readme} --input 1x8x8", "not a PyTorch file"),
        ("none.onnx", "none.onnx: "),
        ("none.npz", "none.npz: no such file"),
    ],
)
def test_refused_without_torch(options: str, said: str, tmp_path: Path) -> None:
    arguments = options.format(model=" ".join(DIGITS), example=EXAMPLE, readme=ROOT / "README.md").split()
    code = (
        "import sys; from cnn2rtl.cli import main; sys.argv = ['cnn2rtl', 'generate', *sys.argv[1:]]\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert done.stdout == "False\n"


def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each stage runs from now on."""
    found: Counter[str] = Counter()

    def counting(name: str, stage: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            found[name] += 1
            return stage(*given, **named)

        return run

    for name in ("simplify", "absorb_input", "measure", "quantise", "sketch", "schedule", "lay_out", "render"):
        monkeypatch.setattr(pipeline, name, counting(name, getattr(pipeline, name)))
    return found


ONCE = dict.fromkeys(("simplify", "absorb_input", "quantise", "schedule", "lay_out", "render"), 1)


@pytest.mark.parametrize("device", [(), ("--device", "xc7a35t")])
def test_no_stage_runs_twice(device: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = counted(monkeypatch)
    succeed("generate", *DIGITS, *device, "-o", "plain", cwd=tmp_path)
    assert found == ONCE
    found.clear()
    succeed("generate", *DIGITS, *device, "--calib", EXAMPLE / "calib", "-o", "calibrated", cwd=tmp_path)
    # Before a long calibration, one look at the slowest design that would do.
    look = {"sketch": 1, "schedule": 2} if device else {}
    assert found == {**ONCE, "measure": 1, **look}


def test_no_widths_are_quantised_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = counted(monkeypatch)
    steps: list[int] = []
    narrowing = auto.narrowing

    def path(*given: Any) -> Any:
        steps.append(len(narrowing(*given)))
        return narrowing(*given)

    monkeypatch.setattr(auto, "narrowing", path)
    succeed("generate", *DIGITS, "--calib", EXAMPLE / "images", "--auto-bits", "--max-drop", "2", cwd=tmp_path)
    tries = found.pop("quantise")
    # The widest, and a bisection: nothing for the sensitivities, and nothing for the result.
    assert tries <= 1 + (steps[0] - 1).bit_length()
    assert found == {name: 1 for name in ONCE if name != "quantise"} | {"measure": 1}


class Rooted(nn.Module):
    """What cannot be negative, in ways that do not show in the layer before."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log(torch.sqrt(torch.relu(self.conv(x)) + 1.0))

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)


def test_no_range_is_judged_that_nobody_has_measured() -> None:
    raw = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)
    made = cnn2rtl.compile(Rooted().eval(), (1, 8, 8), calibration=raw, device="xc7a35t")
    assert made.about["interval"] > 0


def test_every_kind_of_model_from_python(tmp_path: Path) -> None:
    (tmp_path / "digits.pt").write_bytes(Path(DIGITS[0]).read_bytes())
    from_file = cnn2rtl.compile(DIGITS[0], (1, 8, 8), arch=DIGITS[2])
    assert from_file.about["name"] == "digits"
    net = nn.Sequential(nn.Conv2d(1, 2, 3)).eval()
    torch.export.save(torch.export.export(net, (torch.zeros(1, 1, 8, 8),)), tmp_path / "net.pt2")
    assert cnn2rtl.compile(str(tmp_path / "net.pt2")).graph.inputs["input"] == (1, 8, 8)
    assert cnn2rtl.compile("zoo:student_net", (3, 16, 16)).graph.inputs["input"] == (3, 16, 16)
    with pytest.raises(UserError, match="does not tell its input's size"):
        cnn2rtl.compile(DIGITS[0], arch=DIGITS[2])


def test_what_is_made_says_in_a_line_what_it_is_and_can_be_opened_again(tmp_path: Path) -> None:
    made = cnn2rtl.compile(nn.Sequential(nn.Conv2d(1, 2, 3)).eval(), (1, 8, 8), name="net")
    assert repr(made) == f"<Compiled 'net': 1 layers, {made.about['interval']:,} cycles per frame>"
    for part in (made.float_graph, made.graph, made.design):
        assert "net" in repr(part) and len(repr(part)) < 80
    shown = made._repr_html_()
    assert shown.count("<") == 2 and 'srcdoc="&lt;!doctype html' in shown.lower()
    made.write(tmp_path / "out")
    again = cnn2rtl.open(tmp_path / "out")
    frames = np.zeros((1, 8, 8, 1), np.int32)
    assert again.about.name == "net" and np.array_equal(again.graph.run(frames), made.golden(frames))


def test_max_drop_is_for_widths_that_are_to_be_found(tmp_path: Path) -> None:
    assert mistakes("generate", *DIGITS, "--max-drop", "1", cwd=tmp_path) == [
        "--max-drop: is what --auto-bits may cost; leave it out, or give that too"
    ]
