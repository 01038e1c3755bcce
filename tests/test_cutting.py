"""A network that ends where it is told to: `--outputs`, for PyTorch and ONNX alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from command_line import mistakes, run
from onnx import TensorProto, helper, numpy_helper
from own_outputs import restored
from torch import Tensor, nn

import cnn2rtl
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture

SHAPE = (3, 8, 6)


class Detector(nn.Module):
    """It ends in what no hardware does."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
        self.boxes, self.scores = nn.Conv2d(6, 4, 1), nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x).relu() * 2
        boxes, scores = self.boxes(x), torch.relu(self.scores(x))
        return torch.cat([boxes.cumsum(1), scores.sort(1)[0]], 1)


@pytest.fixture
def model() -> Detector:
    torch.manual_seed(0)
    return Detector().eval()


def test_the_layers_that_are_named_are_the_outputs(model: Detector) -> None:
    with pytest.raises(UserError, match="cumsum"):
        capture(model, SHAPE, "net")
    graph = capture(model, SHAPE, "net", outputs=("scores", "boxes", "body"))
    assert graph.outputs == ("scores", "boxes", "body.2")
    x = torch.randn(2, *SHAPE, dtype=torch.float64)
    found = restored(graph, {"input": x.numpy().transpose(0, 2, 3, 1)})
    with torch.no_grad():
        body = model.double().body(x)
        expected = model.scores(body * 2), model.boxes(body * 2), body
    for actual, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(actual, wanted.numpy(), rtol=1e-4, atol=1e-5)


def test_operations_of_a_forward_are_called_as_inspect_has_them(model: Detector) -> None:
    """The second relu outside of a module is another one."""
    assert capture(model, SHAPE, "net", outputs=("relu",)).outputs == ("relu",)
    graph = capture(model, SHAPE, "net", outputs=("relu_2",))
    assert graph.outputs == ("relu_2",) and [node.name for node in graph.nodes][-2] == "scores"


def test_names_of_nothing_are_told_all_together(model: Detector) -> None:
    with pytest.raises(UserError) as caught:
        capture(model, SHAPE, "net", outputs=("bodi", "boxes", "what"))
    first, second = caught.value.problems
    assert "`outputs=bodi`: no layer or tensor is called so; there are body" in first and "`outputs=what`" in second
    with pytest.raises(UserError, match="`sort`, gives several tensors"):
        capture(model, SHAPE, "net", outputs=("sort",))


def test_from_python_and_from_the_command_line(model: Detector, tmp_path: Path) -> None:
    design = cnn2rtl.compile(model, SHAPE, outputs="scores")
    assert design.graph.outputs == ("scores",)
    torch.export.save(torch.export.export(model, (torch.zeros(1, *SHAPE),)), tmp_path / "net.pt2")
    run("generate", "net.pt2", "-o", "out", "--outputs", "boxes", "--outputs", "scores", cwd=tmp_path)
    assert cnn2rtl.open(tmp_path / "out").graph.outputs == ("boxes", "scores")
    (problem,) = mistakes("inspect", "net.pt2", "--outputs", "bones", cwd=tmp_path)
    assert "--outputs bones: no layer or tensor is called so; there are boxes" in problem


def test_tensors_and_nodes_of_onnx(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["c"], "first"), node("Relu", ["c"], ["r"], "second"),
        node("NonMaxSuppression", ["r", "c"], ["y"], "boxes"),
    ]  # fmt: skip
    weights = numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "w")
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *SHAPE])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, ["k", 3])], [weights],
    )  # fmt: skip
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "net.onnx"
    )
    with pytest.raises(UserError, match="NonMaxSuppression"):
        cnn2rtl.compile(tmp_path / "net.onnx")
    assert cnn2rtl.compile(tmp_path / "net.onnx", outputs="r").graph.outputs == ("first",)
    design = cnn2rtl.compile(tmp_path / "net.onnx", outputs=["second", "c"])
    assert len(design.graph.outputs) == 2
    with pytest.raises(UserError, match="`outputs=secund`: no layer or tensor is called so; there are second"):
        cnn2rtl.compile(tmp_path / "net.onnx", outputs="secund")
