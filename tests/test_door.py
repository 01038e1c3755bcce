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


NETWORK = "zoo:student_net --input 3x16x16"
TRAIN = f"{NETWORK} --data {{example}}/images"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("generate {model} --bits 77", ["width 77 of weights and activations"]),
        ("generate {model} --device xc7a35", ["xc7a35: no such device; did you mean xc7a35t"]),
        ("generate none.pt --input 1x8x8", ["none.pt: no such file"]),
        ("generate {model} --calib none", ["--calib none: no such file or folder"]),
        ("generate {model} --arch none.py:Net", ["none.py: no such file"]),
        ("generate {example}/images/0 --input 1x8x8", ["is a folder; a model file is expected"]),
        ("generate {readme} --input 1x8x8", ["not a PyTorch file"]),
        ("generate none.onnx", ["none.onnx: "]),
        ("generate none.npz", ["none.npz: no such file"]),
        ("generate zoo:student --input 3x16x16 --fps 0", ["--fps 0.0: a number", "zoo:student: there is no such"]),
        ("inspect zoo:student_net,size=3 --input 3x16x16", ["student_net has no `size`; it has widths"]),
        (
            f"compress train {TRAIN} --epochs 0 --val none --mean .1,.2 -o a.npz --run {{example}}",
            [
                "--epochs 0: at least 1", "-o a.npz: a name", ", but no run; choose another folder with --run",
                "mean 0.1, 0.2: one value, or one for each of the input's 3 channels", "--val none: no such file",
            ],
        ),
        (f"compress train {TRAIN} --val-share 1 --input 3x16", ["--input 3x16: channels x", "--val-share 1.0: a"]),
        ("compress train {readme} --input 1x8x8 --data none", ["not a PyTorch file", "--data none: no such file"]),
        (
            f"compress distill {TRAIN} --teacher none.pt --alpha 2 --std b --teacher-mean c",
            [
                "--alpha 2.0: 0 to 1", "none.pt: no such file", "--teacher-mean c: numbers", "--teacher-std b: numbers",
                "--std b: numbers",
            ],
        ),
        (f"compress distill {TRAIN} --teacher net.onnx", ["net.onnx: "]),
        (
            f"compress prune {NETWORK} --fit xc7 --val none --limit 9 -o a.npz",
            ["--fit xc7: no such device", "--val none: is for", "--limit 9: is for training", "-o a.npz: a name"],
        ),
        (f"compress prune {TRAIN} --keep 2 --data none", ["--keep 2: a number above 0", "--data none: no such file"]),
        ("compress separable zoo:student -o a.npz --input 3x16x16", ["-o a.npz: a name", "zoo:student: there is"]),
        ("compress separable given.npz -o a.pt --input 3x16x16", ["given.npz: holds a network that has its integers"]),
        ("compress storage none.pt -o a.npz", ["-o a.npz: a name", "none.pt: no such file"]),
        (
            "compress qat zoo:student --input 3x16x16 --data none --bits 1 --calib-limit 0 -o a.pt",
            [
                "-o a.pt: a name", "width 1 of weights and activations", "--calib-limit 0: at least", "--data none: no",
                "zoo:student: there is no such",
            ],
        ),
        ("simulate none --images nothing", ["none: no cnn2rtl project", "--images nothing: no such file"]),
        ("evaluate none --data nothing", ["none: no cnn2rtl project", "--data nothing: no such file"]),
        ("synth none --device xc7", ["none: no cnn2rtl project", "xc7: no such device"]),
        ("export none", ["say what to write: --onnx", "none: no cnn2rtl project"]),
    ],
)  # fmt: skip
def test_refused_without_torch(command: str, said: list[str], tmp_path: Path) -> None:
    (tmp_path / "given.npz").write_bytes(b"")
    arguments = command.format(model=" ".join(DIGITS), example=EXAMPLE, readme=ROOT / "README.md").split()
    code = (
        "import sys; from cnn2rtl.cli import main; sys.argv = ['cnn2rtl', *sys.argv[1:]]\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True,
    )  # fmt: skip
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and len(lines) == len(said), done.stderr
    assert all(words in line for words, line in zip(said, lines, strict=True)), done.stderr
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
