"""The operators of a float ONNX network that slide a window over a map, or reduce one, in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cnn2rtl.frontend.onnx_operands import Operands
from cnn2rtl.frontend.view import Refused


def _window(o: Operands, x: Tensor, kernel: Sequence[int]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Strides, dilations and padding, before and after, of each spatial dimension."""
    rank = x.ndim - 2
    strides, dilations = (list(o.get(name, [1] * rank)) for name in ("strides", "dilations"))
    auto = o.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        pads = []
        for size, stride, dilation, length in zip(x.shape[2:], strides, dilations, kernel, strict=True):
            total = max((-(-size // stride) - 1) * stride + (length - 1) * dilation + 1 - size, 0)
            more, less = -(-total // 2), total // 2
            pads.append((less, more) if auto == "SAME_UPPER" else (more, less))
    else:
        given = list(o.get("pads", [0] * 2 * rank)) if auto == "NOTSET" else [0] * 2 * rank
        pads = list(zip(given[:rank], given[rank:], strict=True))
    if min(min(pair) for pair in pads) < 0 or min(strides) < 1:
        raise Refused("has a stride of 0, or negative padding")
    return strides, dilations, pads


def _padded(
    x: Tensor, pads: Sequence[tuple[int, int]], value: float, most: Sequence[int] = ()
) -> tuple[Tensor, list[int]]:
    """``x`` with the padding that is not the same on both sides, and what is left for the operator itself.

    Beyond ``most`` torch has none.
    """
    least = zip((before for before, _ in pads), most or (before for before, _ in pads), strict=True)
    if all(before == after for before, after in pads) and all(pad <= limit for pad, limit in least):
        return x, [before for before, _ in pads]
    around = [size for pair in reversed(pads) for size in pair]
    return F.pad(x, around, value=value), [0] * len(pads)


def _spatial(x: Tensor, *of_rank: Callable[..., Any]) -> Callable[..., Any]:
    """The first for (n, c, l), the second for (n, c, h, w)."""
    if x.ndim not in (3, 4):
        raise Refused(f"works on {x.ndim} dimensions; (n, c, h, w) and (n, c, l) are supported")
    return of_rank[x.ndim - 3]


def _check_kernel(o: Operands, weight: Tensor) -> None:
    told = list(o.get("kernel_shape", weight.shape[2:]))
    if told != list(weight.shape[2:]):
        raise Refused(f"kernel_shape is {told}, and its weights are {list(weight.shape)}")


def conv(o: Operands) -> Tensor:
    """As `conv2d` or `conv1d`."""
    x, weight = o.tensor(), o.tensor(1)
    strides, dilations, pads = _window(o, x, weight.shape[2:])
    x, padding = _padded(x, pads, 0.0)
    _check_kernel(o, weight)
    result: Tensor = _spatial(x, F.conv1d, F.conv2d)(
        x, weight, o.optional(2), strides, padding, dilations, o.get("group", 1)
    )
    return result


def conv_transpose(o: Operands) -> Tensor:
    """As `conv_transpose2d`."""
    x, weight = o.tensor(), o.tensor(1)
    rank = x.ndim - 2
    strides, dilations, pads = _window(o, x, weight.shape[2:])
    extra = list(o.get("output_padding", [0] * rank))
    told = o.get("output_shape", None)
    if told is not None or o.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        wanted = list(told or [size * s for size, s in zip(x.shape[2:], strides, strict=True)])[-rank:]
        pads = []
        for size, stride, dilation, length, more, out in zip(
            x.shape[2:], strides, dilations, weight.shape[2:], extra, wanted, strict=True
        ):
            total = (size - 1) * stride + more + (length - 1) * dilation + 1 - out
            upper = o.get("auto_pad", "NOTSET") == "SAME_UPPER"
            pads.append((total // 2, total - total // 2) if upper else (total - total // 2, total // 2))
    _check_kernel(o, weight)
    transpose = _spatial(x, F.conv_transpose1d, F.conv_transpose2d)
    # What one side is to lose more than the other is cut off behind it.
    least = [max(min(pair), 0) for pair in pads]
    result: Tensor = transpose(x, weight, o.optional(2), strides, least, extra, o.get("group", 1), dilations)
    for axis, ((before, after), both) in enumerate(zip(pads, least, strict=True), 2):
        size = result.shape[axis] - (before - both) - (after - both)
        result = result.narrow(axis, before - both, size)
    return result


def max_pool(o: Operands) -> Tensor:
    """As `max_pool2d`."""
    x, kernel = o.tensor(), o.get("kernel_shape", [])
    if any(o.outputs[1:]):
        raise Refused("the indices of a pooling are not supported; leave its second output out")
    o.ignore("storage_order")  # of the indices
    strides, dilations, pads = _window(o, x, kernel)
    x, padding = _padded(x, pads, -inf, [size // 2 for size in kernel])
    result: Tensor = _spatial(x, F.max_pool1d, F.max_pool2d)(
        x, kernel, strides, padding, dilations, bool(o.get("ceil_mode", 0))
    )
    return result


def average_pool(o: Operands) -> Tensor:
    """As `avg_pool2d`."""
    x, kernel = o.tensor(), o.get("kernel_shape", [])
    strides, dilations, pads = _window(o, x, kernel)
    ceil, counted = bool(o.get("ceil_mode", 0)), bool(o.get("count_include_pad", 0))
    if any(dilation != 1 for dilation in dilations):
        raise Refused("dilation of an average is not supported; a convolution of constant weights is")
    if not counted and any(before != after for before, after in pads):
        raise Refused("other padding on one side than on the other needs count_include_pad=1")
    x, padding = _padded(x, pads, 0.0, [size // 2 for size in kernel] if counted else ())
    result: Tensor = _spatial(x, F.avg_pool1d, F.avg_pool2d)(x, kernel, strides, padding, ceil, counted)
    return result


def global_average_pool(o: Operands) -> Tensor:
    """As `mean` over the map."""
    return o.tensor().mean(tuple(range(2, o.tensor().ndim)), keepdim=True)


def global_max_pool(o: Operands) -> Tensor:
    """As `amax` over the map."""
    return o.tensor().amax(tuple(range(2, o.tensor().ndim)), keepdim=True)


def _reduced(o: Operands, reduce: Callable[..., Tensor]) -> Tensor:
    x, axes, keep = o.tensor(), o.integers(1, "axes"), bool(o.get("keepdims", 1))
    if not axes and o.get("noop_with_empty_axes", 0):
        return x
    axes = [o.beside_batch(axis, x.ndim) for axis in axes or range(x.ndim)]
    result: Tensor = reduce(x, tuple(axes), keepdim=keep)
    return result


def reduce_mean(o: Operands) -> Tensor:
    """As `mean`."""
    return _reduced(o, torch.mean)


def reduce_sum(o: Operands) -> Tensor:
    """As `sum`."""
    return _reduced(o, torch.sum)


def reduce_max(o: Operands) -> Tensor:
    """As `amax`."""
    return _reduced(o, torch.amax)


def reduce_min(o: Operands) -> Tensor:
    """As `amax` of what is negated, negated."""
    return _reduced(o, lambda x, axes, keepdim: -torch.amax(-x, axes, keepdim=keepdim))


def reduce_l1(o: Operands) -> Tensor:
    """As `sum` of `abs`."""
    return _reduced(o, lambda x, axes, keepdim: torch.sum(torch.abs(x), axes, keepdim=keepdim))


def reduce_sum_square(o: Operands) -> Tensor:
    """As `sum` of squares."""
    return _reduced(o, lambda x, axes, keepdim: torch.sum(torch.square(x), axes, keepdim=keepdim))


def reduce_l2(o: Operands) -> Tensor:
    """As `sqrt` of the `sum` of squares."""
    return torch.sqrt(reduce_sum_square(o))
