"""Requantisation of layers without weights: averages, clamps, maxima that carry an activation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import SHIFT_LIMIT, IntArray, QFormat, Requant
from cnn2rtl.quant.weighted import reach
from cnn2rtl.tensors import Clamp

FACTOR_BITS = 15
"""Of the largest factor where scales are no powers of two apart: an error of at most 2**-16 of the coarsest scale."""


def aligning(scales: Sequence[float]) -> tuple[float, tuple[int, ...]]:
    """A unit, and of how many units each of ``scales`` is made: exact where they are powers of two apart.

    Scales may be negative. One that is so fine beside another that it never counts gets 0 units.
    """
    coarsest = max(map(abs, scales))
    mantissas, exponents = np.frexp(np.abs(scales) / coarsest)
    exact = np.all(mantissas == 0.5) and 1 - exponents.min() <= SHIFT_LIMIT
    bits = 1 - int(exponents.min()) if exact else FACTOR_BITS
    factors = np.floor(np.asarray(scales) / coarsest * (1 << bits) + 0.5).astype(np.int64)
    common = int(np.gcd.reduce(factors))
    return coarsest / (1 << bits) * common, tuple((factors // common).tolist())


def quantise_rescaling(
    source: QFormat,
    out: QFormat,
    clamp: Clamp,
    options: QuantOptions,
    terms: int = 1,
    pad: IntArray | None = None,
    divisors: IntArray | None = None,
) -> QuantLayer:
    """A layer ``clamp(mean of terms values)``: an integer sum and one rescaling for all channels.

    ``pad`` is the code around the map, (1,), where it is not 0. There is a bias only for the zero point of ``source``.
    Sums are divided by ``terms``, or by ``divisors``, (h, w), pixel by pixel.
    """
    out = out.clamped(clamp.lo, clamp.hi)
    lo, hi = reach(source, pad)
    return QuantLayer(
        source=source,
        out=out,
        bias=np.array([-source.zero * terms]) if source.zero else None,
        pad=pad,
        requant=Requant.between(_per_term(source, terms, divisors), out, options.scheme),
        acc_lo=np.array([lo * terms]),
        acc_hi=np.array([hi * terms]),
    )


def quantise_passing(source: QFormat, out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
    """A layer that passes codes on, and their format; with a clamp of its own it rescales them."""
    if clamp == Clamp():
        return QuantLayer(source=source, out=source)
    return quantise_rescaling(source, out, clamp, options)


def _per_term(source: QFormat, terms: int, divisors: IntArray | None) -> np.ndarray:
    """What a unit of the sums is worth, (channels,) or (h, w, channels)."""
    if divisors is None:
        return np.atleast_1d(source.scales / terms)
    return np.atleast_1d(source.scales) / divisors[..., None]


def rescaled(total: np.ndarray, layer: QuantLayer) -> IntArray:
    """The golden arithmetic of such a layer, from its sums on."""
    assert layer.requant is not None
    return layer.requant(total if layer.bias is None else total + layer.bias, layer.reach)
