"""Every pass keeps what the graph computes, and leaves only layers that hardware has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from models import StudentNet, randomised
from torch import nn

from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture
from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.ops import (
    REGISTRY,
    Affine,
    AvgPool2d,
    Conv2d,
    DepthwiseConv2d,
    Identity,
    Input,
    Linear,
    MaxPool2d,
    Op,
    Rescale,
    Window,
)
from cnn2rtl.passes import absorb_input, simplify
from cnn2rtl.tensors import Clamp, FloatArray, Shape


def conv(c: int, d: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c, d, 3, padding=1, groups=groups)


# Each with the kinds that are to be left, in order, the input first.
MODELS: dict[str, tuple[Callable[[], nn.Module], Shape, str]] = {
    "student": (
        StudentNet,
        (3, 32, 32),
        "input conv2d maxpool2d" + " depthwise_conv2d conv2d maxpool2d" * 3 + " depthwise_conv2d conv2d" * 4
        + " avgpool2d linear",
    ),
    "classic": (
        lambda: nn.Sequential(
            conv(1, 8), nn.ReLU(), nn.MaxPool2d(2), conv(8, 16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Dropout(), nn.Linear(64, 10), nn.BatchNorm1d(10), nn.ReLU(), nn.Linear(10, 3),
        ),
        (1, 8, 8),
        "input conv2d maxpool2d conv2d maxpool2d linear linear",
    ),
    "activation after pool": (
        lambda: nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.ReLU(), nn.ReLU6()),
        (3, 8, 8),
        "input conv2d maxpool2d",
    ),
    "activation on both sides of a pool": (
        lambda: nn.Sequential(conv(3, 4), nn.Hardtanh(-0.2, 0.5), nn.MaxPool2d(2), nn.ReLU()),
        (3, 8, 8),
        "input conv2d maxpool2d",
    ),
    "activation after flatten": (
        lambda: nn.Sequential(conv(3, 4), nn.AvgPool2d(2), nn.Flatten(), nn.ReLU(), nn.Linear(64, 3)),
        (3, 8, 8),
        "input conv2d avgpool2d linear",
    ),
    "activation first": (
        lambda: nn.Sequential(nn.Hardtanh(-0.5, 0.5), nn.ReLU6(), conv(3, 4)), (3, 8, 8), "input rescale conv2d"
    ),
    "activation of a flat input": (
        lambda: nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(48, 3)), (3, 4, 4), "input rescale linear"
    ),
    "pool first": (lambda: nn.Sequential(nn.MaxPool2d(2), nn.ReLU(), conv(3, 4)), (3, 8, 8), "input maxpool2d conv2d"),
    "BN after activation": (
        lambda: nn.Sequential(conv(3, 4), nn.ReLU(), nn.BatchNorm2d(4), nn.ReLU6()),
        (3, 8, 8),
        "input conv2d depthwise_conv2d",
    ),
    "BN first, twice": (
        lambda: nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3), conv(3, 4), nn.BatchNorm2d(4), nn.BatchNorm2d(4)),
        (3, 8, 8),
        "input depthwise_conv2d conv2d",
    ),
    "grouped": (
        lambda: nn.Sequential(conv(4, 8, groups=2), nn.BatchNorm2d(8), conv(8, 8, groups=8), nn.BatchNorm2d(8)),
        (4, 6, 6),
        "input conv2d depthwise_conv2d",
    ),
    "depthwise multiplier": (lambda: conv(4, 8, groups=4), (4, 6, 6), "input conv2d"),
    "flat output": (lambda: nn.Sequential(conv(3, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten()), (3, 6, 6),
                    "input conv2d avgpool2d"),
    "two flattens": (lambda: nn.Sequential(conv(3, 4), nn.Flatten(), nn.Flatten(), nn.Linear(144, 2)), (3, 6, 6),
                     "input conv2d linear"),
    "BN after flattened linear": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4)), (3, 2, 2), "input linear"
    ),
}  # fmt: skip


def batch(shape: Shape, seed: int = 1) -> FloatArray:
    c, h, w = shape
    return np.random.default_rng(seed).standard_normal((2, h, w, c))


@pytest.mark.parametrize("name", MODELS)
def test_simplify(name: str) -> None:
    make, shape, kinds = MODELS[name]
    torch.manual_seed(0)
    graph = capture(randomised(make()), shape, "net")
    simple = simplify(graph)
    assert " ".join(node.op.kind for node in simple.nodes) == kinds
    assert all(node.op.kind in REGISTRY for node in simple.nodes[1:])
    shapes = {node.name: node.shape for node in simple.nodes}
    for node in simple.nodes[1:]:
        assert node.op.out_shape([shapes[i] for i in node.inputs]) == node.shape
    x = batch(shape)
    np.testing.assert_allclose(simple.forward(x), graph.forward(x), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 16, 16)])
def test_student_against_torch(shape: Shape) -> None:
    model = randomised(StudentNet())
    simple = simplify(capture(model, shape, "student"))
    x = batch(shape)
    with torch.no_grad():
        expected = model.double()(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(simple.forward(x)[:, 0, 0], expected, rtol=1e-4, atol=1e-6)
    assert [node.name for node in simple.nodes[:4]] == ["input", "cnn.0.0", "cnn.0.3", "cnn.1.0"]
    assert simple.output == "fc.0" and simple["cnn.1.0"].clamp == Clamp(0, 6)
    assert sum(node.op.macs([simple[i].shape for i in node.inputs]) for node in simple.nodes[1:]) > 0


def test_reference_network_size() -> None:
    simple = simplify(capture(StudentNet().eval(), (3, 128, 128), "student"))
    assert sum(node.op.macs([simple[i].shape for i in node.inputs]) for node in simple.nodes[1:]) == 29_600_512


def test_statistics_are_those_of_the_batchnorm() -> None:
    model = randomised(nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4)))
    simple, state = simplify(capture(model, (3, 6, 6), "net")), model.state_dict()
    for name, bn in (("0", "1"), ("3", "3")):
        stats = simple[name].stats
        assert stats is not None
        np.testing.assert_allclose(stats[0], state[f"{bn}.bias"].numpy())
        np.testing.assert_allclose(stats[1], state[f"{bn}.weight"].abs().numpy())
    assert simplify(capture(conv(3, 4).eval(), (3, 6, 6), "net"))["input"].stats is None


def test_statistics_follow_a_constant_scale() -> None:
    bn = Affine(np.ones(2), np.zeros(2), np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    for first in (Conv2d(np.ones((2, 2, 1, 1)), np.zeros(2), Window((1, 1))), None):
        ops = [*([first] if first else []), bn, Affine(np.array([2.0, -1.0]), np.array([1.0, 0.0]))]
        (_, layer) = simplify(chain(ops, (2, 2, 2))).nodes
        assert layer.stats is not None
        np.testing.assert_allclose(layer.stats[0], [3, -2])
        np.testing.assert_allclose(layer.stats[1], [6, 4])


def chain(ops: list[Op], shape: Shape, clamps: dict[int, Clamp] | None = None) -> FloatGraph:
    nodes = [Node("input", Input(shape), (), shape)]
    for i, op in enumerate(ops):
        shape = op.out_shape([shape])
        nodes.append(Node(f"n{i}", op, (nodes[-1].name,), shape, (clamps or {}).get(i, Clamp())))
    return FloatGraph("net", tuple(nodes), (nodes[-1].name,))


def test_nothing_is_folded_into_a_layer_with_another_consumer() -> None:
    weight = np.random.default_rng(0).standard_normal((3, 3, 1, 1))
    shape = (3, 4, 4)
    window = Window((1, 1))
    for tail in (Node("tail", Affine(np.full(3, 2.0), np.ones(3)), ("conv",), shape),
                 Node("tail", Identity(), ("conv",), shape, Clamp(0, 1))):  # fmt: skip
        graph = FloatGraph(
            "net",
            (
                Node("input", Input(shape), (), shape),
                Node("conv", Conv2d(weight, np.zeros(3), window), ("input",), shape),
                Node("other", MaxPool2d(Window((2, 2), (2, 2))), ("conv",), (3, 2, 2)),
                tail,
            ),
            ("tail",),
        )
        for output in ("tail", "other", "conv"):
            seen: dict[str, FloatArray] = {}
            simple = simplify(replace(graph, outputs=(output,)))
            simple.forward(batch(shape), lambda node, value: seen.__setitem__(node.name, value))  # noqa: B023
            expected: dict[str, FloatArray] = {}
            graph.forward(batch(shape), lambda node, value: expected.__setitem__(node.name, value))  # noqa: B023
            for name in ("conv", "other", "tail"):
                np.testing.assert_allclose(seen[name], expected[name], rtol=1e-12)
        assert simple["tail"].op.kind in ("depthwise_conv2d", "rescale")


def test_an_activation_stays_behind_a_pool_that_two_layers_read() -> None:
    shape = (2, 4, 4)
    pool = MaxPool2d(Window((2, 2), (2, 2)))
    graph = FloatGraph(
        "net",
        (
            Node("input", Input(shape), (), shape),
            Node("affine", Affine(np.array([2.0, -1.0]), np.zeros(2)), ("input",), shape),
            Node("pool", pool, ("affine",), (2, 2, 2)),
            Node("relu", Identity(), ("pool",), (2, 2, 2), Clamp(0)),
            Node("linear", Linear(np.ones((1, 2, 2, 2)), np.zeros(1)), ("relu",), (1, 1, 1)),
            Node("other", AvgPool2d(Window((2, 2))), ("pool",), (2, 1, 1)),
        ),
        ("linear",),
    )
    simple = simplify(graph)
    assert isinstance(simple["relu"].op, Rescale) and simple["relu"].shape == (2, 2, 2)
    assert simple["affine"].clamp == simple["pool"].clamp == Clamp()
    assert simple["linear"].inputs == ("relu",)
    np.testing.assert_allclose(simple.forward(batch(shape)), graph.forward(batch(shape)))


ABSORBING: dict[str, tuple[Op, Shape]] = {
    "conv": (Conv2d(np.ones((2, 3, 3, 3)), np.ones(2), Window((3, 3), (1, 1), (1, 1, 1, 1))), (3, 6, 7)),
    "grouped conv": (Conv2d(np.ones((6, 2, 3, 2)), np.ones(6), Window((3, 2), (2, 1), (0, 1, 1, 0)), 3), (6, 6, 7)),
    "depthwise": (DepthwiseConv2d(np.ones((3, 3, 3)), np.ones(3), Window((3, 3), (2, 2), (1, 1, 1, 1))), (3, 6, 7)),
    "linear": (Linear(np.ones((4, 3, 2, 5)), np.ones(4)), (3, 2, 5)),
    "max pool": (MaxPool2d(Window((3, 3), (2, 2), (1, 1, 1, 1))), (3, 6, 7)),
    "padded avg pool": (AvgPool2d(Window((3, 3), (2, 2), (1, 1, 1, 1))), (3, 6, 7)),
    "one channel": (Conv2d(np.ones((2, 1, 3, 3)), np.ones(2), Window((3, 3), (1, 1), (1, 1, 1, 1))), (1, 6, 7)),
}


def randomly(op: Op, seed: int = 3) -> Op:
    rng = np.random.default_rng(seed)
    values = {
        name: rng.standard_normal(getattr(op, name).shape) for name in ("weight", "bias") if hasattr(op, name)
    }  # fmt: skip
    return replace(op, **values)


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("name", ABSORBING)
def test_absorb_input(name: str, each: bool) -> None:
    op, shape = ABSORBING[name]
    graph = chain([randomly(op)], shape, {0: Clamp(-1, 5)})
    mean, std = ([0.485, 0.456, 0.406] * 2, [0.229, 0.224, 0.225] * 2) if each else ([0.4], [0.25])
    mean, std = mean[: shape[0]], std[: shape[0]]
    raw = np.random.default_rng(5).integers(0, 256, (2, *shape[1:], shape[0])).astype(np.float64)
    absorbed = absorb_input(graph, mean, std)
    np.testing.assert_allclose(
        absorbed.forward(raw), graph.forward((raw / 255 - np.array(mean)) / np.array(std)), rtol=1e-9, atol=1e-9
    )
    pooling = "pool" in name
    assert ("normalise" in absorbed.by_name) == pooling
    first = absorbed.nodes[1].op
    if isinstance(first, Conv2d):
        np.testing.assert_allclose(first.pad_value, 255 * np.broadcast_to(mean, shape[:1]))


def test_absorb_input_with_mixed_consumers() -> None:
    shape = (3, 4, 4)
    window = Window((1, 1))
    graph = FloatGraph(
        "net",
        (
            Node("input", Input(shape), (), shape),
            Node("normalise", Conv2d(np.ones((2, 3, 1, 1)), np.zeros(2), window), ("input",), (2, 4, 4)),
            Node("pool", MaxPool2d(Window((2, 2), (2, 2))), ("input",), (3, 2, 2)),
        ),
        ("normalise",),
    )
    absorbed = absorb_input(graph, [0.5], [0.5])
    assert absorbed.nodes[1].name == "normalise_" and absorbed["pool"].inputs == ("normalise_",)
    raw = np.full((1, 4, 4, 3), 200.0)
    np.testing.assert_allclose(absorbed.forward(raw), graph.forward((raw / 255 - 0.5) / 0.5))
    both = replace(graph, nodes=(*graph.nodes[:2], replace(graph.nodes[1], name="second")))
    assert len(absorb_input(both, [0.5], [0.5]).nodes) == 3
    alone = replace(graph, nodes=graph.nodes[:1], outputs=("input",))
    np.testing.assert_allclose(absorb_input(alone, [0.5], [0.5]).forward(raw), (raw / 255 - 0.5) / 0.5)


def test_absorb_input_refusals() -> None:
    graph = chain([ABSORBING["conv"][0]], (3, 6, 7))
    with pytest.raises(UserError, match=r"mean 0\.5, 0\.5: one value, or one for each of the input's 3 channels"):
        absorb_input(graph, [0.5, 0.5], [1.0])
    with pytest.raises(UserError, match=r"std 0\.2, 0\.0, 0\.2: every value must be greater than 0"):
        absorb_input(graph, [0.5], [0.2, 0.0, 0.2])
    with pytest.raises(UserError, match="std nan: every value must be a finite number"):
        absorb_input(graph, [0.5], [float("nan")])


def test_whole_network_on_raw_pixels() -> None:
    torch.manual_seed(0)
    model = randomised(StudentNet((4, 6, 8, 8, 8, 8, 8, 8)))
    graph = simplify(capture(model, (3, 16, 16), "net"))
    raw = np.random.default_rng(5).integers(0, 256, (2, 16, 16, 3)).astype(np.float64)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    np.testing.assert_allclose(
        absorb_input(graph, mean, std).forward(raw),
        graph.forward((raw / 255 - np.array(mean)) / np.array(std)),
        rtol=1e-9, atol=1e-9,
    )  # fmt: skip
