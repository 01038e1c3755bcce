"""What every layer kind adds up, in torch: the sums that ``Op.integer`` makes in numpy, with gradients.

Maps are (n, c, h, w) here, integers that floats hold exactly. A kind is told by its class: one that does not register
in :func:`sums` cannot be trained through.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cnn2rtl.ops import (
    Add,
    ArgMax,
    AvgPool2d,
    ChannelMax,
    Concat,
    Conv2d,
    DepthToSpace,
    DepthwiseConv2d,
    Linear,
    MaxPool2d,
    Multiply,
    Op,
    Resample,
    Rescale,
    Select,
    Table,
    Window,
)
from cnn2rtl.quant.layers import QuantLayer


@singledispatch
def sums(op: Op, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    """What ``op`` makes of codes ``xs``, one tensor per input, before it adds a bias and requantises: (n, c, h, w).

    ``weight`` are codes in the shape of the op's own weight, ``border``, (c_in,) or (1,), the codes around the map:
    where the kind has none, neither matters. Exact, as long as the type of ``xs`` holds every sum.
    """
    raise TypeError(f"a {op.kind} layer is not among those that can be trained through")


@sums.register
def _(op: Conv2d, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    (x,) = xs
    return F.conv2d(
        _padded(x, op.window, border), weight, stride=op.window.stride, dilation=op.window.dilation, groups=op.groups
    )


@sums.register
def _(op: DepthwiseConv2d, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    (x,) = xs
    padded = _padded(x, op.window, border)
    window, groups = op.window, weight.shape[0]
    return F.conv2d(padded, weight[:, None], stride=window.stride, dilation=window.dilation, groups=groups)


@sums.register
def _(op: Linear, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    (x,) = xs
    return F.linear(x.flatten(1), weight.flatten(1))[:, :, None, None]


@sums.register
def _(op: AvgPool2d, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    (x,) = xs
    padded = _padded(x, op.window, torch.zeros(1, dtype=x.dtype))
    return F.avg_pool2d(padded, op.window.kernel, op.window.stride, divisor_override=1)


@sums.register
def _(op: MaxPool2d, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    (x,) = xs
    # No code is as low as this, so the border never wins.
    return F.max_pool2d(
        _padded(x, op.window, x.new_full((1,), -(2.0**17))),
        op.window.kernel,
        op.window.stride,
        dilation=op.window.dilation,
    )


@sums.register
def _(op: Rescale, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    (x,) = xs
    return x


@sums.register
def _(op: ArgMax, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    (x,) = xs
    return x.argmax(1, keepdim=True).to(x.dtype)


@sums.register
def _(op: ChannelMax, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    (x,) = xs
    return x.amax(1, keepdim=True)


@sums.register
def _(op: Add, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    a, b = (x * factor for x, factor in zip(xs, layer.factors, strict=True))
    return a + b


@sums.register
def _(op: Multiply, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    a, b = xs
    return a * b


@sums.register
def _(op: Concat, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    return torch.cat(list(xs), op.axis)


@sums.register
def _(op: Select, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    (x,) = xs
    return x[:, list(op.indices)].reshape(len(x), -1, *(op.size or x.shape[2:]))


@sums.register
def _(op: DepthToSpace, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    (x,) = xs
    n, c, h, w = x.shape
    by, bx = op.block
    fine = x.reshape(n, by, bx, c // (by * bx), h, w).permute(0, 3, 4, 1, 5, 2)
    sources = op.sources(h, w)
    return fine.reshape(n, -1, h * by, w * bx)[:, :, list(sources.rows)][..., list(sources.columns)]


@sums.register
def _(op: Resample, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    (x,) = xs
    rows, columns = torch.tensor(op.rows), torch.tensor(op.columns)
    moved = x[:, :, rows.clamp(min=0)][..., columns.clamp(min=0)]
    return torch.where((rows < 0)[:, None] | (columns < 0), border.to(x.dtype)[:, None, None], moved)


@sums.register
def _(op: Table, xs: Sequence[Tensor], weight: Tensor, border: Tensor, layer: QuantLayer) -> Tensor:
    (x,) = xs
    assert layer.table is not None
    looked_up: Tensor = _LookUp.apply(x, torch.from_numpy(layer.table), layer.source.lo)  # type: ignore[no-untyped-call]
    return looked_up


def obstacle(op: Op, layer: QuantLayer) -> str:
    """Why a layer cannot be trained through; empty where it can."""
    if sums.dispatch(type(op)) is sums.dispatch(object):
        return f"knows no gradient of a {op.kind} layer; register its class in cnn2rtl.compress.layers.sums"
    if layer.requant is not None and isinstance(op, Resample) and op.sources.constant and op.value != 0:
        return f"cannot put the constant {op.value:g} around a map that it rescales; pad with zeros"
    return ""


class _LookUp(torch.autograd.Function):
    """A table, with the slope between the entries beside each for its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, lowest: int) -> Tensor:
        ctx.save_for_backward(x, table)
        ctx.lowest = lowest
        return table[x.long() % len(table)].to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        x, table = ctx.saved_tensors
        highest = ctx.lowest + len(table) - 1
        above, below = ((x + step).clamp(ctx.lowest, highest).long() for step in (1, -1))
        rise = (table[above % len(table)] - table[below % len(table)]).to(x.dtype)
        return gradients[0] * rise / (above - below).clamp(min=1), None, None


def _padded(x: Tensor, window: Window, border: Tensor) -> Tensor:
    """``x`` with the codes ``border`` around it, (c,) or (1,)."""
    if not window.padded:
        return x
    top, bottom, left, right = window.padding
    value = border.to(x.dtype)[:, None, None]
    return F.pad(x - value, (left, right, top, bottom)) + value
