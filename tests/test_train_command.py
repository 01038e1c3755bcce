"""``cnn2rtl compress train``: from images to a design, killed and interrupted, and what it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import bars
import numpy as np
import pytest
import torch
from command_line import mistakes, run, succeed
from torch import nn

from cnn2rtl.compress.modules import read_module
from cnn2rtl.compress.training.checkpoint import epochs_in


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


OPTIONS = ("--input", "1x8x8", "--batch", "8", "--rate", "0.02", "--shift", "1", "--mean", "0.2", "--std", "0.3")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images in folders and in a file, and an untrained network."""
    folder = tmp_path_factory.mktemp("work")
    bars.write_folders(folder / "images", 90)
    bars.write_folders(folder / "val", 30, 1)
    images, labels = bars.bars(90)
    np.savez(folder / "bars.npz", images=images, labels=labels)
    torch.save(bars.small_net(), folder / "net.pt")
    return folder


def test_from_images_to_a_design(work: Path, tmp_path: Path) -> None:
    for bad in ("images/lying/00.png", "val/none/00.png"):
        file = tmp_path / bad
        file.parent.mkdir(parents=True)
        file.write_bytes(b"no image")
    for folder in ("images", "val"):
        for image in (work / folder).glob("*/*.png"):
            target = tmp_path / image.relative_to(work)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(image.read_bytes())
    text = succeed(
        "compress", "train", work / "net.pt", "--data", "images", "--val", "val", *OPTIONS, "--epochs", "8",
        "-o", "a.pt", cwd=tmp_path,
    )  # fmt: skip
    lines = text.splitlines()
    assert lines[0] == "classification: 90 images to train on, 30 to validate on, on cpu, seed 0"
    assert lines[1].startswith("skipped images/lying/00.png: not a readable image (")
    assert lines[2].startswith("skipped val/none/00.png: not a readable image (")
    assert lines[3].startswith("epoch 1 of 8: loss ") and lines[3].endswith("% right, the best")
    assert lines[11] == "note 2 images could not be read and were skipped"
    assert lines[12].startswith("a.pt: epoch ")
    command = lines[12].partition("; next, ")[2]
    assert command == "cnn2rtl generate a.pt --input 1x8x8 --mean 0.2 --std 0.3 --calib images"
    (tmp_path / "images/lying/00.png").unlink()
    succeed(*command.split()[1:], "-o", "out", cwd=tmp_path)
    assert "PASS" in succeed("simulate", "out", cwd=tmp_path)
    assert sorted(path.name for path in (tmp_path / "a.run").iterdir()) == [
        "checkpoint.pt", "curve.png", "log.csv", "log.json", "network.pt",
    ]  # fmt: skip


def test_killed_at_any_time_it_gives_the_same_weights(work: Path, tmp_path: Path) -> None:
    train_it = ("compress", "train", "net.pt", "--data", "bars.npz", *OPTIONS, "--epochs", "24")
    for name in ("net.pt", "bars.npz"):
        (tmp_path / name).symlink_to(work / name)
    succeed(*train_it, "-o", "whole.pt", cwd=tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for target in (2, 9):
        with subprocess.Popen(
            [sys.executable, "-u", "-m", "cnn2rtl", *train_it, "-o", "killed.pt"], cwd=tmp_path, env=environment,
            stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            # Told of the next epoch, the one that counts has been kept.
            assert any(line.startswith(f"epoch {target + 1} of 24") for line in process.stdout)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        assert target <= epochs_in(tmp_path / "killed.run") < 24
        assert not (tmp_path / "killed.pt").exists()
    done = epochs_in(tmp_path / "killed.run")
    text = succeed(*train_it, "-o", "killed.pt", cwd=tmp_path)
    assert f"killed.run: goes on after epoch {done} of 24\nepoch {done + 1} of 24: loss " in text
    bars.assert_same(read_module(tmp_path / "killed.pt"), read_module(tmp_path / "whole.pt"))


def test_ctrl_c(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnn2rtl.compress.training import loop

    real, calls = loop.measure, [0]

    def interrupted(*arguments: object) -> tuple[float, float]:
        calls[0] += 1
        if calls[0] in (1, 3):
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "measure", interrupted)
    train_it = (
        "compress",
        "train",
        work / "net.pt",
        "--data",
        work / "bars.npz",
        *OPTIONS,
        "--epochs",
        "3",
        "-o",
        "a.pt",
    )
    first = run(*train_it, cwd=tmp_path)
    assert first.code == 130 and first.err == "interrupted: no epoch was whole, the same command begins anew\n"
    second = run(*train_it, cwd=tmp_path)
    assert second.code == 130
    assert second.err == (
        "interrupted: a.run/network.pt holds the best of 1 epochs; the same command goes on after them\n"
    )
    assert isinstance(read_module(tmp_path / "a.run/network.pt"), nn.Module)
    assert "a.run: goes on after epoch 1 of 3\nepoch 2 of 3" in succeed(*train_it, cwd=tmp_path)
    # Whole: the network is there, and only --force writes it again.
    assert mistakes(*train_it, cwd=tmp_path) == ["a.pt: exists; choose another name, or give --force to replace it"]
    assert "epoch 1 of" not in succeed(*train_it, "--force", cwd=tmp_path)
    assert mistakes(*train_it, "--force", "--epochs", "4", cwd=tmp_path)[0].startswith(
        "a.run: holds 3 epochs of a run with epochs 3 (now 4);"
    )
    assert "epoch 4 of 4" in succeed(*train_it, "--force", "--restart", "--epochs", "4", cwd=tmp_path)


def test_a_network_of_ones_own_class(work: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from torch import nn\n\n\nclass Own(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4, 3)\n\n"
        "    def forward(self, x):\n        return self.fc(self.conv(x).relu().mean((2, 3)))\n"
    )
    text = succeed(
        "compress", "train", "own.py:Own", "--data", work / "bars.npz", "--input", "1x8x8", "--epochs", "1",
        cwd=tmp_path,
    )  # fmt: skip
    command = text.splitlines()[-1].partition("; next, ")[2]
    assert command.startswith("cnn2rtl generate own_trained.pt --input 1x8x8 --arch own.py:Own --calib ")
    succeed(*command.split()[1:], "-o", "out", cwd=tmp_path)


def test_all_mistakes_at_once(work: Path, tmp_path: Path) -> None:
    (tmp_path / "a.run").mkdir()
    (tmp_path / "a.run" / "mine.txt").write_text("mine")
    assert mistakes(
        "compress", "train", "none.pt", "--data", "nowhere", "--input", "8x8", "--epochs", "0", "--mean", "x", "--std",
        "0", "-o", "a.pt", "--device", "cpu", cwd=tmp_path,
    ) == [
        "--epochs 0: at least 1 is expected",
        "a.run: exists and holds mine.txt, but no run; choose another folder with --run",
        "--input 8x8: channels x height x width is expected, like 3x128x128",
        "none.pt: no such file",
        "--mean x: numbers are expected, separated by commas, like 0.485,0.456,0.406",
        "std 0.0: every value must be greater than 0",
        "--data nowhere: no such file or folder",
    ]  # fmt: skip
    given = ("compress", "train", work / "net.pt", "--input", "1x8x8")
    for name, size in (("four", 8), ("big", 9)):
        images = np.arange(4 * size * size).reshape(4, size, size) % 251
        np.savez(tmp_path / f"{name}.npz", images=images, labels=np.arange(4))
    assert mistakes(*given, "--data", "four.npz", "--val", "big.npz", cwd=tmp_path) == [
        "--data four.npz: label 3 is none of the network's outputs, 0 to 2",
        "big.npz: the images are 4x9x9x1; n x 8x8x1 or n x 1x8x8 expected",
    ]
    np.savez(tmp_path / "bare.npz", images=images[:, :8, :8])
    assert mistakes(*given, "--data", "bare.npz", cwd=tmp_path)[0].startswith(
        "--data bare.npz: the images have no labels"
    )
    bars.write_folders(tmp_path / "val", 6)
    (tmp_path / "val" / "none").rename(tmp_path / "val" / "nothing")
    assert mistakes(*given, "--data", work / "images", "--val", "val", cwd=tmp_path) == [
        "--val val: class folders must be those of --data, but it lacks none and has also nothing"
    ]
    assert mistakes(*given, "--data", work / "images", "-o", "a.npz", cwd=tmp_path)[0] == (
        "-o a.npz: a name that ends with .pt is expected"
    )
