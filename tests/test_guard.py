"""Absurd data is told, wherever images come in, with the likely cause; what may be meant is not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from command_line import succeed
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from qdq_models import write_qdq
from torch import nn

import cnn2rtl
from cnn2rtl import Notice
from cnn2rtl.images import given_images, images_for, load_images

SHAPE = (1, 8, 8)
RNG = np.random.default_rng(0)
GOOD = (RNG.random((20, 1, 1, 1)) * RNG.integers(0, 256, (20, 8, 8, 1))).astype(np.uint8)
BLANK = np.broadcast_to(np.arange(3, 23, dtype=np.uint8).reshape(20, 1, 1, 1) * 9, GOOD.shape).copy()

ABSURD = {
    "truth values as numbers": (GOOD & 1, "the largest of all values is 1, and pixels go from 0 to 255, so that all"),
    "four bits": (GOOD >> 4, "nearly black; if 15 means white, multiply by 17, or give floats of 0 to 1"),
    "divided twice": (GOOD / 255 / 255, "the largest of all values is 1,"),
    "scikit-learn": (
        np.minimum(GOOD // 14, 16),
        "nearly black; if 16 means white, multiply by 15.9375, or give floats of 0 to 1",
    ),
    "white": (GOOD // 16 + 240, "the smallest of all values is 240, and pixels go from 0 to 255"),
    "equal": (np.repeat(GOOD[:1], 20, 0), "all 20 images are equal; they show no more than one of them"),
    "black": (GOOD * 0, "all 20 images are 0 throughout; they show nothing: are these the right files?"),
    "blank": (BLANK, "all 20 images are a single value, from 27 to 198, throughout"),
    "clipped": (np.where(GOOD > 60, 255, 0).astype(np.uint8), "100.0% of all pixels are 0 or 255: right for black and"),
}


def told(act: Callable[[], Any]) -> list[str]:
    """What is warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act()
    return [str(each.message) for each in caught if issubclass(each.category, Notice)]


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_images(name: str, tmp_path: Path) -> None:
    images, said = ABSURD[name]
    np.save(tmp_path / "a.npy", images)
    (line,) = told(lambda: load_images(tmp_path / "a.npy", SHAPE))
    assert line.startswith(f"{tmp_path}/a.npy: ") and said in line


def test_of_several_inputs_each(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=GOOD, y=GOOD & 1)
    lines = told(lambda: images_for(tmp_path / "a.npz", {"x": SHAPE, "y": SHAPE}))
    assert len(lines) == 1 and lines[0].startswith(f"{tmp_path}/a.npz, y: the largest of all values is 1,")


def test_what_may_be_meant() -> None:
    dark, line_drawings = GOOD // 4, np.where(GOOD > 200, 230, 0).astype(np.uint8)
    for images in (GOOD, dark, line_drawings, GOOD[:1], 255 - dark):
        assert told(partial(given_images, "images", images, {"input": SHAPE})) == []


def network(bias: float = 0.0) -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()
    with torch.no_grad():
        layers[0].bias.fill_(bias)
    return layers


def test_everywhere_that_images_come_in(tmp_path: Path) -> None:
    design = cnn2rtl.compile(network(), SHAPE, calibration=GOOD)
    dark, small = "so that all images are nearly black", GOOD >> 4
    for act in (
        lambda: cnn2rtl.compile(network(), SHAPE, calibration=small),
        lambda: cnn2rtl.evaluate(design, small),
        lambda: cnn2rtl.simulate(design, small[:1]),
    ):
        assert any(dark in line for line in told(act))
    assert told(lambda: cnn2rtl.compile(network(), SHAPE, calibration=GOOD)) == []
    assert told(lambda: cnn2rtl.evaluate(design, GOOD)) == []


def test_training_is_told_as_well(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=GOOD >> 4, labels=np.arange(20) % 3)
    torch.save(network(), tmp_path / "net.pt")
    options = ("--data", "a.npz", "--input", "1x8x8", "--epochs", "1", "--batch", "4")
    said = succeed("compress", "train", "net.pt", *options, cwd=tmp_path)
    assert "note a.npz: the largest of all values is 14, and pixels go from 0 to 255" in said


def test_layers_that_collapse() -> None:
    (line,) = told(lambda: cnn2rtl.compile(network(bias=-9.0), SHAPE, calibration=GOOD))
    assert line.startswith(
        "`0`: is 0 wherever one looks, in all images, and so is one layer more: nothing gets past it;"
    )
    assert "not prepared as in training: look at `mean=`, `std=`" in line
    # With one image, too: there are four channels of nothing.
    assert told(lambda: cnn2rtl.compile(network(bias=-9.0), SHAPE, calibration=GOOD[:1]))
    # One image is no reason to find a layer of one pixel still.
    assert told(lambda: cnn2rtl.compile(network(), SHAPE, calibration=GOOD[:1])) == []


def test_outputs_that_do_not_change() -> None:
    lines = told(lambda: cnn2rtl.compile(network(), SHAPE, calibration=GOOD, mean=0.0, std=1.0))
    assert lines == []
    still = network()
    with torch.no_grad():
        still[3].bias.fill_(500.0)
    (line,) = told(lambda: cnn2rtl.compile(still, SHAPE, calibration=GOOD))
    assert (
        line.startswith("`3`: the float network's outputs change by ") and "over the 20 images; the images are" in line
    )
    design = cnn2rtl.compile(still, SHAPE)
    assert told(lambda: cnn2rtl.evaluate(design, GOOD)) == [line]
    design = cnn2rtl.compile(network(), SHAPE, calibration=GOOD)
    same = np.repeat(GOOD[:1], 6, 0)
    # Of equal images, that they are equal is enough.
    assert [line.split(": ", 1)[1] for line in told(lambda: cnn2rtl.compile(network(), SHAPE, calibration=same))] == [
        "all 6 images are equal; they show no more than one of them"
    ]
    assert told(lambda: cnn2rtl.evaluate(design, same)) == [
        "data: all 6 images are equal; they show no more than one of them"
    ]


def conv_onnx(name: str) -> onnx.ModelProto:
    """A convolution on `x`, in floats."""
    weight = RNG.normal(size=(4, 1, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["z"], name=name)],
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 4, 6, 6])],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize(
    ("mean", "std", "wrong"),
    [(0.0, 1 / 255, {}), (0.45, 0.22, {}), (0.0, 1.0, {"std": 1 / 255})],
    ids=["pixels as they are", "normalised", "of 0 to 1"],
)
def test_a_network_that_was_quantised_on_another_range(
    mean: float, std: float, wrong: dict[str, float], tmp_path: Path
) -> None:
    """Its input's step is that of other numbers, and most pixels would become the same few codes."""
    pixels = RNG.integers(0, 256, (10, 1, 8, 8))
    write_qdq(tmp_path / "a.onnx", conv_onnx("conv"), ((pixels / 255 - mean) / std).astype(np.float32))
    assert told(lambda: cnn2rtl.compile(tmp_path / "a.onnx", mean=mean, std=std)) == []
    (line,) = told(lambda: cnn2rtl.compile(tmp_path / "a.onnx", **wrong))
    assert line.startswith("`input`: pixels of 0 to 255 take ") and "of 256 codes alone" in line


def test_a_class_may_be_the_same_for_a_few_images() -> None:
    design = cnn2rtl.compile(network(), SHAPE, calibration=GOOD, class_index=True)
    index = design.float_graph.forward(GOOD).reshape(-1)
    alike = GOOD[index == np.bincount(index.astype(int)).argmax()]
    assert len(alike) >= 8 and told(lambda: cnn2rtl.evaluate(design, alike[:7])) == []
    (line,) = told(lambda: cnn2rtl.evaluate(design, alike))
    assert "the float network's outputs do not change at all over the" in line


def test_pictures(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("L", (8, 8), 255).save(tmp_path / f"{number}.png")
    (line,) = told(lambda: load_images(tmp_path, SHAPE))
    assert line == f"{tmp_path}: all 3 images are 255 throughout; they show nothing: are these the right files?"
