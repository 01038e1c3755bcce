"""Requantisation of layers without weights: averages, clamps, maxima that carry an activation."""

from __future__ import annotations

import numpy as np

from cnn2rtl.graph import Clamp
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import QFormat, Requant


def quantise_rescaling(
    source: QFormat, out: QFormat, clamp: Clamp, options: QuantOptions, terms: int = 1
) -> QuantLayer:
    """A layer ``clamp(mean of terms values)``: an integer sum and one rescaling for all channels."""
    out = out.clamped(clamp.lo, clamp.hi)
    return QuantLayer(
        source=source,
        out=out,
        requant=Requant.between(np.atleast_1d(source.scales / terms), out, options.scheme),
        acc_lo=np.array([min(source.lo, 0) * terms]),
        acc_hi=np.array([max(source.hi, 0) * terms]),
    )
