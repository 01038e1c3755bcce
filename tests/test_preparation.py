"""How pictures are prepared is said once, for calibration, and kept for whatever the design is tried on later."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import succeed
from PIL import Image
from torch import nn

import cnn2rtl
from cnn2rtl import Compiled, Notice, UserError
from cnn2rtl.cli.compress.data import DataOptions
from cnn2rtl.cli.compress.training import generate_command
from cnn2rtl.measuring import evaluation
from cnn2rtl.measuring.simulation import prepare
from cnn2rtl.trained import load, save

HEIGHT, WIDTH = 8, 10


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(3):
        colours = np.random.default_rng(number).integers(0, 256, (24, 17, 3), np.uint8)
        Image.fromarray(colours).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def expected(pictures: Path) -> np.ndarray:
    """The pictures as a network takes them that was trained on squashed ones, blue first."""
    found = [Image.open(file).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR) for file in sorted(pictures.iterdir())]
    return np.stack([np.asarray(picture)[..., ::-1] for picture in found])


@pytest.fixture(scope="module")
def design(network: nn.Module, pictures: Path) -> Compiled:
    return cnn2rtl.compile(network, (3, HEIGHT, WIDTH), calibration=pictures, fit="squash", channels="bgr")


def fed(place: object, pictures: Path, **asked: Any) -> np.ndarray:
    """The frames that a simulation is fed."""
    options: dict[str, Any] = {"fit": None, "channels": None, **asked}
    return prepare(
        place, pictures, engine="icarus", frames=None, stall=0, seed=1, waves=None, **options  # type: ignore[arg-type]
    ).pixels  # fmt: skip


def test_what_was_said_of_pictures_is_kept(
    design: Compiled, pictures: Path, expected: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = design.about["options"]
    assert (options["fit"], options["channels"]) == ("squash", "bgr")
    assert "8 x 10 raw 8-bit pixels (blue, green, red)" in str(design.files["README.md"])
    np.testing.assert_array_equal(design.vector_images, expected[:2])
    design.write(tmp_path / "out")
    seen: list[np.ndarray] = []
    compare = evaluation.compare

    def watched(*given: Any) -> Any:
        seen.append(given[2])
        return compare(*given)

    monkeypatch.setattr(evaluation, "compare", watched)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        np.testing.assert_array_equal(fed(tmp_path / "out", pictures), expected)
        for place in (design, tmp_path / "out"):
            cnn2rtl.evaluate(place, pictures)
            np.testing.assert_array_equal(seen.pop(), expected)
    # What is asked for against that is done, and told.
    with pytest.warns(Notice, match='`channels="rgb"`: the design was made for pictures with `channels="bgr"`'):
        np.testing.assert_array_equal(fed(tmp_path / "out", pictures, channels="rgb"), expected[..., ::-1])
    with pytest.warns(Notice, match='`fit="crop"`: the design was made for pictures with `fit="squash"`'):
        cnn2rtl.evaluate(design, pictures, fit="crop")


def test_on_the_command_line(network: nn.Module, pictures: Path, tmp_path: Path, expected: np.ndarray) -> None:
    torch.save(network, tmp_path / "net.pt")
    how = ("--fit", "squash", "--channels", "bgr", "--calib", str(pictures))
    succeed("generate", "net.pt", "--input", "3x8x10", *how, "-o", "out", cwd=tmp_path)
    project = cnn2rtl.open(tmp_path / "out")
    assert (project.about.options.fit, project.about.options.channels) == ("squash", "bgr")
    assert "note" not in succeed("evaluate", "out", "--data", str(pictures), cwd=tmp_path)
    told = succeed("evaluate", "out", "--data", str(pictures), "--fit", "crop", cwd=tmp_path)
    assert "--fit crop: the design was made for pictures with --fit squash" in told
    assert (
        "--fit crop cuts 80.39 % of the pictures' area away; --fit resize makes pictures smaller first, --fit squash"
        in told
    )


def test_trained_integers_keep_it(network: nn.Module, pictures: Path, tmp_path: Path, expected: np.ndarray) -> None:
    torch.save(network, tmp_path / "net.pt")
    how = ("--fit", "squash", "--channels", "bgr", "--data", str(pictures), "--epochs", "1", "--teacher")
    succeed("compress", "qat", "net.pt", "--input", "3x8x10", *how, "-o", "first.npz", cwd=tmp_path)
    # Trained further, and compiled, it is on the same pictures without another word.
    more = ("--data", str(pictures), "--epochs", "1", "--teacher")
    succeed("compress", "qat", "first.npz", *more, "-o", "second.npz", cwd=tmp_path)
    trained = load(tmp_path / "second.npz")
    assert (trained.options.fit, trained.options.channels) == ("squash", "bgr")
    np.testing.assert_array_equal(trained.vector_images, expected[:2])
    compiled = cnn2rtl.compile(tmp_path / "second.npz")
    assert compiled.about["options"]["channels"] == "bgr"
    with pytest.raises(UserError, match="fit: the network is quantised already"):
        cnn2rtl.compile(tmp_path / "second.npz", fit="resize")
    save(trained, tmp_path / "again.npz")
    assert load(tmp_path / "again.npz").options == trained.options


def test_training_hands_it_on(network: nn.Module) -> None:
    options = DataOptions(Path("pictures"), "3x8x10", fit="squash", channels="bgr")
    command = generate_command(Path("a.pt"), network, Path("net.pt"), None, options)
    assert command == "cnn2rtl generate a.pt --input 3x8x10 --fit squash --channels bgr --calib pictures"


def test_what_is_none_is_refused(network: nn.Module) -> None:
    with pytest.raises(UserError) as caught:
        cnn2rtl.compile(network, (3, HEIGHT, WIDTH), fit="stretch", channels="gbr")  # type: ignore[arg-type]
    assert caught.value.problems == (
        "fit 'stretch': one of crop, resize, squash is expected", "channels 'gbr': one of rgb, bgr is expected",
    )  # fmt: skip
