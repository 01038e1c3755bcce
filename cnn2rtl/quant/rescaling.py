"""Requantisation of layers without weights: averages, clamps, maxima that carry an activation."""

from __future__ import annotations

import numpy as np

from cnn2rtl.graph import Clamp
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat, Requant
from cnn2rtl.quant.weighted import reach


def quantise_rescaling(
    source: QFormat, out: QFormat, clamp: Clamp, options: QuantOptions, terms: int = 1, pad: IntArray | None = None
) -> QuantLayer:
    """A layer ``clamp(mean of terms values)``: an integer sum and one rescaling for all channels.

    ``pad`` is the code around the map, (1,), where it is not 0. There is a bias only for the zero point of ``source``.
    """
    out = out.clamped(clamp.lo, clamp.hi)
    lo, hi = reach(source, pad)
    return QuantLayer(
        source=source,
        out=out,
        bias=np.array([-source.zero * terms]) if source.zero else None,
        pad=pad,
        requant=Requant.between(np.atleast_1d(source.scales / terms), out, options.scheme),
        acc_lo=np.array([lo * terms]),
        acc_hi=np.array([hi * terms]),
    )


def rescaled(total: np.ndarray, layer: QuantLayer) -> IntArray:
    """The golden arithmetic of such a layer, from its sums on."""
    assert layer.requant is not None
    return layer.requant(total if layer.bias is None else total + layer.bias, layer.reach)
