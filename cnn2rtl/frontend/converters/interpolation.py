"""Linear interpolation between pixels, by any factor and with exact weights."""

from __future__ import annotations

from fractions import Fraction
from math import floor, isclose, lcm

import numpy as np

from cnn2rtl.frontend.call import Call, Map, Refused
from cnn2rtl.ops import AvgPool2d, DepthwiseConv2d, Window
from cnn2rtl.quant.qformat import IntArray
from cnn2rtl.tensors import FloatArray

FINEST = 10_000
"""Factors are fractions of no larger denominator."""

PARTS = 64
"""Into so many equal parts, at most, the way from one pixel to the next is cut: each costs a cycle per pixel."""


def upsample_linear(call: Call) -> Map:
    """``resample`` and, by whole factors, a ``depthwise_conv2d``; by others or with ``align_corners``, an ``avgpool2d``
    each for columns and rows.
    """
    source = call.image
    sizes, out = source.sized[1:], (call.out[1], call.out[2]) if len(call.out) == 3 else (1, call.out[1])
    steps = [_step(call, axis, size, count) for axis, (size, count) in enumerate(zip(sizes, out, strict=True))]
    factors = [int(1 / step) if step > 0 and (1 / step).denominator == 1 else 0 for step in steps]
    if not call.args["align_corners"] and all(size * f == n for size, f, n in zip(sizes, factors, out, strict=True)):
        return _by_whole_factors(call, source, factors).reshaped(call.out)
    for axis in (1, 0):
        source = _along(call, source, axis, _places(steps[axis], sizes[axis], out[axis], call.args["align_corners"]))
    return source.reshaped(call.out)


def _step(call: Call, axis: int, size: int, out: int) -> Fraction:
    """How many pixels of the map lie between two of the result's."""
    if call.args["align_corners"]:
        return Fraction(size - 1, out - 1) if out > 1 else Fraction(0)
    given = call.args.get("scale_factors")
    names = ("scales_h", "scales_w") if "scales_h" in call.args else ("scales", "scales")
    scale = call.args.get(names[axis]) if given is None else ([1.0, *given] if len(given) == 1 else given)[axis]
    if scale is None or (len(call.image.dims) == 2 and axis == 0):
        return Fraction(size, out)
    # torch counts in steps of the factor that was asked for, also where the size is rounded.
    step = 1 / Fraction(float(scale)).limit_denominator(FINEST)
    if not isclose(step * Fraction(float(scale)), 1.0, rel_tol=1e-9):
        raise Refused(f"a factor of {scale} is no fraction of small numbers; give the size in its place")
    return step


def _places(step: Fraction, size: int, out: int, corners: bool) -> list[Fraction]:
    """Where each pixel of a row of ``out`` lies among the ``size`` pixels of the map."""
    half = Fraction(0) if corners else Fraction(1, 2)
    return [min(max((number + half) * step - half, Fraction(0)), Fraction(size - 1)) for number in range(out)]


def _along(call: Call, source: Map, axis: int, places: list[Fraction]) -> Map:
    """The mean of as many equal parts for every pixel: the nearer of its neighbours has more of them."""
    parts = lcm(*(place.denominator for place in places))
    if parts > PARTS:
        raise Refused(
            f"has weights in steps of 1/{parts} between two pixels, of which {PARTS} are supported; choose sizes whose "
            "ratio is simpler, or whole factors with align_corners=False"
        )
    last = source.sized[1 + axis] - 1
    chosen: list[int] = []
    for place in places:
        low = floor(place)
        more = int((place - low) * parts)
        chosen += [low] * (parts - more) + [min(low + 1, last)] * more
    around = [np.arange(source.sized[1]), np.arange(source.sized[2])]
    around[axis] = np.array(chosen)
    laid_out = source.pixels(around[0], around[1], call.name)
    if parts == 1:
        return laid_out
    kernel = (parts, 1) if axis == 0 else (1, parts)
    made = call.layer(AvgPool2d(Window(kernel, kernel)), laid_out, part="columns" if axis else "rows")
    return made.reshaped((made.shape[0], made.shape[2])) if len(source.dims) == 2 else made


def _by_whole_factors(call: Call, source: Map, factors: list[int]) -> Map:
    # Every pixel so many times, the outermost ones so often that the mean below reaches over the edge: the mean of
    # a box as wide as the factor, twice it where that is even, is linear between the centres of the pixels.
    channels, *sizes = source.sized
    kernels: list[FloatArray] = []
    indices: list[IntArray] = []
    for size, factor in zip(sizes, factors, strict=True):
        kernel, around = _linear(factor)
        kernels.append(kernel)
        indices.append(np.clip(np.arange(-around, size * factor + around) // factor, 0, size - 1))
    repeated = source.pixels(indices[0], indices[1], call.name)
    weight = np.broadcast_to(np.outer(*kernels), (channels, kernels[0].size, kernels[1].size)).copy()
    window = Window((kernels[0].size, kernels[1].size))
    return call.layer(DepthwiseConv2d(weight, np.zeros(channels), window, biased=False), repeated)


def _linear(factor: int) -> tuple[FloatArray, int]:
    """Weights over pixels that are repeated ``factor`` times, and how many of them there are on either side.

    Pixel j of the result lies (j + 0.5) / factor - 0.5 pixels into the map. Its neighbours' weights grow in steps of
    1 / factor, or of half of it where the factor is even, from one to the other.
    """
    if factor % 2:
        return np.full(factor, 1.0 / factor), factor // 2
    ends = np.full(factor + 1, 1.0 / factor)
    ends[[0, -1]] /= 2
    return ends, factor // 2
