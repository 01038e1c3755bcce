"""Zero points: a layer on codes that have one computes what it does on wider codes whose zero is 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cnn2rtl.ops import ArgMax, AvgPool2d, Conv2d, DepthwiseConv2d, Linear, MaxPool2d, Op, Rescale, Window
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import PIXEL, IntArray, QFormat, Scheme
from cnn2rtl.quant.weighted import zero_share
from cnn2rtl.tensors import Clamp

SIZE = (6, 5)
RNG = np.random.default_rng(0)
BORDER = Window((3, 2), (2, 1), (1, 2, 1, 0))
OPS: dict[str, Op] = {
    "conv2d": Conv2d(RNG.normal(size=(5, 3, 3, 2)), RNG.normal(size=5), BORDER),
    "groups": Conv2d(RNG.normal(size=(6, 1, 3, 2)), RNG.normal(size=6), BORDER, groups=3),
    "pointwise": Conv2d(RNG.normal(size=(4, 3, 1, 1)), RNG.normal(size=4), Window((1, 1))),
    "depthwise_conv2d": DepthwiseConv2d(RNG.normal(size=(3, 3, 2)), RNG.normal(size=3), BORDER),
    "linear": Linear(RNG.normal(size=(7, 3, *SIZE)), RNG.normal(size=7)),
    "avgpool2d": AvgPool2d(BORDER),
    "tiles": AvgPool2d(Window((2, 2), (2, 2))),
    "mean": AvgPool2d(Window(SIZE, SIZE)),
    "maxpool2d": MaxPool2d(BORDER),
    "rescale": Rescale(),
}
CLAMPS = {"none": Clamp(), "relu": Clamp(0.0), "bounds": Clamp(0.3, 1.1)}
STEP = 2.0**-5


def codes(zero: int, bits: int = 8) -> QFormat:
    return replace(QFormat.full(bits, True, STEP), zero=zero)


def wide(narrow: QFormat) -> QFormat:
    """The same numbers in codes less their zero point, of a bit more."""
    lo, hi = narrow.lo - narrow.zero, narrow.hi - narrow.zero
    return QFormat(narrow.bits + 1, True, narrow.scale, lo, hi)


def pixels(source: QFormat) -> IntArray:
    """Three maps: random, and all of the lowest and the highest code."""
    x = np.random.default_rng(1).integers(source.lo, source.hi + 1, (3, *SIZE, 3))
    x[1], x[2] = source.lo, source.hi
    return x


def quantised(op: Op, source: QFormat, out: QFormat, clamp: Clamp, scheme: Scheme) -> QuantLayer:
    return op.quantise([source], out, clamp, QuantOptions(8, scheme))


@pytest.mark.parametrize("zeros", [(-30, 17), (100, -128), (-128, 0), (0, 90)], ids=str)
@pytest.mark.parametrize("clamp", CLAMPS)
@pytest.mark.parametrize("scheme", ["pow2", "scale"])
@pytest.mark.parametrize("name", OPS)
def test_codes_are_those_of_wider_codes(name: str, scheme: Scheme, clamp: str, zeros: tuple[int, int]) -> None:
    op, limits = OPS[name], CLAMPS[clamp]
    source, out = (codes(zero) for zero in zeros)
    layer, other = (
        quantised(op, before, after, limits, scheme) for before, after in ((source, out), (wide(source), wide(out)))
    )
    assert (layer.out.bits, other.out.bits) == (8, 9)
    assert layer.acc_bits <= other.acc_bits
    x = pixels(source)
    found, wanted = op.integer([x], layer), op.integer([x - source.zero], other)
    np.testing.assert_array_equal(found - layer.out.zero, wanted)
    np.testing.assert_array_equal(layer.out.reals(found), other.out.reals(wanted))
    assert np.ptp(found) > 4


def test_a_border_is_the_zero_point_even_where_that_is_no_code_that_occurs() -> None:
    source, out = codes(-30).clamped(0.5, 2.0), codes(17)
    assert source.zero < source.lo
    for name in ("conv2d", "depthwise_conv2d", "avgpool2d"):
        op = OPS[name]
        layer = quantised(op, source, out, Clamp(), "scale")
        assert layer.pad is not None and set(layer.pad.tolist()) == {-30}
        other = quantised(op, wide(source), wide(out), Clamp(), "scale")
        x = pixels(source)
        np.testing.assert_array_equal(op.integer([x], layer) - 17, op.integer([x + 30], other))


@pytest.mark.parametrize("zero", [-128, -30, 127])
@pytest.mark.parametrize("name", ["conv2d", "groups", "depthwise_conv2d", "linear", "avgpool2d"])
def test_accumulators_hold_all_sums(name: str, zero: int) -> None:
    """Those of the codes, of any part of them, and with the bias, which takes the zero point off."""
    op, source = OPS[name], codes(zero)
    layer = quantised(op, source, codes(0), Clamp(), "scale")
    sums = op.sums([pixels(source)], layer)
    assert sums is not None
    assert np.all(sums >= layer.acc_lo) and np.all(sums <= layer.acc_hi)
    assert np.all(layer.acc_lo <= 0) and np.all(layer.acc_hi >= 0)
    assert np.abs(sums + layer.bias).max() <= layer.reach


def test_what_passes_codes_on_passes_the_zero_point_on() -> None:
    source = codes(-30)
    assert quantised(MaxPool2d(BORDER), source, codes(5), Clamp(), "scale").out == source
    assert quantised(ArgMax(), source, codes(5), Clamp(), "scale").out.zero == 0


def test_without_a_zero_point_there_is_nothing_to_fold() -> None:
    for name, op in OPS.items():
        for source in (PIXEL, codes(0)):
            layer = quantised(op, source, codes(0), Clamp(0.0), "scale")
            assert layer.pad is None
            assert layer.requant is None or layer.requant.zero == 0
            if layer.weight is None:
                assert layer.bias is None, name
            else:
                assert not zero_share(source, layer.weight).any()


def test_a_format_with_a_zero_point_reads_and_writes_reals() -> None:
    q = codes(-30)
    assert str(q) == "s8.5@-30" and str(replace(q, scale=0.3)) == "s8*0.3@-30" and str(codes(0)) == "s8.5"
    assert q.codes(np.array([0.0, STEP, -100.0, 100.0])).tolist() == [-30, -29, -128, 127]
    every = np.arange(q.lo, q.hi + 1)
    np.testing.assert_array_equal(q.codes(q.reals(every)), every)
    assert q.reals(-30) == 0
    relu = q.clamped(0.0, np.inf)
    assert (relu.lo, relu.hi) == (-30, 127)
