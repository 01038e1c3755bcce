"""Quantised networks in ONNX that cannot be had: each is refused by what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cnn2rtl.errors import UserError
from cnn2rtl.frontend.qdq import read_qdq


class Sketch:
    """A network (n, 3, 4, 4) in the making: each method adds operators and names what they make."""

    def __init__(self, opset: int = 21) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []
        self.opset = opset

    def constant(self, values: Any, dtype: type[np.generic] = np.float32) -> str:
        name = f"c{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], f"layer{len(self.nodes)}", **attributes))
        return name

    def quantised(self, x: str, scale: float = 0.01, dtype: type[np.generic] = np.uint8) -> str:
        """``x`` through a QuantizeLinear and a DequantizeLinear."""
        constants = (self.constant(scale), self.constant(0, dtype))
        return self.op("DequantizeLinear", self.op("QuantizeLinear", x, *constants), *constants)

    def weights(self, *shape: int) -> str:
        values = np.random.default_rng(0).integers(-127, 128, shape)
        return self.op("DequantizeLinear", self.constant(values, np.int8), self.constant(0.01))

    def said(self, result: str, folder: Path, source: tuple[int, ...] = (3, 4, 4)) -> str:
        """What is said of the network that ends with ``result``."""
        maps = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *source])]
        ends = [helper.make_tensor_value_info(result, TensorProto.FLOAT, ["n", None, None, None])]
        graph = helper.make_graph(self.nodes, "g", maps, ends, self.stored)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)
        onnx.save(model, folder / "net.onnx")
        with pytest.raises(UserError) as caught:
            read_qdq(folder / "net.onnx", "net", (0.0,), (1.0,))
        return str(caught.value)


def computed_by_a_layer(s: Sketch) -> str:
    x = s.quantised("x")
    return s.op("QuantizeLinear", s.op("Relu", x), s.op("Relu", x), s.constant(0, np.uint8))


def of_floats(s: Sketch) -> str:
    constants = (s.constant(0.01), s.constant(0, np.int32))
    return s.op("QuantizeLinear", "x", *constants)


def eight_bit_floats(s: Sketch) -> str:
    zero = helper.make_tensor("f8", TensorProto.FLOAT8E4M3FN, [], [0.0])
    s.stored.append(zero)
    return s.op("QuantizeLinear", "x", s.constant(0.01), "f8")


def per_channel_activation(s: Sketch) -> str:
    return s.op("QuantizeLinear", "x", s.constant([0.1, 0.2, 0.3]), s.constant([0, 0, 0], np.uint8), axis=1)


def clip_by_codes(s: Sketch) -> str:
    x = s.quantised("x")
    return s.quantised(s.op("Clip", x, "", s.quantised(s.op("Relu", x))))


def of_operator(kind: str, *constants: Any, **attributes: Any) -> Callable[[Sketch], str]:
    """A quantised image through an operator, with constants in floats, quantised again."""

    def draw(s: Sketch) -> str:
        return s.quantised(s.op(kind, s.quantised("x"), *map(s.constant, constants), **attributes))

    return draw


def with_bias(*reals: float) -> Callable[[Sketch], str]:
    def draw(s: Sketch) -> str:
        return s.quantised(s.op("Conv", s.quantised("x"), s.weights(4, 3, 3, 3), s.constant(reals)))

    return draw


def of_vectors(kind: str, **attributes: Any) -> Callable[[Sketch], str]:
    def draw(s: Sketch) -> str:
        flat = s.op("Flatten", s.quantised("x"))
        return s.quantised(s.op(kind, flat, s.weights(48, 5), **attributes))

    return draw


def scaled_by_row(s: Sketch) -> str:
    scales, zeros = s.constant(np.full(3, 0.01)), s.constant(np.zeros(3), np.int8)
    weights = s.op("DequantizeLinear", s.constant(np.ones((4, 3, 3, 3)), np.int8), scales, zeros, axis=1)
    return s.quantised(s.op("Conv", s.quantised("x"), weights))


def wide_weights(s: Sketch) -> str:
    values = np.full((4, 3, 3, 3), 1 << 20)
    return s.quantised(
        s.op("Conv", s.quantised("x"), s.op("DequantizeLinear", s.constant(values, np.int32), s.constant(0.01)))
    )


def sum_of_a_sum(s: Sketch) -> str:
    x = s.quantised("x")
    return s.quantised(s.op("Add", s.op("Add", x, x), x))


def concatenated(s: Sketch) -> str:
    x = s.quantised("x")
    return s.quantised(s.op("Concat", x, x, axis=2))


SKETCHES: dict[str, tuple[Callable[[Sketch], str], str]] = {
    "a scale of zero": (lambda s: s.quantised("x", 0.0), "its scale is not a positive number"),
    "a negative scale": (lambda s: s.quantised("x", -0.5), "its scale is not a positive number"),
    "a scale that is no number": (lambda s: s.quantised("x", float("nan")), "its scale is not a positive number"),
    "a computed scale": (computed_by_a_layer, "its scale and zero point are computed; they must be constants"),
    "codes of 32 bits": (of_floats, "has codes of 32 bits; 16 are supported"),
    "codes that are floats": (eight_bit_floats, "int8, uint8, int16 and uint16 are supported"),
    "an activation with a scale per channel": (per_channel_activation, "a scale per channel, which only weights may"),
    "computed ends": (clip_by_codes, "its ends are computed; they must be constants"),
    "a reshape to maps": (
        lambda s: s.quantised(s.op("Reshape", s.quantised("x"), s.constant([0, 3, 2, 8], np.int64))),
        "only (n, c * h * w) is supported",
    ),
    "an operator on the image itself": (
        lambda s: s.quantised(s.op("Relu", "x")),
        "a DequantizeLinear must come before",
    ),
    "outputs that do not divide": (
        lambda s: s.quantised(s.op("Conv", s.quantised("x"), s.weights(4, 1, 3, 3), group=3)),
        "has 4 outputs in 3 groups",
    ),
    "weights of other channels": (
        lambda s: s.quantised(s.op("Conv", s.quantised("x"), s.weights(4, 2, 3, 3))),
        "weights for 2 input channels, but the map has 3",
    ),
    "weights that are floats": (of_operator("Conv", np.ones((4, 3, 3, 3))), "its weights are not quantised"),
    "weights with scales along the inputs": (
        scaled_by_row,
        "its weights have scales along another axis than that of the",
    ),
    "weights of too many bits": (wide_weights, "its weights have 22 bits; 16 are supported"),
    "a bias of another size": (with_bias(0.5, 0.5), "has 2 biases for 4 outputs"),
    "a bias that is not finite": (with_bias(0, 0, np.inf, 0), "has biases that are not finite"),
    "a bias beyond the sums": (with_bias(0, 0, 1e6, 0), "has a bias of more than 32 bits"),
    "a constant added to no layer": (
        of_operator("Add", 0.5),
        "adds something that is no constant, or not to a fresh sum",
    ),
    "a sum of a sum": (sum_of_a_sum, "takes a result that is not quantised; a QuantizeLinear must come between"),
    "rows joined": (concatenated, "is supported along the channels alone (axis 1)"),
    "a product of maps": (of_operator("MatMul", np.ones((4, 5))), "is no product of vectors (n, c) and a matrix"),
    "a factor of a product": (of_vectors("Gemm", alpha=2.0), "has {'alpha': 2.0, 'beta': 1.0, 'transA': 0}"),
    "another kernel than the weights": (
        lambda s: s.quantised(s.op("Conv", s.quantised("x"), s.weights(4, 3, 3, 3), kernel_shape=[2, 2])),
        "kernel_shape is [2, 2], and its weights are [4, 3, 3, 3]",
    ),
    "a convolution of vectors": (
        lambda s: s.quantised(s.op("Conv", s.op("Flatten", s.quantised("x")), s.weights(4, 3, 3, 3))),
        "is no convolution of maps (n, c, h, w)",
    ),
    "flat from another axis": (of_operator("Flatten", axis=2), "only axis 1 is supported"),
    "padding by itself": (
        of_operator("MaxPool", kernel_shape=[2, 2], auto_pad="SAME_UPPER"),
        "auto_pad is not supported",
    ),
    "windows past the border": (of_operator("MaxPool", kernel_shape=[3, 3], ceil_mode=1), "ceil_mode is not supported"),
    "windows of one dimension": (
        of_operator("MaxPool", kernel_shape=[2]),
        "only windows of two dimensions are supported",
    ),
    "an average without its padding": (
        of_operator("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        "padding with count_include_pad=0 is not supported",
    ),
    "an average of spread pixels": (
        of_operator("AveragePool", kernel_shape=[2, 2], dilations=[2, 2]),
        "dilation of an average is not supported",
    ),
    "an end that is no number": (of_operator("Clip", float("nan"), 1.0), "limits its values to nan and 1"),
}


@pytest.mark.parametrize("name", SKETCHES)
def test_refusals(name: str, tmp_path: Path) -> None:
    draw, why = SKETCHES[name]
    sketch = Sketch()
    said = sketch.said(draw(sketch), tmp_path)
    assert why in said, said


def test_inputs_that_are_no_maps(tmp_path: Path) -> None:
    sketch = Sketch()
    assert "its input is (n, 3); (n, c, h, w) is needed" in sketch.said(sketch.quantised("x"), tmp_path, (3,))
    sketch = Sketch()
    assert "its input `x` is" in sketch.said(sketch.quantised("x"), tmp_path, (3, 2, 2, 2))


def test_an_old_file(tmp_path: Path) -> None:
    sketch = Sketch(opset=6)
    assert "opset 6; 7 is the oldest that is read" in sketch.said(sketch.op("Relu", "x"), tmp_path)


def test_an_input_that_nothing_depends_on(tmp_path: Path) -> None:
    sketch = Sketch()
    result = sketch.quantised("x")
    maps = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 4, 4]) for name in ("x", "idle")]
    ends = [helper.make_tensor_value_info(result, TensorProto.FLOAT, ["n", 3, 4, 4])]
    graph = helper.make_graph(sketch.nodes, "g", maps, ends, sketch.stored)
    file = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), file)
    with pytest.raises(UserError, match="`idle`: the network does nothing with this input"):
        read_qdq(file, "net", (0.0,), (1.0,))
