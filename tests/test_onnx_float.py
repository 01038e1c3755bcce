"""Float networks in ONNX: every operator over its attributes computes what onnx's own implementation does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from command_line import mistakes, succeed
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from test_capture import as_images

from cnn2rtl.errors import UserError
from cnn2rtl.frontend.onnx_file import read_onnx
from cnn2rtl.frontend.onnx_float import OPERATORS, capture_onnx
from cnn2rtl.frontend.unsupported import of_onnx
from cnn2rtl.graph import FloatGraph

NEWEST = 23
"""Of the opsets that the installed onnx has an implementation of for all operators here."""


@dataclass
class Case:
    """One operator on a tensor (n, *shape); ``constants`` are its other inputs, ``None`` for one that is left out.

    Where there is a ``second``, the tensor itself plus one is its input of that number.
    """

    kind: str
    shape: tuple[int, ...] = (3, 6, 7)
    constants: Sequence[np.ndarray | None] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    opset: int = 17
    second: int | None = None
    positive: bool = False

    def __str__(self) -> str:
        shown = [f"{k}={v}" for k, v in self.attributes.items()]
        shown += [str(c.tolist() if c.size < 9 else c.shape) for c in self.constants if c is not None]
        return f"{self.kind}-{self.opset}-{'x'.join(map(str, self.shape))}-{', '.join(shown)}"

    def model(self) -> onnx.ModelProto:
        names = [f"c{i}" if c is not None else "" for i, c in enumerate(self.constants)]
        stored = [numpy_helper.from_array(c, n) for n, c in zip(names, self.constants, strict=True) if c is not None]
        nodes, inputs = [], ["x", *names]
        if self.second is not None:
            stored.append(numpy_helper.from_array(np.float32(1.0), "one"))
            nodes.append(helper.make_node("Add", ["x", "one"], ["other"], "other"))
            inputs.insert(self.second, "other")
        results = [f"y{i}" for i in range(self.outputs)]
        nodes.append(helper.make_node(self.kind, inputs, results, "layer", **self.attributes))
        # The last of several results is the output.
        graph = helper.make_graph(
            nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *self.shape])],
            [helper.make_tensor_value_info(results[-1], TensorProto.FLOAT, [None] * (1 + len(self.shape)))], stored,
        )  # fmt: skip
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)


def f(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).uniform(-1, 1, shape).astype(np.float32)


def i(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def one(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def convolutions() -> Iterator[Case]:
    for strides, dilations, group in product(([1, 1], [2, 3]), ([1, 1], [2, 1]), (1, 3)):
        for around in (
            {"pads": [1, 0, 1, 0]},
            {"pads": [0, 1, 2, 0]},
            {"auto_pad": "SAME_UPPER"},
            {"auto_pad": "VALID"},
        ):
            spread = {"strides": strides, "dilations": dilations, "group": group, **around}
            yield Case("Conv", constants=[f(6, 3 // group, 3, 2), f(6)], attributes=spread)
    yield Case("Conv", constants=[f(4, 3, 2, 2)], attributes={"auto_pad": "SAME_LOWER"})
    yield Case("Conv", (3, 9), [f(4, 3, 3), f(4)], {"strides": [2], "pads": [1, 0]})
    paddings, extras = ([0, 0, 0, 0], [1, 0, 1, 1]), ([0, 0], [0, 1])
    for strides, pads, extra, group in product(([1, 1], [2, 3]), paddings, extras, (1, 3)):
        if any(e >= s for e, s in zip(extra, strides, strict=True)):
            continue
        attributes = {"strides": strides, "pads": pads, "output_padding": extra, "group": group}
        yield Case("ConvTranspose", (3, 3, 4), [f(3, 2, 3, 2), f(2 * group)], attributes)
    yield Case("ConvTranspose", (3, 3, 4), [f(3, 2, 3, 3)], {"dilations": [2, 1], "strides": [3, 2]})
    yield Case("ConvTranspose", (3, 7), [f(3, 2, 4)], {"strides": [2], "pads": [1, 1]})


def products() -> Iterator[Case]:
    for trans, alpha in product((0, 1), (1.0, 0.5)):
        weight = f(4, 9) if trans else f(9, 4)
        yield Case("Gemm", (9,), [weight, f(4)], {"transB": trans, "alpha": alpha, "beta": 2.0})
    yield Case("Gemm", (9,), [f(9, 4)])
    yield Case("MatMul", (9,), [f(9, 4)])
    for shape in ((5, 3, 4), (5, 4), (5,)):
        yield Case(
            "BatchNormalization", shape, [f(5), f(5, seed=1), f(5, seed=2), np.abs(f(5, seed=3))], {"epsilon": 0.1}
        )


def pools() -> Iterator[Case]:
    for strides, pads, ceil in product(([1, 1], [2, 3]), ([0, 0, 0, 0], [1, 0, 1, 1], [1, 1, 1, 1]), (0, 1)):
        attributes = {"kernel_shape": [3, 2], "strides": strides, "pads": pads, "ceil_mode": ceil}
        yield Case("MaxPool", attributes={**attributes, "dilations": [1, 2]})
        symmetric = pads[:2] == pads[2:]
        if not ceil or symmetric:
            yield Case("AveragePool", attributes={**attributes, "count_include_pad": 1}, opset=19)
        if symmetric:
            yield Case("AveragePool", attributes={**attributes, "count_include_pad": 0}, opset=19)
    yield Case("MaxPool", (3, 9), attributes={"kernel_shape": [3], "strides": [2]})
    yield Case("AveragePool", (3, 9), attributes={"kernel_shape": [3], "pads": [1, 1]})
    yield Case("GlobalAveragePool")
    yield Case("GlobalMaxPool")
    for kind in ("ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare"):
        yield Case(kind, attributes={"axes": [2, 3]}, opset=13)
        yield Case(kind, constants=[i(3)], attributes={"keepdims": 0}, opset=18)
    for kind, keep in product(("ReduceMean", "ReduceSum", "ReduceMax"), (0, 1)):
        for axes in ([2, 3], [3], [1], [1, 2]):
            if kind == "ReduceMax" and 1 in axes:
                continue
            # The axes became an input in opset 13 for the sum, in opset 18 for the others.
            if keep or axes in ([2, 3], [3]):
                yield Case(kind, constants=[i(*axes)], attributes={"keepdims": keep}, opset=18)
                if kind != "ReduceSum":
                    yield Case(kind, attributes={"axes": axes, "keepdims": keep}, opset=13)


def functions() -> Iterator[Case]:
    for kind in (
        *("Relu", "Sigmoid", "Tanh", "HardSwish", "Mish", "Softplus", "Softsign", "Erf", "Exp", "Abs", "Neg", "Sign"),
        *("Sin", "Cos", "Floor", "Ceil", "Round", "Elu", "Celu", "Selu", "LeakyRelu", "HardSigmoid", "ThresholdedRelu"),
        *("Shrink", "Identity", "Dropout"),
    ):
        yield Case(kind, opset=22)
    for kind in ("Log", "Sqrt", "Reciprocal"):
        yield Case(kind, positive=True)
    for kind, value in product(("Elu", "Celu", "LeakyRelu", "ThresholdedRelu"), (0.3, 2.0)):
        yield Case(kind, attributes={"alpha": value}, opset=22)
    yield Case("Selu", attributes={"alpha": 1.5, "gamma": 0.7})
    yield Case("HardSigmoid", attributes={"alpha": 0.3, "beta": 0.4})
    yield Case("Shrink", attributes={"lambd": 0.4, "bias": 0.4})
    for approximate in ("none", "tanh"):
        yield Case("Gelu", attributes={"approximate": approximate}, opset=20)
    yield Case("PRelu", constants=[f(3, 1, 1)])
    yield Case("PRelu", constants=[f(1)])
    for low, high in ((0.0, None), (None, 0.5), (-0.25, 0.75)):
        yield Case("Clip", constants=[None if b is None else one(b) for b in (low, high)])
    for exponent in (2.0, 3.0):
        yield Case("Pow", constants=[one(exponent)])
    yield Case("Pow", constants=[one(0.5)], positive=True)
    yield Case("CastLike", constants=[one(1.0)])
    yield Case("Cast", attributes={"to": 1})
    for kind in ("Max", "Min"):
        yield Case(kind, constants=[one(0.25)])


def arithmetic() -> Iterator[Case]:
    for kind in ("Add", "Sub", "Mul", "Div"):
        for constant in (one(1.5), f(3, 1, 1) + 2, f(1, 3, 1, 1) + 2):
            yield Case(kind, constants=[constant])
        yield Case(kind, second=1, positive=True)
    yield Case("Add", (5,), [f(5)])
    yield Case("Mean", second=1)
    yield Case("Sum", second=1, constants=[f(3, 1, 1)])


def moves() -> Iterator[Case]:
    for axis in (1, -3):
        yield Case("Concat", attributes={"axis": axis}, second=1)
    yield Case("Split", (6, 4, 5), [i(1, 2, 3)], {"axis": 1}, 3)
    yield Case("Split", (7, 4, 5), attributes={"axis": 1, "num_outputs": 4}, outputs=4, opset=18)
    for starts, ends, axes, steps in (
        (i(1), i(3), i(1), i(1)), (i(0, 1), i(99, -1), i(2, 3), i(2, 1)), (i(-1), i(-99), i(3), i(-1)),
        (i(5), i(0), i(2), i(-2)),
    ):  # fmt: skip
        yield Case("Slice", constants=[starts, ends, axes, steps])
    yield Case("Gather", constants=[i(2, 0, 0)], attributes={"axis": 1})
    yield Case("Gather", constants=[i(5, -1)], attributes={"axis": 3})
    yield Case("Reshape", (4, 2, 3), [i(1, 4, -1)])
    yield Case("Squeeze", (4, 1, 1), [i(2, 3)])
    yield Case("Squeeze", (4, 1, 3), [i(2)])
    yield Case("Unsqueeze", (4, 3), [i(2)])
    yield Case("Flatten", (4, 1, 1))
    yield Case("Flatten", (1, 4, 1), attributes={"axis": 2})
    yield Case("Flatten", (1, 1, 1), attributes={"axis": -1})
    yield Case("Transpose", (4, 2, 3), attributes={"perm": [0, 1, 2, 3]})
    yield Case("Expand", (4, 1, 1), [i(1, 4, 2, 3)])
    yield Case("Expand", (1, 2, 3), [i(4, 1, 1)])
    yield Case("Tile", (2, 2, 3), [i(1, 2, 1, 3)])
    for pads in (i(0, 0, 1, 2, 0, 0, 0, 1), i(0, 0, 0, 0, 0, 0, 2, 0)):
        for mode in ("constant", "reflect", "edge", "wrap"):
            yield Case("Pad", constants=[pads], attributes={"mode": mode}, opset=19)
    yield Case("Pad", constants=[i(0, 1, 0, 0, 0, 2, 1, 0), one(0.5)])
    yield Case("Pad", constants=[i(1, 2), None, i(3)], opset=18)
    for mode in ("DCR", "CRD"):
        yield Case("DepthToSpace", (8, 2, 3), attributes={"blocksize": 2, "mode": mode})
    yield Case("SpaceToDepth", (2, 4, 6), attributes={"blocksize": 2})
    for how, rounding in product(
        ("half_pixel", "asymmetric", "align_corners"), ("round_prefer_floor", "floor", "ceil", "round_prefer_ceil")
    ):
        attributes = {"coordinate_transformation_mode": how, "nearest_mode": rounding}
        yield Case("Resize", (2, 3, 4), [None, None, i(1, 2, 7, 6)], attributes, opset=13)
    for scales in ((2.0, 3.0), (0.5, 1.5)):
        yield Case("Resize", (2, 4, 4), [None, np.array([1, 1, *scales], np.float32)], opset=13)
    yield Case("Resize", (2, 3, 4), [None, np.array([1, 1, 2, 3], np.float32)], {"mode": "linear"}, opset=13)
    aligned = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    yield Case("Resize", (2, 3, 4), [None, None, i(1, 2, 7, 4)], aligned, opset=13)
    yield Case("Resize", (2, 3, 4), [None, None, i(1, 2, 4, 6)], {"mode": "linear"}, opset=13)


def old_forms() -> Iterator[Case]:
    """Operators as they were: what became an input was an attribute."""
    for opset in (7, 9, 10):
        yield Case("Clip", attributes={"min": -0.25, "max": 0.5}, opset=opset)
        yield Case("Clip", attributes={"max": 0.5}, opset=opset)
        yield Case("Pad", attributes={"pads": [0, 0, 1, 2, 0, 0, 0, 1], "value": 0.5}, opset=opset)
        yield Case("Dropout", attributes={"ratio": 0.3}, opset=opset)
        yield Case("PRelu", constants=[f(3, 1, 1)], opset=opset)
        yield Case(
            "BatchNormalization", (5, 3, 4), [f(5), f(5, seed=1), f(5, seed=2), np.abs(f(5, seed=3))], opset=opset
        )
        yield Case("Gemm", (9,), [f(9, 4), f(1)], opset=opset)
    for opset in (8, 12):
        yield Case("Sum", second=1, constants=[f(3, 1, 1)], opset=opset)
        yield Case("Split", (6, 4, 5), attributes={"axis": 1, "split": [1, 2, 3]}, outputs=3, opset=opset)
        yield Case("Split", (6, 4, 5), attributes={"axis": 1}, outputs=3, opset=opset)
        yield Case("Squeeze", (4, 1, 3), attributes={"axes": [2]}, opset=opset)
        yield Case("Unsqueeze", (4, 3), attributes={"axes": [2]}, opset=opset)
        for kind in ("ReduceSum", "ReduceMean"):
            yield Case(kind, attributes={"axes": [2, 3]}, opset=opset)
    yield Case("Slice", attributes={"axes": [2, 3], "starts": [0, 1], "ends": [99, -1]}, opset=9)
    yield Case("Slice", attributes={"axes": [0, 3], "starts": [0, 1], "ends": [2**31 - 1, -1]}, opset=9)
    for scales in ((2.0, 3.0), (1.0, 2.0)):
        yield Case("Upsample", (2, 3, 4), attributes={"scales": [1.0, 1.0, *scales], "mode": "nearest"}, opset=7)
        yield Case("Upsample", (2, 3, 4), [np.array([1, 1, *scales], np.float32)], opset=9)
    for scales in ((2.0, 3.0), (0.6, 0.5), (1.0, 0.6)):
        yield Case("Resize", (2, 4, 5), [np.array([1, 1, *scales], np.float32)], opset=10)


OLD = list(old_forms())
CASES = [*convolutions(), *products(), *pools(), *functions(), *arithmetic(), *moves()]


def captured(model: onnx.ModelProto, folder: Path) -> FloatGraph:
    onnx.save(model, folder / "net.onnx")
    return capture_onnx(read_onnx(folder / "net.onnx"), "net")


def images(shape: Sequence[int], positive: bool = False) -> np.ndarray:
    x = np.random.default_rng(7).normal(size=(2, *shape)).astype(np.float32)
    return np.abs(x) + np.float32(0.1) if positive else x


def by_onnx(case: Case, model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """The result of onnx's own implementation, but that it has no transposed convolution with groups."""
    if case.kind == "ConvTranspose" and case.attributes.get("group", 1) > 1:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, {"x": x})[0])
    return np.asarray(ReferenceEvaluator(model).run(None, {"x": x})[0])


@pytest.mark.parametrize("case", OLD, ids=str)
def test_every_old_form_is_what_onnxruntime_says(case: Case, tmp_path: Path) -> None:
    model = case.model()
    model.ir_version = 4
    graph = captured(model, tmp_path)
    x = images(case.shape)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"x": image[None]})[0] for image in x])
    actual, wanted = graph.forward(as_images(x.astype(np.float64))), as_images(expected)
    np.testing.assert_allclose(actual.reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_operator_is_what_onnx_says(case: Case, tmp_path: Path) -> None:
    model = case.model()
    graph = captured(model, tmp_path)
    x = images(case.shape, case.positive)
    # Constant shapes are those of one image.
    expected = np.concatenate([by_onnx(case, model, image[None]) for image in x])
    actual = graph.restored[0].of([graph.forward(as_images(x.astype(np.float64)))])
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_every_operator_has_cases() -> None:
    # Those of the end of a network, and one that onnx has no opset of yet, are tested by themselves.
    ends = {"Softmax", "LogSoftmax", "ArgMax", "Swish"}
    assert set(OPERATORS) - {case.kind for case in [*CASES, *OLD]} == ends


def network(nodes: Sequence[onnx.NodeProto], shape: Sequence[int], *constants: np.ndarray) -> onnx.ModelProto:
    """From ``x`` to ``y``; constants are ``c0``, ``c1`` and so on."""
    stored = [numpy_helper.from_array(values, f"c{number}") for number, values in enumerate(constants)]
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", None])], stored,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def test_shapes_that_are_computed(tmp_path: Path) -> None:
    """As exporters write a flatten, from the shape of the tensor; a shuffle with constants made of others."""
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "c0"], ["conv"], "/features/0/Conv"),
        node("Mul", ["c3", "c3"], ["four"]),
        node("Concat", ["c1", "four", "c4"], ["grouped"], axis=0),
        node("Reshape", ["conv", "grouped"], ["parts"]),
        node("Transpose", ["parts"], ["swapped"], perm=[0, 2, 1, 3, 4]),
        node("Shape", ["conv"], ["shape"]),
        node("Reshape", ["swapped", "shape"], ["shuffled"]),
        node("Relu", ["shuffled"], ["relu"], "/features/1/Relu"),
        node("Gather", ["shape", "c1"], ["n"]),
        node("Concat", ["n", "c2"], ["flat"], axis=0),
        node("Reshape", ["relu", "flat"], ["vector"]),
        node("Gemm", ["vector", "c5"], ["y"], "/classifier/Gemm", transB=1),
    ]
    model = network(nodes, (3, 4, 4), f(8, 3, 2, 2), i(0), i(-1), i(2), i(2, 3, 3), f(5, 72))
    graph = captured(model, tmp_path)
    names = [one.name for one in graph.nodes]
    assert names[:2] == ["input", "features.0.Conv"] and names[-1] == "classifier.Gemm"
    x = images((3, 4, 4))
    expected = np.concatenate([ReferenceEvaluator(model).run(None, {"x": image[None]})[0] for image in x])
    np.testing.assert_allclose(graph.forward(as_images(x.astype(np.float64)))[:, 0, 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("last", ["Softmax", "LogSoftmax", "ArgMax"])
def test_the_end_of_a_network(last: str, tmp_path: Path) -> None:
    nodes = [helper.make_node("Flatten", ["x"], ["v"]), helper.make_node("Gemm", ["v", "c0"], ["s"], "fc")]
    attributes = {"axis": 1} if last == "ArgMax" else {}
    model = network([*nodes, helper.make_node(last, ["s"], ["y"], "end", **attributes)], (2, 3, 3), f(18, 5))
    graph = captured(model, tmp_path)
    x = images((2, 3, 3))
    scores = x.reshape(2, -1) @ f(18, 5)
    found = graph.forward(as_images(x.astype(np.float64)))[:, 0, 0]
    if last == "ArgMax":
        np.testing.assert_array_equal(found[:, 0], scores.argmax(1))
    else:
        np.testing.assert_allclose(found, scores, rtol=1e-4, atol=1e-5)
        assert graph.notes and "`end` is left out" in graph.notes[0]


def refusal(model: onnx.ModelProto, folder: Path) -> tuple[str, ...]:
    with pytest.raises(UserError) as caught:
        captured(model, folder)
    return tuple(caught.value.problems)


def test_what_is_refused_all_at_once(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("LRN", ["x"], ["a"], "first", size=3),
        node("MaxPool", ["x"], ["b", "indices"], "second", kernel_shape=[2, 2]),
        node("Conv", ["x", "c0"], ["c"], "third", strides=[0, 1]),
        node("Conv", ["a", "c1"], ["d"], "fourth", pads=[-1, 0, 0, 0]),
        node("Cast", ["indices"], ["e"], "fifth", to=1),
        node("Sum", ["b", "c", "d", "e"], ["f"], "sixth"),
        node("Where", ["f", "f", "f"], ["y"], "seventh"),
    ]
    # The operators that are unknown come first; what is wrong behind one is told all the same.
    assert refusal(network(nodes, (3, 4, 4), f(2, 3, 2, 2), f(4, 3, 1, 1)), tmp_path) == (
        f"`first` (LRN): is not supported; {of_onnx('LRN')}",
        f"`seventh` (Where): is not supported; {of_onnx('Where')}",
        "`second` (MaxPool): the indices of a pooling are not supported; leave its second output out",
        "`third` (Conv): has a stride of 0, or negative padding",
        "`fourth` (Conv): has a stride of 0, or negative padding",
    )


REFUSED = {
    "other shape": (("Conv", {}, (f(2, 4, 2, 2),)), "takes 4 channels, but gets 3"),
    "three dimensions": (("Conv", {}, (f(2, 3, 2, 2, 2),)), "`layer` \\(Conv\\): "),
    "transposed product": (("Gemm", {"transA": 1}, (f(4, 4),)), "would mix the images of a batch"),
    "batch flattened": (("Reshape", {}, (i(-1),)), "the batch must stay the first dimension"),
    "axis 0": (("Flatten", {"axis": 0}, ()), "only axis 1 is supported"),
    "axis 2": (("Flatten", {"axis": 2}, ()), "only axis 1 is supported"),
    "along the batch": (("Slice", {}, (i(0), i(1), i(0))), "works along the batch"),
    "softmax of the batch": (("Softmax", {"axis": 0}, ()), "works along the batch"),
    "a batch in front": (("Unsqueeze", {}, (i(0),)), "works along the batch"),
    "an attribute nobody reads": (
        ("BatchNormalization", {"training_mode": 1}, (f(3), f(3), f(3), f(3))),
        "training_mode=1 is not supported; leave it at",
    ),
    "a bias for every image": (
        ("Gemm", {}, (f(4, 4), f(2, 4))),
        "`layer` \\(Gemm\\): adds another bias to every image of a batch",
    ),
    "like integers": (("CastLike", {}, (i(1),)), "to floats alone"),
    "mask": (("Dropout", {}, (one(0.5), np.array(True))), "training_mode is set"),
    "slopes of columns": (("PRelu", {}, (f(4),)), "others for every pixel"),
    "other weights than told": (("Conv", {"kernel_shape": [3, 3]}, (f(2, 3, 2, 2),)), "kernel_shape is \\[3, 3\\]"),
    "an unknown value": (("DepthToSpace", {"blocksize": 2, "mode": "RCD"}, ()), "mode=RCD is not supported"),
    "cubic": (("Resize", {"mode": "cubic"}, (one(1.0), np.array([1, 1, 2, 2], np.float32))), "mode cubic"),
    "more channels": (
        ("Resize", {}, (one(1.0), np.array([1, 2, 1, 1], np.float32))),
        "changes the channels; only height",
    ),
    "a power of maps": (("Pow", {}, (f(3, 4, 4),)), "one is supported"),
    "integers": (("Cast", {"to": 7}, ()), "to floats alone"),
    "maximum of maps": (("Max", {}, (f(3, 4, 4),)), "of a map and a number"),
    "indices of two dimensions": (
        ("Gather", {"axis": 1}, (i(0, 1).reshape(1, 2),)),
        "constant indices of one dimension",
    ),
    "padding of one side": (
        ("AveragePool", {"kernel_shape": [2, 2], "pads": [1, 0, 0, 0]}, ()),
        "other padding on one side than on the other needs count_include_pad=1",
    ),
    "padded batch": (("Pad", {}, (i(1, 0, 0, 0, 0, 0, 0, 0),)), "adds images to a batch"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str, tmp_path: Path) -> None:
    (kind, attributes, constants), message = REFUSED[name]
    inputs = ["x", *(f"c{number}" for number in range(len(constants)))]
    nodes = [helper.make_node(kind, inputs, ["y"], "layer", **attributes)]
    (said,) = refusal(network(nodes, (3, 4, 4), *constants), tmp_path)
    assert re.search(message, said)


def test_an_input_that_is_left_out(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", ""], ["y"], "layer")]
    (said,) = refusal(network(nodes, (3, 4, 4)), tmp_path)
    assert "damaged one (Node (layer)'s input 1 is marked single but has an empty string" in said


def test_a_constant_without_bounds(tmp_path: Path) -> None:
    nodes = [helper.make_node("Expand", ["c0", "c1"], ["big"], "big"), helper.make_node("Add", ["x", "big"], ["y"])]
    assert (
        "a constant that is too large" in refusal(network(nodes, (3, 4, 4), one(1.0), i(1 << 20, 1 << 20)), tmp_path)[0]
    )


def test_from_the_command_line(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "c0"], ["a"], "/conv/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("HardSwish", ["a"], ["b"], "/act/HardSwish"),
        helper.make_node("GlobalAveragePool", ["b"], ["c"], "/pool"),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "c1"], ["y"], "/fc"),
    ]
    onnx.save(network(nodes, (1, 6, 6), f(4, 1, 3, 3), f(4, 3)), tmp_path / "net.onnx")
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (8, 6, 6), np.uint8))
    succeed("generate", "net.onnx", "--bits", "8", "--calib", "images.npy", "-o", "out", cwd=tmp_path)
    assert "PASS" in succeed("simulate", "out", cwd=tmp_path)
    shown = succeed("inspect", "net.onnx", cwd=tmp_path)
    assert "table" in shown and "act.HardSwish" in shown
    assert succeed("inspect", "net.onnx", "--input", "1x6x6", cwd=tmp_path) == shown
    (line,) = mistakes("generate", "net.onnx", "--input", "1x6x7", cwd=tmp_path)
    assert line == "--input: 1x6x7 is given, and the input `x` of net.onnx is (n, 1, 6, 6)"
