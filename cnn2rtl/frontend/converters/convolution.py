"""Layers with weights, and BatchNorm."""

from __future__ import annotations

from math import prod

import numpy as np

from cnn2rtl.frontend.call import Call, Map, Refused
from cnn2rtl.frontend.converters.channelwise import affine
from cnn2rtl.graph import FloatArray
from cnn2rtl.ops import Conv2d, Linear, Op, Window


def convolution(call: Call) -> Op | Map:
    """``conv2d``, or ``depthwise_conv2d`` where each channel has its own kernel; in the 1-D form with one row."""
    if call.args.get("transposed"):
        # Its weights are the other way round: nothing below would fit it.
        raise Refused("transposed convolution is not supported")
    weight, bias = _weight(call), call.constant("bias")
    kernel, dilation = (weight.shape[2], weight.shape[3]), call.pair("dilation", (1, 1))
    return Conv2d(
        weight=weight,
        bias=np.zeros(weight.shape[0]) if bias is None else bias,
        window=Window(kernel, call.pair("stride", (1, 1)), _padding(call, Window(kernel, dilation=dilation)), dilation),
        groups=int(call.args["groups"]),
        biased=bias is not None,
    )


def _weight(call: Call) -> FloatArray:
    """(c_out, c_in / groups, ky, kx), in the 1-D form with one row."""
    weight, rank = call.required("weight"), len(call.image.dims)
    if weight.ndim != rank + 1:
        raise Refused(f"has a kernel of {weight.ndim - 2} dimensions on a tensor of {1 + rank}")
    return weight if rank == 3 else weight[:, :, None]


def _padding(call: Call, window: Window) -> tuple[int, int, int, int]:
    if call.args["padding"] == "valid":
        return (0, 0, 0, 0)
    if call.args["padding"] == "same":
        # An even reach needs an odd number of pixels; torch puts the extra one below and to the right.
        (y, x) = window.reach
        return ((y - 1) // 2, y // 2, (x - 1) // 2, x // 2)
    y, x = call.pair("padding", (0, 0), along=0)
    return (y, y, x, x)


def batch_norm(call: Call) -> Map:
    """``affine``, with running statistics alone."""
    mean, var = call.constant("running_mean"), call.constant("running_var")
    if mean is None or var is None:
        raise Refused("BatchNorm without running statistics; train it with track_running_stats=True")
    if call.args.get("training"):
        raise Refused("BatchNorm in training mode; call model.eval() before torch.export.export")
    weight, bias = call.constant("weight"), call.constant("bias")
    trained = sum(array.size for array in (weight, bias) if array is not None)
    weight = np.ones_like(mean) if weight is None else weight
    bias = np.zeros_like(mean) if bias is None else bias
    scale = weight / np.sqrt(var + call.number("eps"))
    scale, shift, mean_out, std_out = (
        array.reshape(-1, *(1,) * (len(call.out) - 1)) for array in (scale, bias - mean * scale, bias, np.abs(weight))
    )
    return affine(call, call.source, scale, shift, statistics=(mean_out, std_out), trained=trained)


def linear(call: Call) -> Map:
    """``linear``, whatever reordered a map before it; over the last of several dimensions a 1x1 ``conv2d``."""
    return _linear(call, call.required("weight"), call.constant("bias"))


def addmm(call: Call) -> Map:
    """``linear``, with constants for all but the vector."""
    if call.args["alpha"] != 1 or call.args["beta"] != 1:
        raise Refused("alpha and beta other than 1 are not supported")
    return _linear(call, call.required("mat2").T, call.constant("self"))


def matmul(call: Call) -> Map:
    """As ``linear``, by a constant matrix from the right."""
    name = "mat2" if "mat2" in call.args else "other"
    matrix = call.required(name)
    if matrix.ndim != 2 or not isinstance(call.args["self"], Map):
        raise Refused("only a product with a constant matrix from the right is supported")
    return _linear(call, matrix.T, None)


def _linear(call: Call, weight: FloatArray, bias: FloatArray | None) -> Map:
    """Over the last dimension, by ``weight``, (outputs, inputs)."""
    source, outputs, biased = call.source, weight.shape[0], bias is not None
    bias = np.zeros(outputs) if bias is None else np.broadcast_to(bias, (outputs,)).copy()
    if len(source.dims) == 1:
        return _over_map(call, source, weight, bias, biased)
    # The last dimension as channels, the others as rows and columns.
    moved = source.at(np.moveaxis(source.positions, -1, 0), name=source.name or call.name)
    kernel = np.ascontiguousarray(weight)[:, :, None, None]
    made = call.layer(Conv2d(weight=kernel, bias=bias, window=Window((1, 1)), biased=biased), moved)
    sized = made.reshaped((outputs, *source.dims[:-1]))
    return sized.at(np.moveaxis(sized.positions, 0, -1), name=call.name)


def _over_map(call: Call, source: Map, weight: FloatArray, bias: FloatArray, biased: bool) -> Map:
    """The weights in the order of the map whose values ``source`` holds: whatever moved them costs nothing."""
    whole = np.zeros((weight.shape[0], prod(source.shape)))
    there = source.positions >= 0
    np.add.at(whole.T, source.positions[there], weight.T[there])
    if not there.all():
        bias, biased = bias + weight[:, ~there].sum(1) * source.value, True
    base = Map(source.node, source.shape, source.shape)
    made = call.layer(Linear(whole.reshape(-1, *source.shape), bias, biased=biased), base)
    return made.reshaped((weight.shape[0],))
