"""Every registered layer kind, alone in a network: golden equals torch and ONNX, RTL golden, cycles as predicted.

A new kind fails here until it has samples below and a reference in ``tests/torch_reference.py``; that it is
documented is the business of ``tests/test_reference_pages.py``.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generator import images_for
from harness import Bench
from onnx_reference import onnx_tensors
from torch_reference import REFERENCE, integer_tensors

from cnn2rtl.compiled import Compiled
from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.hardware.unit import Style
from cnn2rtl.ops import (
    REGISTRY,
    Add,
    ArgMax,
    AvgPool2d,
    ChannelMax,
    Concat,
    Conv2d,
    DepthToSpace,
    DepthwiseConv2d,
    Input,
    Linear,
    MaxPool2d,
    Multiply,
    Op,
    Resample,
    Rescale,
    Select,
    Table,
    Window,
)
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.schedule import Target
from cnn2rtl.schedule.search import Search
from cnn2rtl.tensors import Clamp, Shape

FOLDINGS = 4
"""Of each sample, the fastest, the slowest and some between are simulated."""
FRAMES = 3
CLOCK_MHZ = 100.0

NONE, RELU, RELU6 = Clamp(), Clamp(0.0), Clamp(0.0, 6.0)
PLAIN = Options()


@dataclass(frozen=True)
class Sample:
    """A layer on a map of ``shape``. A ``signed`` one sees positive and negative codes, else it sees pixels.

    It may have more inputs, maps of as many pixels with so many channels ``beside``, each of other size and lag.
    """

    op: Op
    shape: Shape
    clamp: Clamp = NONE
    options: Options = PLAIN
    signed: bool = False
    beside: tuple[int, ...] = ()

    def graph(self) -> FloatGraph:
        nodes = [Node("input", Input(self.shape), (), self.shape)]
        if self.signed:
            gain = np.random.default_rng(1).uniform(0.2, 1.0, self.shape[0]) * (-1) ** np.arange(self.shape[0])
            before = DepthwiseConv2d(gain.reshape(-1, 1, 1), -0.4 * gain, Window((1, 1)))
            nodes.append(Node("before", before, ("input",), self.shape))
        shapes, inputs = [self.shape], [nodes[-1].name]
        for number, channels in enumerate(self.beside):
            name, shapes = f"beside{number}", [*shapes, (channels, *self.shape[1:])]
            window = (same(3), Window((1, 1)))[number % 2]
            nodes.append(
                Node(name, conv(self.shape[0], channels, window), ("input",), shapes[-1], (NONE, RELU)[number % 2])
            )
            inputs.append(name)
        nodes.append(Node("layer", self.op, tuple(inputs), self.op.out_shape(shapes), self.clamp))
        return FloatGraph("sample", tuple(nodes), ("layer",))

    def compile(self, target: Target) -> Compiled:
        images = images_for(self.shape, 1, 4)
        return compile_graph(self.graph(), replace(self.options, target=target), images)


def weights(*shape: int) -> np.ndarray:
    """Channels of very different size, as BatchNorm folding leaves them; the second is dead."""
    rng = np.random.default_rng(shape)
    drawn = rng.normal(size=shape) * 2.0 ** rng.uniform(-3, 3, (shape[0], *(1,) * (len(shape) - 1)))
    if shape[0] > 1:
        drawn[1] = 0.0
    return drawn


def conv(c: int, d: int, window: Window, groups: int = 1, pad: float = 0.0) -> Conv2d:
    return Conv2d(weights(d, c // groups, *window.kernel), weights(d), window, groups, np.full(c, pad))


def depthwise(c: int, window: Window, pad: float = 0.0) -> DepthwiseConv2d:
    return DepthwiseConv2d(weights(c, *window.kernel), weights(c), window, np.full(c, pad))


def same(kernel: int, stride: int = 1) -> Window:
    return Window((kernel, kernel), (stride, stride), (kernel // 2,) * 4)


SCALE = Options(scheme="scale")
LOW, HIGH = Options(2, 3, 4), Options(16, 16, 16, "scale")
NORMALISED = Options(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

SAMPLES: Mapping[str, Sequence[Sample]] = {
    "add": [
        Sample(Add(), (6, 5, 4), signed=True, beside=(6,)),
        Sample(Add((1.0, -1.0)), (4, 4, 5), RELU6, SCALE, signed=True, beside=(4,)),
        Sample(Add((1.0, 2.5)), (3, 4, 4), RELU, NORMALISED, beside=(3,)),
        Sample(Add(), (5, 3, 3), options=LOW, signed=True, beside=(5,)),
        Sample(Add(), (1, 1, 1), options=HIGH, beside=(1,)),
    ],
    "argmax": [
        Sample(ArgMax(), (10, 1, 1), signed=True),
        Sample(ArgMax(), (7, 3, 2)),
        Sample(ArgMax(), (1, 2, 2), signed=True),
    ],
    "avgpool2d": [
        Sample(AvgPool2d(Window((2, 2), (2, 2))), (3, 6, 7)),
        Sample(AvgPool2d(Window((3, 3), (2, 2), (1, 1, 1, 1))), (5, 7, 6), options=SCALE, signed=True),
        Sample(AvgPool2d(Window((5, 4), (5, 4))), (9, 5, 4), RELU, signed=True),
        Sample(AvgPool2d(Window((1, 1))), (1, 1, 1)),
        Sample(
            AvgPool2d(Window((3, 3), (2, 2), (1, 1, 1, 1)), np.array([[4, 6, 6], [6, 9, 9], [6, 9, 9]])),
            (5, 6, 6),
            RELU,
            signed=True,
        ),
        Sample(AvgPool2d(Window((2, 2), (2, 2)), np.full((2, 3), 3)), (3, 4, 6), options=SCALE, signed=True),
        Sample(AvgPool2d(Window((2, 1), (2, 1)), np.array([[1, 2, 2]])), (2, 2, 3), options=LOW),
    ],
    "channel_max": [
        Sample(ChannelMax(), (12, 4, 3), signed=True),
        Sample(ChannelMax(), (7, 3, 5), RELU, SCALE, signed=True),
        Sample(ChannelMax(), (1, 2, 2), options=LOW),
        Sample(ChannelMax(), (10, 1, 1), options=HIGH, signed=True),
    ],
    "concat": [
        Sample(Concat(), (4, 5, 4), signed=True, beside=(6,)),
        Sample(Concat(), (3, 4, 4), RELU6, SCALE, signed=True, beside=(3, 6, 9)),
        Sample(Concat(), (2, 4, 3), options=LOW, signed=True, beside=(3, 1)),
        Sample(Concat(), (1, 1, 1), options=HIGH, signed=True, beside=(1,)),
        Sample(Concat(2), (4, 5, 4), signed=True, beside=(4,)),
        Sample(Concat(2), (5, 3, 2), RELU6, SCALE, signed=True, beside=(5, 5, 5)),
        Sample(Concat(3), (3, 4, 5), options=LOW, signed=True, beside=(3, 3)),
        Sample(Concat(3), (6, 1, 1), RELU, HIGH, signed=True, beside=(6,)),
    ],
    "conv2d": [
        Sample(conv(3, 5, same(3)), (3, 6, 5), RELU6, NORMALISED),
        Sample(conv(11, 7, Window((1, 1))), (11, 4, 5), options=SCALE, signed=True),
        Sample(conv(4, 6, Window((3, 2), (2, 3), (1, 0, 0, 2)), groups=2), (4, 7, 8), RELU, signed=True),
        Sample(conv(2, 3, Window((2, 2), (3, 3))), (2, 8, 7), options=LOW),
        Sample(conv(1, 4, same(5)), (1, 1, 1), options=HIGH),
        Sample(conv(6, 6, same(1, 2), groups=3), (6, 5, 5), options=HIGH, signed=True),
        Sample(conv(3, 2, Window((4, 4))), (3, 4, 4), signed=True),
        Sample(conv(3, 4, Window((3, 3), padding=(2, 2, 2, 2), dilation=(2, 2)), pad=0.3), (3, 6, 7), signed=True),
    ],
    "depth_to_space": [
        Sample(DepthToSpace((2, 2)), (12, 3, 4), signed=True),
        Sample(DepthToSpace((3, 1), (1, 1), (7, 2)), (6, 3, 3), RELU, signed=True),
        Sample(DepthToSpace((1, 2)), (2, 1, 1), options=LOW),
    ],
    "depthwise_conv2d": [
        Sample(depthwise(5, same(3)), (5, 6, 5), RELU6, signed=True),
        Sample(depthwise(3, same(3, 2)), (3, 7, 7), RELU, replace(NORMALISED, scheme="scale")),
        Sample(depthwise(7, Window((1, 1))), (7, 3, 4), options=HIGH, signed=True),
        Sample(depthwise(4, Window((5, 2), (1, 2), (2, 2, 1, 0))), (4, 6, 6), options=LOW, signed=True),
        Sample(depthwise(1, same(3)), (1, 1, 1)),
        Sample(depthwise(3, Window((3, 2), (1, 2), (2, 2, 1, 1), (2, 2))), (3, 6, 7), RELU, signed=True),
    ],
    "linear": [
        Sample(Linear(weights(10, 13, 1, 1), weights(10)), (13, 1, 1), options=SCALE, signed=True),
        Sample(Linear(weights(5, 3, 4, 2), weights(5)), (3, 4, 2), RELU),
        Sample(Linear(weights(1, 1, 1, 1), weights(1)), (1, 1, 1), options=HIGH),
        Sample(Linear(weights(3, 17, 1, 1), weights(3)), (17, 1, 1), options=LOW, signed=True),
    ],
    "maxpool2d": [
        Sample(MaxPool2d(Window((2, 2), (2, 2))), (5, 6, 7), signed=True),
        Sample(MaxPool2d(Window((3, 3), (2, 2), (1, 1, 1, 1))), (3, 7, 6), signed=True),
        Sample(MaxPool2d(Window((2, 3), (1, 1), (1, 0, 1, 1))), (4, 5, 5), RELU6, SCALE, signed=True),
        Sample(MaxPool2d(Window((1, 2), (3, 2))), (2, 7, 5)),
        Sample(MaxPool2d(Window((2, 2), (2, 1), (1, 1, 1, 2), (3, 2))), (3, 7, 5), signed=True),
    ],
    "multiply": [
        Sample(Multiply(), (6, 5, 4), signed=True, beside=(6,)),
        Sample(Multiply(), (4, 4, 5), RELU6, SCALE, signed=True, beside=(4,)),
        Sample(Multiply(), (5, 3, 3), options=LOW, signed=True, beside=(5,)),
        Sample(Multiply(), (1, 1, 1), options=HIGH, beside=(1,)),
    ],
    "resample": [
        Sample(Resample((0, 0, 1, 1, 2, 2), (0, 0, 1, 1)), (4, 3, 2), signed=True),
        Sample(Resample((-1, 0, 1, 2, -1), (-1, -1, 0, 1, 2)), (3, 3, 3), options=SCALE, signed=True),
        Sample(Resample((2, 1, 0, 1, 2, 3, 2), (1, 0, 1, 2)), (3, 4, 3), RELU, signed=True),
        Sample(Resample((3, 2, 1, 0), (2, 1, 0)), (2, 4, 3), signed=True),
        Sample(Resample((1, 2), (0, 2, 4)), (5, 4, 6), signed=True),
        Sample(Resample((0,) * 3, (0,) * 4), (5, 1, 1), signed=True),
        Sample(Resample((-1, 0, 1), (0, 1, -1), 0.7), (2, 2, 2), options=SCALE, signed=True),
        Sample(Resample((0,), (-1, 0)), (1, 1, 1), options=LOW),
    ],
    "rescale": [
        Sample(Rescale(), (6, 4, 3), RELU6, signed=True),
        Sample(Rescale(), (1, 1, 1), Clamp(-0.3, 0.2), SCALE, signed=True),
    ],
    "select": [
        Sample(Select((4, 5, 6, 7)), (8, 4, 3), signed=True),
        Sample(Select((0, 3, 6, 1, 4, 7, 2, 5, 8)), (9, 3, 3), signed=True),
        Sample(Select((5, 5, 0)), (7, 3, 2), RELU6, SCALE, signed=True),
        Sample(Select((0, 0, 0, 0, 0)), (1, 2, 2)),
        Sample(Select((1, 4)), (5, 3, 3), options=LOW, signed=True),
        Sample(Select((0, 1, 2), (1, 12)), (3, 4, 3), signed=True),
    ],
    "table": [
        Sample(Table("silu"), (5, 4, 3), signed=True),
        Sample(Table("sigmoid"), (3, 4, 4), Clamp(0.1, 0.9), SCALE, signed=True),
        Sample(Table("leaky_relu", (0.1,)), (4, 2, 3), options=LOW, signed=True),
        Sample(Table("sqrt"), (2, 3, 2)),
        Sample(Table("gelu"), (1, 1, 1), options=replace(HIGH, activation_bits=12), signed=True),
    ],
}

HARDWARE = sorted(kind for kind, cls in REGISTRY.items() if cls.unit is not Op.unit)
ALL = [pytest.param(kind, index, id=f"{kind}-{index}") for kind in SAMPLES for index in range(len(SAMPLES[kind]))]


def test_every_kind_with_hardware_has_samples_and_a_reference() -> None:
    assert sorted(SAMPLES) == HARDWARE
    assert sorted(REFERENCE) == HARDWARE
    for kind, samples in SAMPLES.items():
        assert {sample.op.kind for sample in samples} == {kind}


@pytest.mark.parametrize(("kind", "index"), ALL)
def test_golden_equals_torch_and_onnxruntime(kind: str, index: int) -> None:
    sample = SAMPLES[kind][index]
    compiled = sample.compile(Target())
    images = images_for(sample.shape, index + 2, 6)
    golden = compiled.golden_tensors(images)
    for other in (integer_tensors, onnx_tensors):
        for name, codes in other(compiled.graph, images).items():
            np.testing.assert_array_equal(golden[name], codes, err_msg=f"{name}: {other.__name__}")


def offer_only(monkeypatch: pytest.MonkeyPatch, cycles: int) -> None:
    """Let the search see no folding of the layer but those of so many ``cycles``: it may find a faster one cheaper."""
    begin = Search.__init__

    def begun(self: Search, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        self.options["layer"] = [folding for folding in self.options["layer"] if folding.cycles == cycles]

    monkeypatch.setattr(Search, "__init__", begun)


@pytest.mark.parametrize(("kind", "index"), ALL)
def test_rtl_equals_golden_in_the_predicted_cycles(
    kind: str, index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = SAMPLES[kind][index]
    graph = sample.compile(Target()).graph
    # The other layers must not be what sets the pace.
    fastest = {node.name: node.op.foldings(node.layer, graph.shapes(node)) for node in graph.layers if node.layer}
    floor = max(options[0].cycles for options in fastest.values())
    cycles = [folding.cycles for folding in fastest["layer"] if folding.cycles >= floor]
    between = random.Random(index).sample(cycles[1:-1], min(FOLDINGS - 2, max(0, len(cycles) - 2)))
    assert cycles, "the layer is never the slowest: make its map larger"
    for number, limit in enumerate(sorted({cycles[0], cycles[-1], *between})):
        with monkeypatch.context() as patched:
            offer_only(patched, limit)
            compiled = sample.compile(Target(fps=CLOCK_MHZ * 1e6 / limit, clock_mhz=CLOCK_MHZ))
        schedule = compiled.design.schedule
        assert schedule.foldings["layer"].cycles == schedule.interval == limit
        bench = Bench(compiled, images_for(sample.shape, index + 3, FRAMES), tmp_path / str(limit))
        # Of one folding few beats are held up, of the next one most.
        complaints = bench.complaints(((15, 60)[(number + index) % 2],), seed=index + 1)
        assert not complaints, f"{schedule.foldings['layer']}: " + "\n".join(complaints)


CONSTANTS: Mapping[str, Sample] = {
    "a single weight": Sample(Linear(weights(1, 1, 1, 1), weights(1)), (1, 1, 1)),
    "powers of two": Sample(
        Linear(np.diag([1.0, -1, 0.5, -0.25])[..., None, None], np.zeros(4)), (4, 1, 1), signed=True
    ),
    "the lowest weight": Sample(
        Linear(np.array([[-128.0, 127], [-128, -128]])[..., None, None], np.zeros(2)), (2, 1, 1)
    ),
    "no weight at all": Sample(Linear(np.zeros((3, 2, 1, 1)), np.ones(3)), (2, 1, 1)),
    "an input without one": Sample(Linear(np.array([[3.0, 0], [5, 0]])[..., None, None], np.zeros(2)), (2, 1, 1)),
    "low bits": Sample(Linear(weights(6, 9, 1, 1), weights(6)), (9, 1, 1), options=LOW),
    "high bits": Sample(Linear(weights(3, 5, 1, 1), weights(3)), (5, 1, 1), options=HIGH, signed=True),
    "a kernel": Sample(conv(3, 4, same(3)), (3, 5, 4), RELU6, NORMALISED),
    "a kernel of each channel": Sample(depthwise(3, same(3)), (3, 5, 5), RELU, signed=True),
    "a scale of each channel": Sample(depthwise(5, Window((1, 1))), (5, 3, 4), options=SCALE),
}
"""Layers whose weights are all used in every beat, where the folding is the fastest one."""


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_equal_golden_in_the_predicted_cycles(name: str, tmp_path: Path) -> None:
    sample = CONSTANTS[name]
    compiled = sample.compile(Target(multipliers=10_000, dsps=0))
    (layer,) = (layer for layer in compiled.design.layers if layer.node.name == "layer")
    assert layer.folding.style == Style.CONSTANT and "weights" not in layer.module.block.roms
    assert "rtl/layer_constants.v" in compiled.rendered
    assert compiled.about["layers"][-1]["style"] == "constant"
    assert compiled.about["blocks"][-1]["memory"]["weights"] == 0
    bench = Bench(compiled, images_for(sample.shape, 3, FRAMES), tmp_path / "project")
    assert bench.complaints((15, 60)) == []
