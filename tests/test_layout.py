"""Inputs and outputs with their channels last: the order in which the hardware takes pixels, so they cost nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from own_outputs import assert_own, restored, streamed
from torch import Tensor, nn

import cnn2rtl
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture
from cnn2rtl.frontend.onnx_file import read_onnx
from cnn2rtl.frontend.onnx_float import capture_onnx


class Net(nn.Module):
    """A function of some layers and of the inputs."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.layers, x)


class TwoInputs(Net):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        return self.function(self.layers, x, y)


def first(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def conv(channels: int = 3) -> nn.Conv2d:
    return nn.Conv2d(channels, 4, 3)


MEAN, STD = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.4, 0.5, 0.6])

# The model, its input's shape, and the kinds of layers that become of it.
LAST: dict[str, tuple[Net, tuple[int, ...], list[str]]] = {
    "three channels": (
        Net(lambda m, x: m[1](m[0](first(x)).relu().mean((2, 3))), conv(), nn.Linear(4, 3)),
        (12, 10, 3),
        ["conv2d", "identity", "avgpool2d", "linear"],
    ),
    "one channel": (Net(lambda m, x: m[0](first(x)), conv(1)), (12, 10, 1), ["conv2d"]),
    "one channel, reshaped": (Net(lambda m, x: m[0](x.reshape(-1, 1, 12, 10)), conv(1)), (12, 10, 1), ["conv2d"]),
    "transposed twice": (Net(lambda m, x: m[0](x.transpose(2, 3).transpose(1, 2)), conv()), (12, 10, 3), ["conv2d"]),
    "scaled before": (Net(lambda m, x: m[0](first(x * 2 - 1)), conv()), (12, 10, 3), ["affine", "affine", "conv2d"]),
    "normalised before": (
        Net(lambda m, x: m[0](first((x - MEAN) / STD)), conv()),
        (12, 10, 3),
        ["affine", "affine", "conv2d"],
    ),
    "padded before": (
        Net(lambda m, x: m[0](first(nn.functional.pad(x, (0, 0, 1, 1, 2, 0)))), conv()),
        (12, 10, 3),
        ["conv2d"],
    ),
    "blue first": (Net(lambda m, x: m[0](first(x.flip(3))), conv()), (12, 10, 3), ["select", "conv2d"]),
    "a series": (Net(lambda m, x: m[0](x.transpose(1, 2)), nn.Conv1d(6, 4, 3)), (40, 6), ["conv2d"]),
    "linear over channels": (
        Net(lambda m, x: m[1](m[0](x).relu().amax((1, 2))), nn.Linear(3, 8), nn.Linear(8, 2)),
        (12, 10, 3),
        ["conv2d", "identity", "maxpool2d", "linear"],
    ),
    "flat": (Net(lambda m, x: m[0](x.flatten(1)), nn.Linear(300, 4)), (10, 10, 3), ["linear"]),
    "flat digits": (Net(lambda m, x: m[0](x.flatten(1)), nn.Linear(100, 4)), (10, 10, 1), ["linear"]),
    "flat behind layers": (
        Net(lambda m, x: m[1](m[0](first(x)).permute(0, 2, 3, 1).flatten(1)), conv(), nn.Linear(320, 3)),
        (12, 10, 3),
        ["conv2d", "linear"],
    ),
    "in and out": (Net(lambda m, x: m[0](first(x)).permute(0, 2, 3, 1), conv()), (12, 10, 3), ["conv2d"]),
    "one row of means": (
        Net(lambda m, x: m[0](first(x)).permute(0, 2, 3, 1).mean(1), conv()),
        (12, 10, 3),
        ["conv2d", "avgpool2d"],
    ),
}


@pytest.mark.parametrize("name", LAST)
def test_channels_last_cost_nothing(name: str) -> None:
    model, shape, kinds = LAST[name]
    graph = capture(model.eval(), shape, "net")
    sized = (shape[-1], *shape[:-1]) if len(shape) == 3 else (shape[-1], 1, shape[0])
    assert graph.inputs == {"input": sized}
    assert [node.op.kind for node in graph.nodes if node.inputs] == kinds
    dims = ", ".join(map(str, shape))
    (note,) = graph.notes
    assert note.startswith(
        f"`input` is (n, {dims}) in the model, channels last, which is the order in which the hardware"
    )
    assert_own(graph, model, shape, last=(True,))
    model.float()


FIRST: dict[str, tuple[Net, tuple[int, ...]]] = {
    "a map of 3 columns": (Net(lambda m, x: m[0](x), nn.Conv2d(8, 4, 3, padding=1)), (8, 8, 3)),
    "a narrow map": (Net(lambda m, x: m[0](x), nn.Conv2d(5, 4, 1)), (5, 5, 1)),
    "flat": (Net(lambda m, x: m[0](x.flatten(1)), nn.Linear(300, 4)), (3, 10, 10)),
    "a flat map": (Net(lambda m, x: m[0](x.flatten(1)), nn.Linear(160, 4)), (8, 10, 2)),
    "a mean": (Net(lambda m, x: m[0](x.mean((2, 3))), nn.Linear(8, 4)), (8, 8, 3)),
}


@pytest.mark.parametrize("name", FIRST)
def test_channels_first_stay_first(name: str) -> None:
    model, shape = FIRST[name]
    graph = capture(model.eval(), shape, "net")
    assert graph.inputs == {"input": shape} and not graph.notes
    assert_own(graph, model, shape)
    model.float()


def test_each_input_has_its_own_order() -> None:
    model = TwoInputs(lambda m, x, y: m[0](first(x)) + m[1](y), conv(), conv()).eval()
    shapes = (12, 10, 3), (3, 12, 10)
    graph = capture(model, shapes, "net")
    assert graph.inputs == {"x": (3, 12, 10), "y": (3, 12, 10)}
    assert_own(graph, model, *shapes, last=(True, False))
    vectors = TwoInputs(lambda m, x, y: m[0](first(x)).mean((2, 3)) + y, conv()).eval()
    assert_own(capture(vectors, (shapes[0], (4,)), "net"), vectors, shapes[0], (4,), last=(True, False))


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (Net(lambda m, x: m[0](first(x)) + m[0](x), nn.Conv2d(3, 2, 1)), (3, 3, 3)),  # both at once
        (Net(lambda m, x: m[0](x.permute(0, 1, 3, 2)), conv()), (3, 8, 8)),  # rows for columns
        (Net(lambda m, x: m[0](x.permute(0, 2, 1, 3)), conv(8)), (3, 8, 8)),  # channels for rows
    ],
)
def test_no_order_at_all_is_refused(model: Net, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="its values in another order"):
        capture(model.eval(), shape, "net")


def test_of_two_refusals_the_shorter_one_is_told() -> None:
    model = Net(lambda m, x: m[0](first(x)).cumsum(1), conv()).eval()
    with pytest.raises(UserError) as caught:
        capture(model, (12, 10, 3), "net")
    (problem,) = caught.value.problems
    assert "`cumsum` (cumsum)" in problem


def test_pictures_stay_pictures(tmp_path: Path) -> None:
    model = LAST["three channels"][0].eval()
    images = np.random.default_rng(0).integers(0, 256, (4, 12, 10, 3), np.uint8)
    design = cnn2rtl.compile(model, (12, 10, 3), calibration=images)
    (found,) = design.restore(design.golden(images))
    with torch.no_grad():
        expected = model(torch.from_numpy(images).float() / 255).numpy()
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


def node(kind: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], output, **attributes)


ENDING = [node("Flatten", ["r"], "f"), node("MatMul", ["f", "d"], "m"), node("Add", ["m", "e"], "y")]
KERAS: dict[str, tuple[int, list[onnx.NodeProto]]] = {
    "transposed": (3, [node("Transpose", ["x"], "t", perm=[0, 3, 1, 2])]),
    "one channel, reshaped": (1, [node("Reshape", ["x", "s"], "t")]),
    "rescaled before": (3, [node("Mul", ["x", "k"], "k_"), node("Transpose", ["k_"], "t", perm=[0, 3, 1, 2])]),
}


@pytest.mark.parametrize("name", KERAS)
def test_what_keras_leaves_in_onnx(name: str, tmp_path: Path) -> None:
    """As tf2onnx writes a convolution between transpositions, and a Flatten behind it in Keras' order."""
    channels, begin = KERAS[name]
    rng = np.random.default_rng(0)
    weights = {"w": (4, channels, 3, 3), "d": (10 * 8 * 4, 5), "e": (5,), "k": (1,)}
    constants = [numpy_helper.from_array(rng.normal(size=s).astype(np.float32), n) for n, s in weights.items()]
    constants.append(numpy_helper.from_array(np.array([-1, 1, 12, 10]), "s"))
    middle = [node("Conv", ["t", "w"], "c"), node("Transpose", ["c"], "b", perm=[0, 2, 3, 1]), node("Relu", ["b"], "r")]
    graph = helper.make_graph(
        [*begin, *middle, *ENDING], "keras",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 12, 10, channels])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])], constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, tmp_path / "net.onnx")
    found = capture_onnx(read_onnx(tmp_path / "net.onnx"), "net")
    assert found.inputs == {"input": (channels, 12, 10)}
    x = rng.normal(size=(1, 12, 10, channels))
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x.astype(np.float32)})
    (actual,) = restored(found, {"input": streamed(x, (channels, 12, 10), last=True)})
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
