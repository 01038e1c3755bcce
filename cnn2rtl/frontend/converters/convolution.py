"""Layers with weights, and BatchNorm."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from cnn2rtl.frontend.call import Call, Map, Refused
from cnn2rtl.frontend.converters.channelwise import affine
from cnn2rtl.ops import Conv2d, DepthToSpace, Linear, Window
from cnn2rtl.tensors import FloatArray


def convolution(call: Call) -> Map:
    """``conv2d``, or ``depthwise_conv2d`` where each channel has its own kernel; in the 1-D form with one row."""
    if call.args.get("transposed"):
        return transposed(call)
    weight, bias = _weight(call), call.constant("bias")
    kernel, dilation = (weight.shape[2], weight.shape[3]), call.pair("dilation", (1, 1))
    source, around = call.image.unpadded(0.0)
    top, bottom, left, right = map(sum, zip(around, _padding(call, Window(kernel, dilation=dilation)), strict=True))
    op = Conv2d(
        weight=weight,
        bias=np.zeros(weight.shape[0]) if bias is None else bias,
        window=Window(kernel, call.pair("stride", (1, 1)), (top, bottom, left, right), dilation),
        groups=int(call.args["groups"]),
        biased=bias is not None,
    )
    return call.layer(op, source).reshaped(call.out)


def transposed(call: Call) -> Map:
    """``conv2d`` of all pixels of a block side by side, and ``depth_to_space``; in the 1-D form with one row.

    Result y is the sum of weight[k] * x[i] with i * stride + k * dilation = y + padding: those with the same rest of
    (y + padding) / stride have the same taps. (Dumoulin, Visin: A guide to convolution arithmetic for deep learning,
    arXiv 1603.07285.)
    """
    weight, bias, groups = _weight(call), call.constant("bias"), int(call.args["groups"])
    stride, dilation = call.pair("stride", (1, 1)), call.pair("dilation", (1, 1))
    padding = call.pair("padding", (0, 0), along=0)
    _, *size = call.source.sized
    out = (call.out[1], call.out[2]) if len(call.out) == 3 else (1, call.out[1])
    axes = [_Transposed.of(*axis) for axis in zip(weight.shape[2:], stride, dilation, padding, size, out, strict=True)]
    # (groups, inputs, outputs, ky, kx) to (rows of a block, columns, groups, outputs, inputs, taps, taps)
    c_in, c_out = weight.shape[0], weight.shape[1] * groups
    kernels = weight.reshape(groups, c_in // groups, -1, *weight.shape[2:])
    blocks = np.einsum("giouv,urs,vtw->rtgoisw", kernels, axes[0].taps, axes[1].taps)
    by, bx = stride
    # A grouped convolution has the outputs of a group together.
    rows = blocks.transpose(2, 0, 1, 3, 4, 5, 6).reshape(by * bx * c_out, c_in // groups, *blocks.shape[5:])
    biases = np.zeros(c_out) if bias is None else bias
    spread = np.tile(biases.reshape(groups, 1, -1), (1, by * bx, 1)).ravel()
    window = Window(blocks.shape[5:], padding=(*axes[0].around, *axes[1].around))
    op = Conv2d(weight=rows, bias=spread, window=window, groups=groups, biased=bias is not None)
    part = "taps" if by * bx > 1 else ""
    made = call.layer(op, call.source, part=part)
    if by * bx > 1:
        order = np.arange(rows.shape[0]).reshape(groups, by * bx, -1).transpose(1, 0, 2).ravel()
        made = made.at(np.arange(made.positions.size).reshape(made.dims)[order], name=call.name)
        made = call.layer(DepthToSpace(stride, (axes[0].skipped, axes[1].skipped), out), made)
    elif made.dims[1:] != out:
        rows_left, columns_left = (np.arange(n) + axis.skipped for axis, n in zip(axes, out, strict=True))
        made = made.pixels(rows_left, columns_left, call.name)
    return made.reshaped(call.out)


@dataclass(frozen=True)
class _Transposed:
    """A transposed convolution along one axis, as a convolution that makes blocks of ``stride`` pixels.

    ``taps``, (kernel, stride, taps), tells which weight which pixel of a block takes at which tap; ``around`` is the
    padding, and ``skipped`` pixels lie before the first one of the result.
    """

    taps: FloatArray
    around: tuple[int, int]
    skipped: int

    @classmethod
    def of(cls, kernel: int, stride: int, dilation: int, padding: int, size: int, out: int) -> _Transposed:
        back, rest = np.divmod(np.arange(kernel) * dilation, stride)
        count = int(back.max()) + 1
        taps = np.zeros((kernel, stride, count))
        taps[np.arange(kernel), rest, count - 1 - back] = 1.0
        # Blocks of the result, no fewer than can be had without taking from the map.
        first = min(padding // stride, count - 1)
        last = max((padding + out - 1) // stride, size - 1)
        return cls(taps, (count - 1 - first, last - (size - 1)), padding - first * stride)


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
        raise Refused("alpha and beta other than 1 are not supported; multiply the weights by them")
    return _linear(call, call.required("mat2").T, call.constant("self"))


def matmul(call: Call) -> Map:
    """As ``linear``, by a constant matrix from the right."""
    name = "mat2" if "mat2" in call.args else "other"
    matrix = call.required(name)
    if matrix.ndim != 2 or not isinstance(call.args["self"], Map):
        raise Refused("only a product with a constant matrix from the right is supported; write it as a Linear")
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
    source = call.builder.plain(source) if source.parts else source
    whole = np.zeros((weight.shape[0], prod(source.shape)))
    there = source.positions >= 0
    np.add.at(whole.T, source.positions[there], weight.T[there])
    if not there.all():
        bias, biased = bias + weight[:, ~there].sum(1) * source.value, True
    made = call.layer(Linear(whole.reshape(-1, *source.shape), bias, biased=biased), *source.bases)
    return made.reshaped((weight.shape[0],))
