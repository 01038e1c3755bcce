"""What every layer kind adds up, in torch: the sums that ``Op.integer`` makes in numpy, with gradients.

Maps are (n, c, h, w) here, integers that floats hold exactly. A kind is told by its class: one that does not register
in :func:`sums` cannot be trained through.
"""

from __future__ import annotations

from functools import singledispatch

import torch
from torch import Tensor
from torch.nn import functional as F

from cnn2rtl.ops import ArgMax, AvgPool2d, Conv2d, DepthwiseConv2d, Linear, MaxPool2d, Op, Rescale, Window


@singledispatch
def sums(op: Op, x: Tensor, weight: Tensor, border: Tensor) -> Tensor:
    """What ``op`` makes of codes ``x`` before it adds a bias and requantises, (n, c_out, h_out, w_out).

    ``weight`` are codes in the shape of the op's own weight, ``border``, (c_in,) or (1,), the codes around the map:
    where the kind has none, neither matters. Exact, as long as the type of ``x`` holds every sum.
    """
    raise TypeError(f"a {op.kind} layer is not among those that can be trained through")


@sums.register
def _(op: Conv2d, x: Tensor, weight: Tensor, border: Tensor) -> Tensor:
    return F.conv2d(
        _padded(x, op.window, border), weight, stride=op.window.stride, dilation=op.window.dilation, groups=op.groups
    )


@sums.register
def _(op: DepthwiseConv2d, x: Tensor, weight: Tensor, border: Tensor) -> Tensor:
    padded = _padded(x, op.window, border)
    window, groups = op.window, weight.shape[0]
    return F.conv2d(padded, weight[:, None], stride=window.stride, dilation=window.dilation, groups=groups)


@sums.register
def _(op: Linear, x: Tensor, weight: Tensor, border: Tensor) -> Tensor:
    return F.linear(x.flatten(1), weight.flatten(1))[:, :, None, None]


@sums.register
def _(op: AvgPool2d, x: Tensor, weight: Tensor, border: Tensor) -> Tensor:
    padded = _padded(x, op.window, torch.zeros(1, dtype=x.dtype))
    return F.avg_pool2d(padded, op.window.kernel, op.window.stride, divisor_override=1)


@sums.register
def _(op: MaxPool2d, x: Tensor, weight: Tensor, border: Tensor) -> Tensor:
    # No code is as low as this, so the border never wins.
    return F.max_pool2d(
        _padded(x, op.window, x.new_full((1,), -(2.0**17))),
        op.window.kernel,
        op.window.stride,
        dilation=op.window.dilation,
    )


@sums.register
def _(op: Rescale, x: Tensor, weight: Tensor, border: Tensor) -> Tensor:
    return x


@sums.register
def _(op: ArgMax, x: Tensor, weight: Tensor, border: Tensor) -> Tensor:
    return x.argmax(1, keepdim=True).to(x.dtype)


def _padded(x: Tensor, window: Window, border: Tensor) -> Tensor:
    """``x`` with the codes ``border`` around it, (c,) or (1,)."""
    if not window.padded:
        return x
    top, bottom, left, right = window.padding
    value = border.to(x.dtype)[:, None, None]
    return F.pad(x - value, (left, right, top, bottom)) + value
