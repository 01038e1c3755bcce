"""How ranges, scales, biases and rounding are chosen: each rule on a network small enough to see it at work."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from models import need_data, randomised
from torch import nn
from torch_reference import integer_tensors

from cnn2rtl.cli.console import parse_widths
from cnn2rtl.compiled import Compiled
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture
from cnn2rtl.graph import FloatGraph
from cnn2rtl.ops import Conv2d, DepthwiseConv2d, Linear, Window
from cnn2rtl.ops.weighted import Weighted
from cnn2rtl.options import Options
from cnn2rtl.passes import absorb_input, simplify
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.quant.layers import QuantOptions
from cnn2rtl.quant.qformat import QFormat, Requant
from cnn2rtl.quantise.calibrate import Seen, measure
from cnn2rtl.quantise.formats import choose, readers_of
from cnn2rtl.quantise.integers import Widths
from cnn2rtl.quantise.reconstruct import adapted, corrected
from cnn2rtl.tensors import Clamp

SHAPE = (3, 16, 16)
SAME = Window((3, 3), (1, 1), (1, 1, 1, 1))


class Separable(nn.Sequential):
    """Both activations of a depthwise layer: one that mixes channels behind it, and one that keeps them apart."""

    def __init__(self, act: type[nn.Module] = nn.ReLU6) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), act(), nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), act(),
            nn.Conv2d(8, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4),
        )  # fmt: skip
        with torch.no_grad():
            self[0].weight *= torch.logspace(-2, 2, 8).reshape(8, 1, 1, 1)


def pixels(count: int = 6) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, *SHAPE[1:], SHAPE[0]), np.uint8)


def test_tensors_that_share_a_format_are_seen_as_one() -> None:
    """Whatever their ranges and channels: no value is lost, and each lies where it was."""
    one = Seen(np.array([0.0, -1.0]), np.array([2.0, 1.0]), np.array([1.0, 3.0]), np.zeros((2, 2048)))
    other = Seen(np.array([-4.0]), np.array([4.0]), np.array([5.0]), np.zeros((1, 2048)))
    assert one.histogram is not None and other.histogram is not None
    one.histogram[0, 1024], one.histogram[1, 0], other.histogram[0, 2047] = 7, 5, 3
    found = Seen.together([one, other])
    assert (found.low, found.high, found.power) == ([-4.0], [4.0], [3.0])
    assert found.histogram is not None and found.histogram.sum() == 15
    # 1 of 0 to 2, the lowest of -1 to 1, the highest of all, in bins of 8 / 2048 from -4 on.
    assert {int(bin_): found.histogram[0, bin_] for bin_ in np.flatnonzero(found.histogram)} == {
        1280: 7,
        768: 5,
        2047: 3,
    }
    bare = Seen.together([one, Seen(np.array([0.0]), np.array([1.0]), np.array([1.0]))])
    assert bare.histogram is None and bare.high == [2.0]


def network(act: type[nn.Module] = nn.ReLU6) -> FloatGraph:
    torch.manual_seed(1)
    return capture(randomised(Separable(act), 4), SHAPE, "separable")


def compiled(**options: object) -> Compiled:
    return compile_graph(network(), Options(**options), pixels())  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", ["pow2", "scale"])
@pytest.mark.parametrize("effort", ["fast", "best"])
def test_channels_have_scales_of_their_own_where_that_costs_nothing(scheme: str, effort: str) -> None:
    made = compiled(scheme=scheme, effort=effort)
    formats = {node.name: node.out for node in made.graph.nodes}
    # Ahead of the depthwise layer, past the pool that passes codes on, and ahead of the average.
    assert formats["0"].per_channel and formats["3"] == formats["0"] and formats["7"].per_channel
    # The pointwise and the linear layer mix channels; input and output belong to others.
    assert not any(formats[name].per_channel for name in ("input", "4", "8", "10"))
    assert formats["10"].frac is not None or scheme == "scale"
    for node in made.graph.layers:
        assert node.layer is not None
        if node.layer.requant is not None and isinstance(node.op, Weighted):
            assert (node.layer.requant.multiplier_bits == 0) == (scheme == "pow2")
    expected = integer_tensors(made.graph, pixels(2))
    for name, codes in made.golden_tensors(pixels(2)).items():
        np.testing.assert_array_equal(codes, expected[name], err_msg=name)


@pytest.mark.parametrize("scheme", ["pow2", "scale"])
def test_a_relu6_stays_exact(scheme: str) -> None:
    """A channel that reaches 6 clamps there; one that stays below ends where it was seen to end, or beyond."""
    made = compiled(scheme=scheme)
    graph = made.float_graph
    tensors: dict[str, np.ndarray] = {}
    graph.forward(pixels().astype(np.float64), lambda node, x: tensors.update({node.name: x}))
    for name in ("0", "4"):
        out, most = made.graph[name].out, tensors[name].max((0, 1, 2))
        ends = out.hi * np.broadcast_to(out.scales, most.shape)
        assert (ends >= most * (1 - 1e-9)).all() and (ends <= 6 * (1 + 1e-9)).all()
        assert np.isclose(ends[most == 6.0], 6.0).all()
    assert (tensors["0"].max((0, 1, 2)) == 6.0).any()


def test_who_reads_a_tensor() -> None:
    graph = absorb_input(simplify(network()), (0.0,), (1.0,))
    assert [node.name for node in readers_of(graph, "0")] == ["4"]
    assert [node.name for node in readers_of(graph, "7")] == ["8"]
    assert readers_of(graph, graph.output) == ()


def test_a_clamp_without_zero_keeps_one_scale() -> None:
    """Its bound would move with the scale of a channel."""
    q = QFormat.covering(0.0, 2.0, 8, "pow2").clamped(0.5, 2.0)
    assert q.refined(np.array([q.coarsest, q.coarsest / 4]), "pow2") == q
    free = QFormat.covering(0.0, 2.0, 8, "pow2").clamped(0.0, 2.0)
    assert free.refined(np.array([1.0, free.coarsest / 3]), "pow2").scale == (free.coarsest, free.coarsest / 2)


def test_weights_absorb_the_scales_of_their_inputs() -> None:
    rng = np.random.default_rng(0)
    gain, x = 2.0 ** rng.integers(-3, 4, 6), rng.normal(size=(2, 4, 4, 6))
    ops = (
        Conv2d(rng.normal(size=(4, 6, 3, 3)), rng.normal(size=4), SAME),
        Conv2d(rng.normal(size=(9, 2, 1, 1)), rng.normal(size=9), Window((1, 1), (2, 2)), groups=3),
        DepthwiseConv2d(rng.normal(size=(6, 3, 3)), rng.normal(size=6), SAME),
        Linear(rng.normal(size=(5, 6, 4, 4)), rng.normal(size=5)),
    )
    for op in ops:
        absorbed = op.accumulate(x / gain, op.absorbing(gain), np.zeros(1)) + op.bias
        np.testing.assert_allclose(absorbed, op.forward([x]), rtol=1e-12, atol=1e-12)
        samples = op.samples(x, np.zeros(1))
        rows = op.weight.reshape(op.groups, -1, op.weight[0].size)
        sums = np.einsum("pgi,goi->pgo", samples, rows).reshape(absorbed.shape)
        np.testing.assert_allclose(sums + op.bias, op.forward([x]), rtol=1e-12, atol=1e-12)


def weighted_layer() -> tuple[Linear, QFormat, np.ndarray, np.ndarray]:
    """A layer, its source format, and correlated inputs whose mean is not zero, exact and as codes."""
    rng = np.random.default_rng(5)
    op = Linear(rng.normal(size=(8, 12, 1, 1)), rng.normal(size=8))
    source = QFormat.full(8, False, 2.0**-5)
    x = np.abs(rng.normal(2, 1, (64, 1, 1, 3)) @ rng.normal(size=(3, 12)))
    return op, source, x, source.codes(x)


@pytest.mark.parametrize("bits", [3, 8])
def test_the_corrected_bias_leaves_no_mean_error(bits: int) -> None:
    op, source, x, codes = weighted_layer()
    wish = QFormat.full(16, True, 2.0**-8)
    layer = op.quantise([source], wish, Clamp(), QuantOptions(bits, "pow2"))

    def mean_error(layer: object) -> np.ndarray:
        return np.abs((wish.reals(op.integer([codes], layer)) - op.forward([x])).mean((0, 1, 2)))  # type: ignore[arg-type]

    assert layer.weight_scale is not None
    bound = layer.weight_scale * source.coarsest / 2 + wish.scales / 2
    assert (mean_error(layer) > bound).any()
    assert (mean_error(corrected(op, layer, x, codes)) <= bound).all()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_adapted_rounding_comes_closer_and_stays_in_width(bits: int) -> None:
    op, source, _, codes = weighted_layer()
    layer = op.quantise([source], QFormat.full(16, True, 2.0**-8), Clamp(), QuantOptions(bits, "scale"))
    better = adapted(op, layer, codes)
    exact = op.accumulate(source.reals(codes), op.weight, np.zeros(1))

    def error(layer: object) -> float:
        scale = layer.weight_scale[:, None, None, None]  # type: ignore[attr-defined]
        found = op.accumulate(source.reals(codes), layer.weight * scale, np.zeros(1))  # type: ignore[attr-defined]
        return float((found - exact).var((0, 1, 2)).sum())

    assert better.weight is not None
    assert error(better) < 0.5 * error(layer)
    assert -(1 << (bits - 1)) <= better.weight.min() and better.weight.max() < 1 << (bits - 1)
    assert (adapted(op, layer, codes).weight == better.weight).all()


def test_ranges_leave_out_what_hardly_occurs() -> None:
    """One value in a hundred thousand is ten times the others."""
    graph = absorb_input(simplify(network()), (0.0,), (1.0,))
    histogram = np.zeros((1, 2048))
    histogram[0, :205], histogram[0, -1] = 1e5 / 205, 1.0
    seen = Seen(np.array([0.0]), np.array([10.0]), np.array([0.3]), histogram)
    scale = {
        ranges: choose([graph["0"]], seen, 4, "scale", ranges, ()).coarsest  # type: ignore[arg-type]
        for ranges in ("minmax", "percentile", "mse")
    }
    assert scale["minmax"] == pytest.approx(10 / 15)
    assert scale["percentile"] < 0.5 * scale["minmax"] and scale["mse"] < 0.5 * scale["minmax"]


def test_histograms_count_every_value() -> None:
    graph = absorb_input(simplify(network(nn.ReLU)), (0.0,), (1.0,))
    images = pixels(11)
    plain, seen = measure(graph, images), measure(graph, images, histograms=True)
    for node in graph.nodes:
        about, (c, h, w) = seen[node.name], node.shape
        assert about.histogram is not None and (about.histogram.sum(1) == len(images) * h * w).all()
        assert (about.low == plain[node.name].low).all() and about.high.size == c


@pytest.mark.parametrize("shift", [0, 1, 8, 23, 40])
@pytest.mark.parametrize("bits", [10, 22, 24, 36, 38, 52])
@pytest.mark.parametrize("multiplier", [1, 4, 65535])
def test_requantisation_in_floats_is_that_of_integers(bits: int, shift: int, multiplier: int) -> None:
    """At the ends of what single and double precision hold, and beyond."""
    rng = np.random.default_rng(bits)
    ends = (1 << bits) - np.arange(1, 200)
    total = np.concatenate([ends, -ends, rng.integers(-(1 << bits), 1 << bits, 400)])[:, None]
    requant = Requant(np.array([multiplier]), np.array([shift]), -30000, 30000, 0 if multiplier < 8 else 16)
    whole = [(v * multiplier + ((1 << shift) >> 1)) >> shift for v in total[:, 0].tolist()]
    expected = np.clip(np.array(whole, object), -30000, 30000).astype(np.int64)
    assert (requant(total)[:, 0] == expected).all()
    assert (requant(total.astype(np.float64), (1 << bits))[:, 0] == expected).all()


def test_widths_of_single_layers() -> None:
    layers = {"4": Widths(weights=4), "7": Widths(5, 12), "8": Widths(activations=3)}
    graph = compiled(layers=layers).graph
    widths = {node.name: (node.layer.weight_bits, node.out.bits) for node in graph.layers if node.layer}
    assert widths == {"0": (8, 8), "3": (0, 8), "4": (4, 8), "7": (5, 12), "8": (0, 3), "10": (8, 16)}
    assert compiled(layers=layers).about["options"]["layers"]["7"] == {"weights": 5, "activations": 12}


def test_widths_that_no_layer_can_have() -> None:
    wrong = {
        "44": Widths(weights=4), "3": Widths(activations=4), "8": Widths(weights=4), "10": Widths(activations=9),
    }  # fmt: skip
    with pytest.raises(UserError) as caught:
        compiled(layers=wrong)
    assert list(caught.value.problems) == [
        "`layers=44`: no such layer; there are 4",
        "`layers=3`: it passes its input's codes on; give their width to `0`",
        "`layers=8`: its kind, avgpool2d, has no weights; give it a width of activations alone",
        "`layers=10`: its activations are the network's output, whose width is `output_bits=`",
    ]
    with pytest.raises(UserError, match="width 17 of `4`'s weights: widths are whole numbers from 2 to 16 bits"):
        compiled(layers={"4": Widths(weights=17)})


def test_widths_on_the_command_line() -> None:
    assert parse_widths("cnn.1.0=w8a12") == ("cnn.1.0", Widths(8, 12))
    assert parse_widths("a=b=w4") == ("a=b", Widths(4, None)) and parse_widths("x=a6") == ("x", Widths(None, 6))
    for text in ("cnn.1.0", "=w8", "x=", "x=8", "x=a8w8", "x=w", "x=w8 "):
        with pytest.raises(UserError, match=r"--layer .*: a layer and its widths are expected"):
            parse_widths(text)


def test_the_trained_network_keeps_its_answers() -> None:
    """Eight bits, shifts alone, on photographs that calibration has not seen."""
    need_data("studentnet/student_custom_small.bin")
    need_data("food")
    script = Path(__file__).resolve().parents[1] / "benchmarks" / "accuracy.py"
    arguments = ("--schemes", "pow2", "--widths", "8,8", "--efforts", "fast")
    table = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=True).stdout
    (agreement,) = re.findall(r"^\| pow2 \| 8 \| 8 \| minmax \| fast \| ([\d.]+)% \|", table, re.MULTILINE)
    assert float(agreement) >= 95
