"""NaN and infinity: refused wherever they come in, by their place and number, and never taken for zeros."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from test_qdq_refusals import Sketch
from torch import nn

from cnn2rtl import UserError, compile
from cnn2rtl.finite import REMEDY, not_finite
from cnn2rtl.frontend.onnx_file import read_onnx
from cnn2rtl.frontend.onnx_float import capture_onnx
from cnn2rtl.graph import FloatGraph, Node, QuantGraph
from cnn2rtl.images import from_array
from cnn2rtl.ops import Affine, Input, Linear, Resample, Table
from cnn2rtl.options import Options
from cnn2rtl.pipeline import quantise_graph
from cnn2rtl.quantise.integers import Widths
from cnn2rtl.quantised import Quantised
from cnn2rtl.tensors import Clamp
from cnn2rtl.trained import load, save

SHAPE = (1, 2, 2)
FRAMES = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)


def graph_of(*nodes: Node) -> FloatGraph:
    return FloatGraph("net", (Node("input", Input(SHAPE), (), SHAPE), *nodes), (nodes[-1].name,))


def linear(weight: float = 1.0, bias: float = 0.0, name: str = "fc") -> Node:
    return Node(name, Linear(np.full((2, *SHAPE), weight), np.array([0.5, bias])), ("input",), (2, 1, 1))


@pytest.mark.parametrize("bad", [nan, inf, -inf])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda bad: linear(weight=bad), "`fc`: `weight`: 8 of 8 values are NaN or infinite"),
        (lambda bad: linear(bias=bad), "`fc`: `bias`: 1 of 2 values are NaN or infinite"),
        (lambda bad: Node("t", Table("elu", (1.0, bad)), ("input",), SHAPE), "`t`: `arguments`: 1 of 2 values are"),
        (lambda bad: Node("r", Resample((-1, 0), (0,), bad), ("input",), (1, 2, 1)), "`r`: `value`: 1 of 1 values are"),
        (
            lambda bad: Node("bn", Affine(np.ones(1), np.array([bad]), None, None), ("input",), SHAPE),
            "`bn`: `shift`: 1 of 1 values are",
        ),
        (
            lambda bad: replace(linear(), stats=(np.array([0.0, bad]), np.ones(2))),
            "`fc`: statistics: 1 of 4 values are",
        ),
    ],
)
def test_no_graph_holds_them(make: Callable[[float], Node], bad: float, said: str) -> None:
    """Whoever makes it: a reader to come cannot forget."""
    with pytest.raises(UserError) as caught:
        graph_of(make(bad))
    (problem,) = caught.value.problems
    assert problem.startswith(said) and problem.endswith(REMEDY), problem


def test_all_are_told_together() -> None:
    with pytest.raises(UserError) as caught:
        graph_of(linear(nan, inf), linear(bias=-inf, name="other"))
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["`fc`", "`fc`", "`other`"]


@pytest.mark.parametrize("limits", [(nan, 1.0), (0.0, nan), (inf, inf), (-inf, -inf)])
def test_limits(limits: tuple[float, float]) -> None:
    with pytest.raises(UserError, match="`fc`: limits its values to"):
        graph_of(replace(linear(), clamp=Clamp(*limits)))
    assert not Clamp().flaw and not Clamp(0.0, 6.0).flaw and not Clamp(-inf, 0.0).flaw


def test_whole_numbers_are_finite() -> None:
    assert not_finite(np.arange(3)) == not_finite("nan") == not_finite(2.5) == ""


def onnx_file(folder: Path, *calls: tuple[str, list[Any], dict[str, Any]]) -> Path:
    """A chain of operators, each on what the one before made and on constants."""
    stored, nodes, before = [], [], "x"
    for number, (kind, constants, attributes) in enumerate(calls):
        names = [f"c{number}_{i}" if value is not None else "" for i, value in enumerate(constants)]
        stored += [
            numpy_helper.from_array(np.asarray(value, np.float32), name)
            for name, value in zip(names, constants, strict=True)
            if name
        ]
        nodes.append(helper.make_node(kind, [before, *names], [f"t{number}"], f"l{number}", **attributes))
        before = f"t{number}"
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 6, 6])],
        [helper.make_tensor_value_info(before, TensorProto.FLOAT, [None] * 4)], stored,
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), folder / "n.onnx")
    return folder / "n.onnx"


def weights(bad: float, count: int = 1) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    values.flat[:count] = bad
    return values


FLOAT_FILES: dict[str, tuple[tuple[str, list[Any], dict[str, Any]], str]] = {
    "one weight": (
        ("Conv", [weights(nan)], {}),
        "`l0` (conv2d): has a `weight` that is not finite: 1 of 108 values are NaN or infinite",
    ),
    "all weights": (
        ("Conv", [weights(nan, 108)], {}),
        "`l0` (conv2d): has a `weight` that is not finite: 108 of 108 values are",
    ),
    "infinity": (
        ("Conv", [weights(inf, 2)], {}),
        "`l0` (conv2d): has a `weight` that is not finite: 2 of 108 values are",
    ),
    "bias": (
        ("Conv", [weights(0.1), [0, nan, inf, 0]], {}),
        "`l0` (conv2d): has a `bias` that is not finite: 2 of 4 values are",
    ),
    "addend": (("Add", [nan], {}), "`l0` (add): has a `other` that is not finite: 1 of 1 values are"),
    "factor": (
        ("Mul", [np.full((3, 1, 1), inf)], {}),
        "`l0` (mul): has a `other` that is not finite: 3 of 3 values are",
    ),
    "dividend of zero": (("Div", [0.0], {}), "`l0`: `scale`: 3 of 3 values are"),
    "variance below zero": (
        ("BatchNormalization", [[1.0] * 3, [0.0] * 3, [0.0] * 3, [1.0, -2.0, 1.0]], {}),
        "`l0`: `scale`: 1 of 3 values are",
    ),
    "slope": (("LeakyRelu", [], {"alpha": nan}), "`l0`: `arguments`: 1 of 1 values are"),
    "slopes": (
        ("PRelu", [np.full((3, 1, 1), nan)], {}),
        "`l0` (prelu): has a `weight` that is not finite: 3 of 3 values are",
    ),
    "limits": (("Clip", [nan, 1.0], {}), "`l0`: limits its values to nan and "),
}


@pytest.mark.parametrize("name", FLOAT_FILES)
def test_float_onnx(name: str, tmp_path: Path) -> None:
    call, said = FLOAT_FILES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserError) as caught:
            capture_onnx(read_onnx(onnx_file(tmp_path, call, ("Relu", [], {}))), "net")
    assert any(problem.startswith(said) for problem in caught.value.problems), caught.value.problems


def test_an_open_end_is_no_infinity(tmp_path: Path) -> None:
    """Some exporters write a ReLU as a Clip to infinity."""
    graph = capture_onnx(read_onnx(onnx_file(tmp_path, ("Conv", [weights(0.1)], {}), ("Clip", [0.0, inf], {}))), "net")
    assert graph[graph.output].clamp == Clamp(0.0, inf)


def nan_scale(s: Sketch) -> str:
    return s.quantised("x", nan)


def infinite_scale(s: Sketch) -> str:
    return s.quantised(s.quantised("x"), inf)


def nan_scale_of_weights(s: Sketch) -> str:
    scales = s.constant([0.1, nan, 0.1, inf])
    weight = s.op("DequantizeLinear", s.constant(np.ones((4, 3, 1, 1)), np.int8), scales, axis=0)
    return s.quantised(s.op("Conv", s.quantised("x"), weight))


def nan_weight(s: Sketch) -> str:
    values, scale = s.constant(np.full((4, 3, 1, 1), nan)), s.constant(0.1)
    codes = s.op("QuantizeLinear", values, scale, s.constant(0, np.int8))
    return s.quantised(s.op("Conv", s.quantised("x"), s.op("DequantizeLinear", codes, scale)))


def nan_bias(s: Sketch) -> str:
    return s.quantised(s.op("Conv", s.quantised("x"), s.weights(4, 3, 1, 1), s.constant([0.0, nan, 0.0, 0.0])))


def nan_limit(s: Sketch) -> str:
    return s.quantised(s.op("Clip", s.quantised("x"), s.constant(nan), s.constant(1.0)))


def nan_slope(s: Sketch) -> str:
    return s.quantised(s.op("LeakyRelu", s.quantised("x"), alpha=nan))


@pytest.mark.parametrize(
    ("sketch", "said"),
    [
        (nan_scale, "its scale is not a positive number"),
        (infinite_scale, "its scale is not a positive number"),
        (nan_scale_of_weights, "its scale is not a positive number"),
        (nan_weight, "quantises numbers that are NaN or infinite"),
        (nan_bias, "has biases that are not finite: 1 of 4 values are NaN or infinite"),
        (nan_limit, "limits its values to nan and 1"),
        (nan_slope, "has numbers that are not finite: `arguments`: 1 of 1 values are NaN or infinite"),
    ],
)
def test_quantised_onnx(sketch: Callable[[Sketch], str], said: str, tmp_path: Path) -> None:
    s = Sketch()
    assert said in s.said(sketch(s), tmp_path)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (nn.Hardtanh(nan, 1.0), "`1`: limits its values to nan and 1"),
        (nn.LeakyReLU(nan), "`1`: `arguments`: 1 of 1 values are"),
        (nn.ConstantPad2d(1, inf), "`1.resample`: `value`: 1 of 1 values are"),
    ],
)
def test_pytorch(layer: nn.Module, said: str) -> None:
    with pytest.raises(UserError) as caught:
        compile(nn.Sequential(nn.Conv2d(1, 2, 3), layer), (1, 8, 8))
    assert any(problem.startswith(said) for problem in caught.value.problems), caught.value.problems


def trained(float_graph: FloatGraph, graph: QuantGraph) -> Quantised:
    return Quantised(float_graph, graph, Options(layers={"fc": Widths(4)}), "images", frames=FRAMES)


def test_trained_files(tmp_path: Path) -> None:
    """They are plain arrays, in which anyone can write."""
    made = quantise_graph(graph_of(linear()), Options(), FRAMES)
    graph, integers = made.graph, made.integers
    save(trained(graph, integers), tmp_path / "sound.npz")
    assert load(tmp_path / "sound.npz").integers.nodes[1].layer is not None
    weight = graph["fc"].op.weight  # type: ignore[attr-defined]
    weight[0] = nan
    save(trained(graph, integers), tmp_path / "weight.npz")
    weight[0] = 1.0
    scale = integers["fc"].layer.weight_scale  # type: ignore[union-attr]
    scale[1] = inf
    save(trained(graph, integers), tmp_path / "scale.npz")
    for name, said in (
        ("weight", "`fc`: `weight`: 4 of 8 values are NaN or infinite"),
        ("scale", "`fc`: the scale of its weights is NaN, infinite, or not above 0"),
    ):
        with pytest.raises(UserError) as caught:
            load(tmp_path / f"{name}.npz")
        assert caught.value.problems == (f"{tmp_path / name}.npz: {said}; {REMEDY}",)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("weight", [1e300, 1e38, 1e20])
def test_values_that_leave_all_numbers(weight: float) -> None:
    """Finite weights are not enough: what they make must be finite, too."""
    large = linear(weight=weight, name="large")
    square = Node("square", Table("pow", (2.0,)), ("large",), (2, 1, 1))
    for images in (FRAMES, None):
        with pytest.raises(
            UserError, match=r"`large` \(linear\): . of . channels become NaN, infinite or larger than 1"
        ):
            quantise_graph(graph_of(large, square), Options(), images)
    reciprocal = Node("reciprocal", Table("reciprocal"), ("input",), SHAPE)
    with pytest.raises(UserError, match=r"`reciprocal` \(table\): 1 of 1 channels become NaN, infinite or larger"):
        quantise_graph(graph_of(reciprocal), Options(), FRAMES)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_images(dtype: type[np.floating], tmp_path: Path) -> None:
    images = np.zeros((2, 2, 2, 1), dtype)
    images[0, 0, 0, 0], images[1, 1, 1, 0] = nan, inf
    with pytest.raises(UserError, match="calibration: 2 of 8 values are NaN or infinite; raw pixels are expected"):
        from_array(images, SHAPE, "calibration")
    with pytest.raises(UserError, match="calibration: 2 of 8 values are NaN or infinite"):
        compile(nn.Sequential(nn.Conv2d(1, 2, 1)), SHAPE, calibration=torch.from_numpy(images.transpose(0, 3, 1, 2)))
