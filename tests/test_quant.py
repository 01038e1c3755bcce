"""Formats, requantisation and accumulator bounds, against exact fractions and the worst inputs there are."""

from __future__ import annotations

from fractions import Fraction
from math import floor, inf
from typing import get_args

import numpy as np
import pytest

from cnn2rtl.ops import AvgPool2d, Conv2d, DepthwiseConv2d, Linear, Window
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import (
    MULTIPLIER_BITS,
    STEEPEST,
    QFormat,
    Requant,
    Scheme,
    power_of_two_at_least,
    signed_bits,
)
from cnn2rtl.tensors import Clamp

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
WIDTHS = (2, 3, 8, 16)


def test_power_of_two_at_least() -> None:
    for exponent in (-30, -1, 0, 1, 20):
        power = 2.0**exponent
        assert power_of_two_at_least(power) == power
        assert power_of_two_at_least(power * (1 + 2**-50)) == 2 * power
        assert power_of_two_at_least(power * (1 - 2**-50)) == power


@pytest.mark.parametrize(
    ("lo", "hi", "bits"), [(0, 0, 1), (-1, 0, 1), (0, 1, 2), (-2, 1, 2), (-129, 0, 9), (-1, 255, 9)]
)
def test_signed_bits(lo: int, hi: int, bits: int) -> None:
    assert signed_bits(lo, hi) == bits


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 6.0), (-1.5, 0.25), (-0.001, 300.0), (-8.0, 0.0), (0.0, 0.0), (0.0, 2.0**-40)]
)
def test_a_format_covers_its_range_and_is_no_coarser_than_needed(
    low: float, high: float, bits: int, scheme: Scheme
) -> None:
    q = QFormat.covering(low, high, bits, scheme)
    assert q.signed == (low < 0)
    assert q.bits == bits
    ends = np.array([low, high])
    assert (np.abs(q.reals(q.codes(ends)) - ends) <= q.scale / 2 * (1 + 1e-12)).all()
    finest = QFormat.full(bits, q.signed, q.scale * (0.5 if scheme == "pow2" else 0.999))
    reaches = finest.scale * finest.lo <= low and finest.scale * finest.hi >= high
    assert not reaches or q.scale == 2.0**-24
    assert scheme == "scale" or q.scale == power_of_two_at_least(q.scale)


def test_codes_round_half_up_and_saturate() -> None:
    q = QFormat.full(4, True, 0.5)
    reals = np.array([0.24, 0.25, -0.25, -0.26, 0.75, -0.75, 100.0, -100.0, 3.5, -4.0])
    assert q.codes(reals).tolist() == [0, 1, 0, -1, 2, -1, 7, -8, 7, -8]


def test_a_clamp_narrows_the_codes_and_never_inverts_them() -> None:
    q = QFormat.covering(-1.0, 6.0, 8, "pow2")
    assert (q.clamped(0.0, 6.0).lo, q.clamped(0.0, 6.0).hi) == (0, 96)
    assert q.clamped(-inf, inf) == q
    for lo, hi in ((50.0, 60.0), (-60.0, -50.0)):
        narrow = q.clamped(lo, hi)
        assert q.lo <= narrow.lo <= narrow.hi <= q.hi


@pytest.mark.parametrize("scheme", SCHEMES)
def test_requantisation_is_the_ratio_of_the_scales(scheme: Scheme) -> None:
    rng = np.random.default_rng(1)
    out = QFormat.full(16, True, 2.0**-6 if scheme == "pow2" else 0.0173)
    exponents = rng.integers(-40, 5, 40)
    acc_scale = 2.0**exponents if scheme == "pow2" else 2.0**exponents * rng.uniform(0.5, 1, 40)
    requant = Requant.between(acc_scale, out, scheme)
    assert (requant.multiplier_bits == 0) == (scheme == "pow2")
    for m, s, scale in zip(requant.multiplier.tolist(), requant.shift.tolist(), acc_scale.tolist(), strict=True):
        wanted = min(Fraction(scale) / Fraction(out.scale), Fraction(1 << STEEPEST))
        made = Fraction(m, 1 << s)
        if scheme == "pow2":
            assert made == wanted
        elif wanted < 1 << (MULTIPLIER_BITS - 1):
            assert abs(made / wanted - 1) <= Fraction(1, 1 << MULTIPLIER_BITS)
            assert s >= 1
            assert m < 1 << MULTIPLIER_BITS


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("shift", [0, 1, 7, 30, 70])
def test_requantisation_is_exact(shift: int, wide: bool) -> None:
    """Also beyond 64 bits, where numpy's own integers would wrap."""
    rng = np.random.default_rng(shift)
    bits = 50 if wide else 20
    acc = rng.integers(-(1 << bits), 1 << bits, (200, 2))
    requant = Requant(np.array([65535, 40000]), np.array([shift, shift + 1]), -3000, 30000, MULTIPLIER_BITS)
    for row, codes in zip(acc.tolist(), requant(acc).tolist(), strict=True):
        for value, m, s, code in zip(row, (65535, 40000), (shift, shift + 1), codes, strict=True):
            exact = floor(Fraction(value * m, 1 << s) + (Fraction(1, 2) if s else 0))
            assert code == min(max(exact, -3000), 30000)


def layers(bits: int, scheme: Scheme, source: QFormat) -> dict[str, tuple[object, QuantLayer]]:
    rng = np.random.default_rng(bits)
    out, options = QFormat.covering(-3, 5, 8, scheme), QuantOptions(bits, scheme)
    window = Window((3, 3), (1, 1), (1, 1, 1, 1))
    made = {
        "conv2d": Conv2d(rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4), window),
        "depthwise": DepthwiseConv2d(rng.normal(size=(3, 3, 3)), rng.normal(size=3), window),
        "linear": Linear(rng.normal(size=(5, 3, 6, 6)), rng.normal(size=5)),
    }
    return {name: (op, op.quantise([source], out, Clamp(), options)) for name, op in made.items()}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("signed", [False, True])
def test_accumulators_hold_the_worst_input_and_no_less_would_do(bits: int, scheme: Scheme, signed: bool) -> None:
    """For each output, the input that drives its sum highest, and lowest: the bounds are met and never exceeded."""
    source = QFormat.full(8, signed, 2.0**-4)
    for name, (op, layer) in layers(bits, scheme, source).items():
        assert layer.weight is not None
        top = (1 << (bits - 1)) - 1
        assert -top - 1 <= layer.weight.min()
        assert layer.weight.max() <= top
        weight = layer.weight.astype(np.float64)
        for c in range(weight.shape[0]):
            for sign in (1, -1):
                # Behind every weight the code that adds most; the window at (2, 2) sees it all.
                best = np.where(sign * weight[c] > 0, source.hi, source.lo).astype(np.float64)
                x = np.zeros((1, 6, 6, 3))
                if name == "linear":
                    x[0] = best.transpose(1, 2, 0)
                elif name == "conv2d":
                    x[0, 1:4, 1:4] = best.transpose(1, 2, 0)
                else:
                    x[0, 1:4, 1:4, c] = best
                acc = op.accumulate(x, weight, np.zeros(1))  # type: ignore[attr-defined]
                reached = acc[0, :, :, c].max() if sign > 0 else acc[0, :, :, c].min()
                # Zero counts as an input too, so the bounds never exclude it.
                assert reached == (layer.acc_hi[c] if sign > 0 else layer.acc_lo[c])
        assert signed_bits(int(layer.acc_lo.min()), int(layer.acc_hi.max())) == layer.acc_bits


def test_the_largest_weight_of_each_channel_just_fits() -> None:
    weight = np.array([11.2, 0.5, -0.031, 1e-30, 0.0]).reshape(5, 1, 1, 1) * np.ones((1, 1, 1, 2))
    source, out = QFormat.full(8, False, 2.0**-5), QFormat.full(8, True, 2.0**-4)
    for scheme in SCHEMES:
        layer = Conv2d(weight, np.zeros(5), Window((1, 2))).quantise([source], out, Clamp(), QuantOptions(8, scheme))
        assert layer.weight is not None
        largest = np.abs(layer.weight).reshape(5, -1).max(1)
        assert ((largest[:3] >= 64) & (largest[:3] <= 128)).all() if scheme == "pow2" else (largest[:3] >= 127).all()
        # A channel of next to nothing does not ask for endless bits.
        assert layer.acc_bits <= 20
        assert layer.bias is not None
        assert (layer.bias == 0).all()


@pytest.mark.parametrize("taps", [(2, 2), (3, 3), (1, 7)])
def test_averages_are_the_rounded_mean(taps: tuple[int, int]) -> None:
    source = QFormat.full(8, False, 2.0**-3)
    op = AvgPool2d(Window(taps, taps))
    layer = op.quantise([source], source, Clamp(), QuantOptions(8, "pow2"))
    x = np.random.default_rng(0).integers(0, 256, (3, 14, 14, 2))
    total, count = op.total(x), taps[0] * taps[1]
    exact = (2 * total + count) // (2 * count)
    codes = op.integer([x], layer)
    # Where the reciprocal is rounded, a mean next to a half may fall to the other side.
    assert (np.abs(codes - exact) <= (0 if count == 4 else 1)).all()
    assert (codes == exact).mean() > 0.99
