"""Operators that move values and compute none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cnn2rtl.frontend.call import Call, Map, Refused
from cnn2rtl.ops import DepthwiseConv2d, Window
from cnn2rtl.tensors import FloatArray


def reshape(call: Call) -> Map:
    """Nothing: values that stay in order are only named otherwise."""
    return call.source.reshaped(call.out, call.name)


def expand(call: Call) -> Map:
    """``select`` for channels, ``resample`` for pixels; nothing where the next layer can take the values once."""
    return call.source.expanded(call.out, call.name)


def move(call: Call) -> Map | list[Map]:
    """``select`` for channels, ``resample`` for pixels, ``depth_to_space`` for channels that become pixels, or several;
    nothing where the next layer can take any order, as ``linear`` can.
    """
    return call.source.moved(call.target, dict(call.args), call.name)


def along_dimensions(call: Call) -> Map | list[Map]:
    """As ``resample`` and ``select``; never between images."""
    if any(dim % (1 + len(call.source.dims)) == 0 for dim in call.args["dims"]) or not call.args["dims"]:
        raise Refused("mixes the images of a batch; leave dimension 0 alone")
    return move(call)


def constant_pad(call: Call) -> Map:
    """``resample``."""
    source, value = call.source, call.number("value", 0.0)
    if call.args.get("mode", "constant") != "constant":
        return _one(source.moved(call.target, dict(call.args), call.name))
    if np.any(source.positions < 0) and source.value != value:
        # A view has one constant: the first one becomes part of a map.
        plain = call.builder.plain(source)
        source = plain.reshaped(source.dims)

    def padded(view: Map) -> Map:
        # What torch puts around the positions stands for the constant.
        made = _one(view.moved(call.target, {**call.args, "value": -1.0}, call.name))
        return replace(made, value=value, again=padded)

    return padded(source)


def _one(moved: Map | list[Map]) -> Map:
    assert isinstance(moved, Map)
    return moved


def upsample_bilinear(call: Call) -> Map:
    """``resample`` and a ``depthwise_conv2d``, by whole factors and without ``align_corners``."""
    source = call.image
    if call.args["align_corners"]:
        raise Refused("align_corners=True has other weights for every pixel; use align_corners=False")
    _, height, width = source.sized
    factors = call.out[1] // height, call.out[2] // width
    if (height * factors[0], width * factors[1]) != call.out[1:]:
        raise Refused(f"{height}x{width} to {call.out[1]}x{call.out[2]} pixels is no whole factor, which is supported")
    # Every pixel so many times, the outermost ones so often that the mean below reaches over the edge: the mean of
    # a box as wide as the factor, twice it where that is even, is linear between the centres of the pixels.
    channels = source.sized[0]
    kernels, indices = [], []
    for size, factor in zip((height, width), factors, strict=True):
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
