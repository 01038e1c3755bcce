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
