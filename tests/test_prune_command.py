"""``cnn2rtl compress prune``: from a network to a smaller one, interrupted or not, and all that it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bars
import numpy as np
import pytest
import torch
from command_line import contents, mistakes, run, succeed
from torch import nn

from cnn2rtl.compress.modules import read_module, write_module
from cnn2rtl.compress.prune import fit
from cnn2rtl.compress.training import loop, record

TRAIN = ("--data", "bars.npz", "--input", "1x8x8", "--mean", "0.2", "--std", "0.3", "--batch", "16", "--rate", "0.01")
SLIM = ("compress", "prune", "net.pt", *TRAIN, "--keep", "0.5", "--rounds", "2", "--epochs", "2")

OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.left, self.right = nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Conv2d(6, 4, 1)
        self.fc = nn.Linear(10, 3)

    def forward(self, x):
        x = self.norm(self.first(x)).relu()
        return self.fc(torch.cat([x + self.left(x), self.right(x)], 1).mean((2, 3)))
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images and a network that has seen none of them; nobody looks at curves here."""
    torch.set_num_threads(1)
    monkeypatch.setattr(record, "draw", lambda *_: None)
    images, labels = bars.bars(60)
    np.savez(tmp_path / "bars.npz", images=images, labels=labels)
    write_module(bars.small_net(), tmp_path / "net.pt")
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def sizes(file: Path) -> dict[str, int]:
    """Outputs of all layers with weights, by name."""
    module = read_module(file)
    return {
        name: len(layer.weight) for name, layer in module.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))
    }


def test_from_training_to_a_design(work: Path) -> None:
    text = succeed(*SLIM, "--by", "magnitude", "--sparsity-epochs", "3", cwd=work)
    lines = text.splitlines()
    assert lines[0] == "classification: 54 images to train on, 6 to validate on, on cpu, seed 0"
    assert lines[1].startswith("before: validation: loss ")
    titles = [line for line in lines[2:] if not line.startswith("epoch ")]
    assert titles[:3] == ["sparsity 0.0001", "round 1 of 2", "round 2 of 2"]
    assert [line.split() for line in titles[3:8]] == [
        ["channels", "of", "before", "after"], ["0", "6", "3"], ["4", "12", "6"], ["parameters", "771", "225"],
        ["MACs", "13,860", "4,338"],
    ]  # fmt: skip
    assert sum(line.startswith("epoch ") for line in lines) == 3 + 2 + 2
    command = lines[-1].partition("; next, ")[2]
    assert command == "cnn2rtl generate net_pruned.pt --input 1x8x8 --mean 0.2 --std 0.3 --calib bars.npz"
    assert sizes(work / "net_pruned.pt") == {"0": 3, "4": 6, "9": 3}
    assert sorted(path.name for path in (work / "net_pruned.run").iterdir()) == ["round-1", "round-2", "sparsity"]
    succeed(*command.split()[1:], "-o", "out", cwd=work)
    assert "PASS" in succeed("simulate", "out", cwd=work)


def test_interrupted_it_goes_on_to_the_same_network(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slim = (*SLIM, "--by", "taylor", "--sparsity-epochs", "2")
    succeed(*slim, "-o", "whole.pt", cwd=work)
    measure = loop.measure
    # In the first epoch of the sparsity training, and in the second of the second round.
    for interrupted, word in ((1, "no epoch was whole"), (6, "round-2/network.pt holds the best of 1 epochs")):
        calls: list[int] = []

        def sometimes(*arguments: object, calls: list[int] = calls, last: int = interrupted) -> tuple[float, float]:
            calls.append(1)
            if len(calls) == last:
                raise KeyboardInterrupt
            return measure(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(loop, "measure", sometimes)
        result = run(*slim, "-o", "parts.pt", cwd=work)
        assert result.code == 130 and word in result.err, result
        assert not (work / "parts.pt").exists()
    monkeypatch.setattr(loop, "measure", measure)
    text = succeed(*slim, "-o", "parts.pt", cwd=work)
    assert "round 2 of 2, goes on after epoch 1 of 2\nepoch 2 of 2: loss " in text and text.count("\nepoch ") == 1
    whole, parts = (read_module(work / name).state_dict() for name in ("whole.pt", "parts.pt"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    (wrong,) = mistakes(*slim, "-o", "parts.pt", "--seed", "1", "--force", cwd=work)
    assert wrong.startswith("parts.run/sparsity: holds 2 epochs of a run with images ")
    assert mistakes(*slim, "-o", "parts.pt", "--restart", cwd=work)[1] == (
        "parts.run/sparsity: holds a run; give --force as well to discard it, or another folder with --run"
    )
    assert succeed(*slim, "-o", "parts.pt", "--restart", "--force", cwd=work).count("\nepoch ") == 6


def test_without_images_nothing_is_trained(work: Path) -> None:
    text = succeed("compress", "prune", "net.pt", "--input", "1x8x8", "--keep", "0.5", "-o", "small.pt", cwd=work)
    assert text.splitlines()[0] == "note 4: no BatchNorm scales its channels, so they all stay; see --by"
    assert text.splitlines()[-1] == "small.pt: next, cnn2rtl generate small.pt --input 1x8x8"
    assert sizes(work / "small.pt") == {"0": 3, "4": 12, "9": 3}
    before, after = (read_module(work / name).state_dict() for name in ("net.pt", "small.pt"))
    # All scales are 1: of equals, the first ones stay.
    assert torch.equal(before["4.weight"][:, :3], after["4.weight"])
    prune = ("compress", "prune", "small.pt", "--input", "1x8x8", "--by", "magnitude")
    succeed(*prune, "--round-to", "5", "--only", "4", "-o", "five.pt", cwd=work)
    assert sizes(work / "five.pt") == {"0": 3, "4": 10, "9": 3}


def test_nothing_to_do(work: Path) -> None:
    before = contents(work)
    prune = ("compress", "prune", "net.pt", "--input", "1x8x8")
    assert succeed(*prune, "--round-to", "6", "-o", "a.pt", cwd=work) == (
        "net.pt: no layer has more channels than were asked for; nothing is removed, and nothing written\n"
    )
    fps = ("--fps", "1000", "--bits", "6")
    assert succeed(*prune, "--fit", "xc7a35t", *fps, "-o", "a.pt", cwd=work) == (
        "net.pt: it fits xc7a35t at 1000 frames/s at 100 MHz, the default for xc7, with 6 bits as it is; nothing is "
        "removed, and nothing written\n"
    )
    assert contents(work) == before


def wide_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(64, 3),
    )  # fmt: skip


def test_fitting_a_device(work: Path) -> None:
    write_module(wide_net(), work / "wide.pt")
    onto = ("--input", "1x8x8", "-o")
    fit = ("compress", "prune", "wide.pt", "--fit", "iCE40UP5K", "--by", "magnitude", "--round-to", "4")
    text = succeed(*fit, *onto, "fits.pt", cwd=work)
    command = text.splitlines()[-1].partition("next, cnn2rtl ")[2]
    assert command == "generate fits.pt --input 1x8x8 --device iCE40UP5K"
    found = sizes(work / "fits.pt")
    assert all(found[name] % 4 == 0 for name in ("0", "3")) and 8 <= found["0"] < 32
    succeed(*command.split(), "-o", "out", cwd=work)


def test_what_does_not_fit_when_it_is_trained_is_told(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_module(wide_net(), work / "net.pt", force=True)
    # Chosen for a larger device, it cannot fit this one.
    monkeypatch.setattr(fit, "with_spare", lambda device: replace(device, rams=2 * device.rams))
    prune = ("compress", "prune", "net.pt", *TRAIN, "--fit", "iCE40UP5K", "--by", "magnitude", "--epochs", "1")
    result = run(*prune, "-o", "small.pt", cwd=work)
    assert result.code == 2 and (work / "small.pt").exists()
    (line,) = result.err.splitlines()
    start = "error: small.pt: is written, but with its weights as they are now, iCE40UP5K is too small: "
    assert line.startswith(start) and "; what would fit: " in line


def test_a_class_of_one_s_own(work: Path) -> None:
    prune = ("compress", "prune", "own.py:Net", *TRAIN, "--keep", "0.5", "--by", "magnitude", "--epochs", "1")
    text = succeed(*prune, "-o", "own.pt", cwd=work)
    assert "MACs          8,478  3,855\n" in text
    assert text.endswith("--input 1x8x8 --arch own.py:Net --mean 0.2 --std 0.3 --calib bars.npz\n")
    back = read_module(work / "own.pt", f"{work / 'own.py'}:Net")
    assert [len(back.get_parameter(f"{name}.weight")) for name in ("first", "norm", "left", "right")] == [3, 3, 3, 2]
    assert back.get_parameter("fc.weight").shape == (3, 5)


def test_mistakes(work: Path) -> None:
    (work / "folder").mkdir()
    (work / "folder" / "notes.txt").write_text("mine")
    assert mistakes(
        "compress",
        "prune",
        "none.pt",
        "--input",
        "8x8",
        "--keep",
        "1.5",
        "--fps",
        "-1",
        "--clock",
        "9",
        "--bits",
        "4",
        "--std",
        "0",
        cwd=work,
    ) == [
        "--keep 1.5: a number above 0, up to 1, is expected",
        "--fps -1: is for a device; say which with --fit, or leave it out",
        "--clock 9: is for a device; say which with --fit, or leave it out",
        "--bits 4: is for a device; say which with --fit, or leave it out",
        "--fps -1.0: a number greater than 0 is expected",
        "std 0.0: every value must be greater than 0",
        "--input 8x8: channels x height x width is expected, like 3x128x128",
        "none.pt: no such file",
    ]
    wrong = mistakes(
        "compress", "prune", "net.pt", "--input", "1x8x8", "--fit", "xc7", "--keep", "0.5", "--bits", "1",
        "--by", "taylor", "--rounds", "2", "--sparsity-epochs", "1", "--sparsity", "0", "-o", "x.npz", cwd=work,
    )  # fmt: skip
    assert wrong[0] == "--keep 0.5 and --fit xc7: either is enough; leave one out"
    assert wrong[1].startswith("--fit xc7: no such device; did you mean xc7s50 or ")
    assert wrong[2].startswith("width 1 of weights and activations: ")
    needs = "needs images; say where they are with --data"
    assert wrong[3:] == [
        "--sparsity 0: a number above 0 is expected", f"--by taylor: {needs}", f"--rounds 2: {needs}",
        f"--sparsity-epochs 1: {needs}", "-o x.npz: a name that ends with .pt is expected",
    ]  # fmt: skip
    assert mistakes("compress", "prune", "net.pt", *TRAIN, "--run", "folder", "--warm-up", "9", cwd=work) == [
        "how many channels are to stay? Say it with --keep, --fit or --round-to",
        "folder: exists and holds notes.txt, which is no part of this run; choose another folder with --run",
    ]
    early = ("--sparsity-epochs", "2", "--warm-up", "2")
    assert mistakes("compress", "prune", "net.pt", *TRAIN, "--keep", "0.5", *early, cwd=work) == [
        "--sparsity-epochs 2: more than the 2 of --warm-up are expected"
    ]
    assert mistakes("compress", "prune", "net.pt", *TRAIN, "--keep", "0.5", "--only", "9", cwd=work) == [
        "--only 9: no layer of that name makes channels that can be removed; there are 0, 4"
    ]
    assert mistakes("compress", "prune", "net.pt", *TRAIN, "--fit", "xc7a35t", "--fps", "1e7", cwd=work) == [
        (
            "even with one channel per layer: 1e+07 frames/s at 100 MHz, the default for xc7, leave 10 cycles per "
            "frame, but 0 takes 64 even fully parallel; ask for at most 1562500.0 frames/s, a faster clock or a "
            "smaller input"
        )
    ]
