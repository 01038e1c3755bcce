"""The integer network computed anew in torch: what the golden model is held to.

Nothing of the golden arithmetic is used here, only the integer parameters of the layers. Windows are cut out by
``unfold`` and summed in int64, and requantisation is exact division of Python integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from cnn2rtl.graph import QuantGraph, QuantNode
from cnn2rtl.ops import Window
from cnn2rtl.quant.qformat import IntArray, Requant
from cnn2rtl.tensors import part


def integer_tensors(graph: QuantGraph, images: np.ndarray) -> dict[str, IntArray]:
    """Every tensor of the network, (n, h, w, c), by the name of its layer."""
    values: dict[str, torch.Tensor] = {}
    for node in graph.nodes:
        if node.layer is None:
            value = torch.from_numpy(part(images, node.name).astype(np.int64)).permute(0, 3, 1, 2)
        else:
            value = REFERENCE[node.op.kind](*(values[name] for name in node.inputs), node)
        values[node.name] = value
    return {name: value.permute(0, 2, 3, 1).numpy() for name, value in values.items()}


def requantised(total: torch.Tensor, requant: Requant) -> torch.Tensor:
    """``total`` (n, c, h, w) times multiplier / 2**shift, rounded half up, with the zero point and clamped."""
    # Of each channel, perhaps of each pixel, too.
    multiplier, shift = (
        np.broadcast_to(np.moveaxis(np.array(values, ndmin=3), 2, 0), total.shape).ravel().tolist()
        for values in (requant.multiplier, requant.shift)
    )
    whole = [
        (2 * v * m + (1 << s)) // (2 << s) for v, m, s in zip(total.flatten().tolist(), multiplier, shift, strict=True)
    ]
    clamped = [min(max(v + requant.zero, requant.lo), requant.hi) for v in whole]
    return torch.tensor(clamped, dtype=torch.int64).reshape(total.shape)


def patches(x: torch.Tensor, window: Window, pad: torch.Tensor | int) -> torch.Tensor:
    """The pixels under every window, (n, c, h_out, w_out, ky, kx); ``pad`` surrounds the map, perhaps per channel."""
    top, bottom, left, right = window.padding
    inside = F.pad(torch.ones_like(x, dtype=torch.bool), (left, right, top, bottom))
    border = torch.as_tensor(pad).reshape(1, -1, 1, 1)
    padded = torch.where(inside, F.pad(x, (left, right, top, bottom)), border)
    cut = padded.unfold(2, window.reach[0], window.stride[0]).unfold(3, window.reach[1], window.stride[1])
    return cut[..., :: window.dilation[0], :: window.dilation[1]]


def _parts(node: QuantNode) -> tuple[Any, torch.Tensor, torch.Tensor, torch.Tensor | int, Requant]:
    layer = node.layer
    assert layer is not None and layer.weight is not None and layer.bias is not None and layer.requant is not None
    pad = 0 if layer.pad is None else torch.from_numpy(layer.pad)
    return node.op, torch.from_numpy(layer.weight), torch.from_numpy(layer.bias), pad, layer.requant


def _conv2d(x: torch.Tensor, node: QuantNode) -> torch.Tensor:
    op, weight, bias, pad, requant = _parts(node)
    cut = patches(x, op.window, pad)
    inputs, outputs = weight.shape[1], weight.shape[0] // op.groups
    columns = []
    for o in range(weight.shape[0]):
        first = o // outputs * inputs
        columns.append((cut[:, first : first + inputs] * weight[o, :, None, None]).sum((1, 4, 5)) + bias[o])
    return requantised(torch.stack(columns, 1), requant)


def _depthwise(x: torch.Tensor, node: QuantNode) -> torch.Tensor:
    op, weight, bias, pad, requant = _parts(node)
    total = (patches(x, op.window, pad) * weight[:, None, None]).sum((4, 5))
    return requantised(total + bias[:, None, None], requant)


def _linear(x: torch.Tensor, node: QuantNode) -> torch.Tensor:
    _, weight, bias, _, requant = _parts(node)
    total = torch.stack([(x * row).sum((1, 2, 3)) for row in weight], 1) + bias
    return requantised(total[:, :, None, None], requant)


def _maxpool2d(x: torch.Tensor, node: QuantNode) -> torch.Tensor:
    best = patches(x, node.op.window, -(1 << 40)).amax((4, 5))  # type: ignore[attr-defined]
    assert node.layer is not None
    return best if node.layer.requant is None else _rescale(best, node)


def _avgpool2d(x: torch.Tensor, node: QuantNode) -> torch.Tensor:
    # Its zero points need no bias here: what is added up is what the codes are above it.
    window: Window = node.op.window  # type: ignore[attr-defined]
    assert node.layer is not None and node.layer.requant is not None
    return requantised(patches(x - node.layer.source.zero, window, 0).sum((4, 5)), node.layer.requant)


def _rescale(x: torch.Tensor, node: QuantNode) -> torch.Tensor:
    assert node.layer is not None and node.layer.requant is not None
    return requantised(x - node.layer.source.zero, node.layer.requant)


def _add(a: torch.Tensor, b: torch.Tensor, node: QuantNode) -> torch.Tensor:
    assert node.layer is not None and node.layer.requant is not None
    formats = (node.layer.source, *node.layer.others)
    parts = ((x - q.zero) * f for x, q, f in zip((a, b), formats, node.layer.factors, strict=True))
    return requantised(sum(parts, torch.zeros_like(a)), node.layer.requant)


def _concat(*given: Any) -> torch.Tensor:
    *maps, node = given
    joined = torch.cat(maps, node.op.axis)
    return joined if node.layer.requant is None else _rescale(joined, node)


def _channel_max(x: torch.Tensor, node: QuantNode) -> torch.Tensor:
    largest = x.amax(1, keepdim=True)
    assert node.layer is not None
    return largest if node.layer.requant is None else _rescale(largest, node)


def _argmax(x: torch.Tensor, node: QuantNode) -> torch.Tensor:
    channels = torch.arange(x.shape[1]).reshape(1, -1, 1, 1)
    largest = x == x.amax(1, keepdim=True)
    return torch.where(largest, channels, x.shape[1]).amin(1, keepdim=True)


FUNCTIONS: Mapping[str, Callable[..., torch.Tensor]] = {
    "celu": F.celu, "elu": torch.ops.aten.elu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "hardshrink": F.hardshrink, "hardsigmoid": F.hardsigmoid, "hardswish": F.hardswish, "leaky_relu": F.leaky_relu,
    "log_sigmoid": F.logsigmoid, "mish": F.mish, "selu": F.selu, "silu": F.silu, "softplus": F.softplus,
    "softshrink": F.softshrink, "softsign": F.softsign, "tanhshrink": F.tanhshrink, "threshold": F.threshold,
    **{name: getattr(torch, name) for name in (
        "abs", "ceil", "cos", "erf", "exp", "floor", "log", "log1p", "pow", "reciprocal", "round", "rsqrt", "sigmoid",
        "sign", "sin", "sqrt", "tanh",
    )},
}  # fmt: skip
"""What torch calls the functions of a table."""


def _table(x: torch.Tensor, node: QuantNode) -> torch.Tensor:
    assert node.layer is not None
    op, source, out = node.op, node.layer.source, node.layer.out
    reals = FUNCTIONS[op.function]((x - source.zero).double() * float(source.scale), *op.arguments)  # type: ignore[attr-defined, arg-type]
    steps = torch.floor(reals / float(out.scale) + 0.5) + out.zero  # type: ignore[arg-type]
    return steps.clamp(out.lo, out.hi).long()


def _select(x: torch.Tensor, node: QuantNode) -> torch.Tensor:
    assert node.layer is not None
    channels = [x[:, channel] for channel in node.op.indices]  # type: ignore[attr-defined]
    picked = torch.stack(channels, 1).reshape(len(x), *node.shape)
    return picked if node.layer.requant is None else _rescale(picked, node)


def _moved(x: torch.Tensor, rows: tuple[int, ...], columns: tuple[int, ...], pad: torch.Tensor) -> torch.Tensor:
    """Pixel by pixel; ``pad`` is (1,) or (c,)."""
    constant = pad.expand(x.shape[:2])
    grid = [[constant if min(row, column) < 0 else x[:, :, row, column] for column in columns] for row in rows]
    return torch.stack([torch.stack(line, -1) for line in grid], -2)


def _resample(x: torch.Tensor, node: QuantNode) -> torch.Tensor:
    assert node.layer is not None
    pad = torch.from_numpy(np.zeros(1, np.int64) if node.layer.pad is None else node.layer.pad)
    rows, columns = node.op.rows, node.op.columns  # type: ignore[attr-defined]
    if node.layer.requant is None:
        return _moved(x, rows, columns, pad)
    # Zero is a code of the input, another constant one of the result.
    if node.op.value == 0:  # type: ignore[attr-defined]
        return _rescale(_moved(x, rows, columns, pad), node)
    return _moved(_rescale(x, node), rows, columns, pad)


def _depth_to_space(x: torch.Tensor, node: QuantNode) -> torch.Tensor:
    assert node.layer is not None
    (by, bx), (oy, ox) = node.op.block, node.op.offset  # type: ignore[attr-defined]
    c, h, w = node.shape
    # PixelShuffle has the channels of the result outermost.
    order = torch.arange(x.shape[1]).reshape(by * bx, c).T.flatten()
    if by == bx:
        fine = F.pixel_shuffle(x[:, order], by)
    else:
        parts = x.reshape(len(x), by, bx, c, *x.shape[2:])
        fine = torch.einsum("nijchw->nchiwj", parts).reshape(len(x), c, x.shape[2] * by, x.shape[3] * bx)
    cut = fine[:, :, oy : oy + h, ox : ox + w]
    return cut if node.layer.requant is None else _rescale(cut, node)


def _multiply(a: torch.Tensor, b: torch.Tensor, node: QuantNode) -> torch.Tensor:
    assert node.layer is not None and node.layer.requant is not None
    (other,) = node.layer.others
    return requantised((a - node.layer.source.zero) * (b - other.zero), node.layer.requant)


REFERENCE: Mapping[str, Callable[..., torch.Tensor]] = {
    "add": _add,
    "argmax": _argmax,
    "avgpool2d": _avgpool2d,
    "channel_max": _channel_max,
    "concat": _concat,
    "conv2d": _conv2d,
    "depth_to_space": _depth_to_space,
    "depthwise_conv2d": _depthwise,
    "linear": _linear,
    "maxpool2d": _maxpool2d,
    "multiply": _multiply,
    "resample": _resample,
    "rescale": _rescale,
    "select": _select,
    "table": _table,
}
