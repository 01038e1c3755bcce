"""What several units share in folding their layers."""

from __future__ import annotations

import numpy as np

from cnn2rtl.hardware.unit import Folding, ceil_div, pareto, useful
from cnn2rtl.quant.qformat import IntArray
from cnn2rtl.tensors import Shape


def lane_foldings(shape: Shape) -> tuple[Folding, ...]:
    """Foldings of what takes every value of a map once, whatever the lanes."""
    channels, height, width = shape
    return pareto(
        Folding(lanes, 1, lanes, lanes, height * width * ceil_div(channels, lanes), multiplies=False)
        for lanes in useful(channels)
    )


def pad_axis(values: IntArray, axis: int, length: int) -> IntArray:
    """``values`` with zeros appended along ``axis`` up to ``length``."""
    pads = [(0, 0)] * values.ndim
    pads[axis] = (0, length - values.shape[axis])
    return np.pad(values, pads)
