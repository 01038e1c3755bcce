"""Networks whose activations all have zero points: the RTL equals the golden model, and that all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from generator import images_for
from harness import Bench
from onnx_reference import onnx_tensors
from torch_reference import integer_tensors

from cnn2rtl.compiled import Compiled
from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.hardware.unit import Style
from cnn2rtl.ops import AvgPool2d, Conv2d, DepthwiseConv2d, Input, Linear, MaxPool2d, Op, Rescale, Window
from cnn2rtl.options import Options
from cnn2rtl.pipeline import implemented
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import PIXEL, QFormat, Scheme, power_of_two_at_least
from cnn2rtl.quantise.given import GivenNetwork
from cnn2rtl.quantised import from_given
from cnn2rtl.schedule import Target
from cnn2rtl.tensors import Clamp

SHAPE = (3, 9, 8)
AROUND = Window((3, 3), (1, 1), (1, 1, 1, 1))
HALVED = Window((3, 2), (2, 2), (1, 1, 1, 0))
CLAMPS = {"maximum": Clamp(0.0, 30.0), "rescale": Clamp(-8.0, 9.0)}
FAST, NO_BLOCKS = Target(multipliers=10_000), Target(multipliers=10_000, dsps=0)


def weights(*shape: int) -> np.ndarray:
    """With a mean, so that what a layer makes of them has one, too."""
    return np.random.default_rng(shape).normal(0.3, 1.0, size=shape)


OPS: Mapping[str, Op] = {
    "first": Conv2d(weights(5, 3, 3, 3) / 40, weights(5), AROUND),
    "depthwise": DepthwiseConv2d(weights(5, 3, 3), weights(5), AROUND),
    "kept": MaxPool2d(Window((2, 2))),
    "grouped": Conv2d(weights(10, 1, 3, 2), weights(10), HALVED, groups=5),
    "maximum": MaxPool2d(AROUND),
    "average": AvgPool2d(AROUND),
    "rescale": Rescale(),
    "pointwise": Conv2d(weights(7, 10, 1, 1), weights(7), Window((1, 1))),
    "tiles": AvgPool2d(Window((2, 2), (2, 2))),
    "last": Linear(weights(4, 7, 2, 2), weights(4)),
}
"""Every layer kind, with borders wherever there can be some; one after the other a network."""


def network(names: Sequence[str]) -> FloatGraph:
    nodes = [Node("input", Input(SHAPE), (), SHAPE)]
    for name in names:
        shape = OPS[name].out_shape([nodes[-1].shape])
        nodes.append(Node(name, OPS[name], (nodes[-1].name,), shape, CLAMPS.get(name, Clamp())))
    return FloatGraph("zeros", tuple(nodes), (nodes[-1].name,))


def asymmetric(low: float, high: float, scheme: Scheme, bits: int) -> QFormat:
    """Codes from ``low`` to ``high``, as frameworks quantise activations."""
    whole = QFormat.full(bits, True, 1.0)
    scale = (high - low) / (whole.hi - whole.lo)
    scale = power_of_two_at_least(scale) if scheme == "pow2" else scale
    # In the middle, where a power of two leaves some over.
    middle = round((low + high) / 2 / scale)
    return replace(whole, scale=scale, zero=max(whole.lo, min(-middle, whole.hi)) or 1)


def compiled(scheme: Scheme, target: Target, bits: int = 8, names: Sequence[str] = tuple(OPS)) -> Compiled:
    graph = network(names)
    exact: dict[str, np.ndarray] = {}
    images = images_for(SHAPE, 1, 8)
    graph.forward(images.astype(np.float64), lambda node, x: exact.update({node.name: x}))
    formats, layers = {"input": PIXEL}, dict[str, QuantLayer]()
    for node in graph.nodes[1:]:
        wish = asymmetric(float(exact[node.name].min()), float(exact[node.name].max()), scheme, bits)
        sources = [formats[name] for name in node.inputs]
        layers[node.name] = node.op.quantise(sources, wish, node.clamp, QuantOptions(8, scheme))
        formats[node.name] = layers[node.name].out
    assert all(layer.out.zero for layer in layers.values())
    return implemented(from_given(GivenNetwork(graph, layers)), Options(target=target))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("scheme", ["pow2", "scale"])
def test_golden_equals_torch_and_onnxruntime_and_is_near_the_reals(scheme: Scheme, bits: int) -> None:
    net = compiled(scheme, FAST, bits)
    images = images_for(SHAPE, 2, 6)
    golden = net.golden_tensors(images)
    for other in (integer_tensors, onnx_tensors):
        for name, codes in other(net.graph, images).items():
            np.testing.assert_array_equal(golden[name], codes, err_msg=f"{name}: {other.__name__}")
    exact = net.float_graph.forward(images.astype(np.float64))
    assert np.abs(net.graph["last"].out.reals(golden["last"]) - exact).max() < 0.05 * np.ptp(exact)


def prove(net: Compiled, folder: Path) -> None:
    assert Bench(net, images_for(SHAPE, 3, 3), folder).complaints((15, 60)) == []


@pytest.mark.parametrize(("scheme", "target"), [("scale", Target(multipliers=9)), ("pow2", FAST)], ids=["few", "fast"])
def test_rtl_equals_golden_in_the_predicted_cycles(scheme: Scheme, target: Target, tmp_path: Path) -> None:
    prove(compiled(scheme, target), tmp_path / "project")


def test_constants_equal_golden_in_the_predicted_cycles(tmp_path: Path) -> None:
    net = compiled("scale", NO_BLOCKS, names=("first", "depthwise", "average"))
    assert [layer.folding.style for layer in net.design.layers[:2]] == [Style.CONSTANT] * 2
    prove(net, tmp_path / "project")
