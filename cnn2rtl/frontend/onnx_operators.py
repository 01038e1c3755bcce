"""The operators of a float ONNX network, each in torch: see :mod:`cnn2rtl.frontend.onnx_float`.

What they mean: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cnn2rtl.frontend.view import Refused


@dataclass(frozen=True, eq=False)
class Operands:
    """What an operator is applied to: its inputs, those of them that are constants, by position, and its attributes."""

    values: Sequence[Tensor | np.ndarray | None]
    fixed: Mapping[int, np.ndarray]
    attributes: Mapping[str, Any]
    outputs: int

    def given(self, position: int) -> bool:
        return position < len(self.values) and self.values[position] is not None

    def tensor(self, position: int = 0) -> Tensor:
        value = self.values[position] if position < len(self.values) else None
        if isinstance(value, np.ndarray):
            return torch.from_numpy(value)
        # The checker has seen to it that what an operator needs is there.
        assert value is not None, position
        return value

    def optional(self, position: int) -> Tensor | None:
        return self.tensor(position) if self.given(position) else None

    def integers(self, position: int, attribute: str = "") -> list[int] | None:
        """A constant input, or an attribute of older opsets, as integers; ``None`` where there is neither."""
        if not self.given(position):
            found = self.attributes.get(attribute)
            return None if found is None else list(np.atleast_1d(found).tolist())
        return [int(number) for number in np.atleast_1d(self.constant(position)).tolist()]

    def constant(self, position: int) -> np.ndarray:
        if position not in self.fixed:
            raise Refused(f"its input {position} is computed; it must be a constant")
        return self.fixed[position]

    def number(self, position: int, default: float) -> float:
        """A constant input as one number."""
        if not self.given(position):
            return default
        value = self.constant(position)
        if value.size != 1:
            raise Refused(f"its input {position} has {value.size} values; one is supported")
        return float(value.item())

    def get(self, name: str, default: Any) -> Any:
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value


Operator = Callable[[Operands], Any]


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


def _padded(x: Tensor, pads: Sequence[tuple[int, int]], value: float) -> tuple[Tensor, list[int]]:
    """``x`` with the padding that is not the same on both sides, and what is left for the operator itself."""
    if all(before == after for before, after in pads):
        return x, [before for before, _ in pads]
    around = [size for pair in reversed(pads) for size in pair]
    return F.pad(x, around, value=value), [0] * len(pads)


def conv(o: Operands) -> Tensor:
    """As `conv2d` or `conv1d`."""
    x, weight = o.tensor(), o.tensor(1)
    strides, dilations, pads = _window(o, x, weight.shape[2:])
    x, padding = _padded(x, pads, 0.0)
    convolve = {1: F.conv1d, 2: F.conv2d}.get(x.ndim - 2)
    if convolve is None:
        raise Refused(f"works on {x.ndim} dimensions; (n, c, h, w) and (n, c, l) are supported")
    result: Tensor = convolve(x, weight, o.optional(2), strides, padding, dilations, o.get("group", 1))
    return result


def conv_transpose(o: Operands) -> Tensor:
    """As `conv_transpose2d`."""
    x, weight = o.tensor(), o.tensor(1)
    rank = x.ndim - 2
    strides, dilations, pads = _window(o, x, weight.shape[2:])
    extra = list(o.get("output_padding", [0] * rank))
    if "output_shape" in o.attributes or o.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        wanted = list(o.get("output_shape", [size * s for size, s in zip(x.shape[2:], strides, strict=True)]))[-rank:]
        pads = []
        for size, stride, dilation, length, more, out in zip(
            x.shape[2:], strides, dilations, weight.shape[2:], extra, wanted, strict=True
        ):
            total = (size - 1) * stride + more + (length - 1) * dilation + 1 - out
            upper = o.get("auto_pad", "NOTSET") == "SAME_UPPER"
            pads.append((total // 2, total - total // 2) if upper else (total - total // 2, total // 2))
    transpose = {1: F.conv_transpose1d, 2: F.conv_transpose2d}.get(rank)
    if transpose is None:
        raise Refused(f"works on {x.ndim} dimensions; (n, c, h, w) and (n, c, l) are supported")
    # What one side is to lose more than the other is cut off behind it.
    least = [max(min(pair), 0) for pair in pads]
    result: Tensor = transpose(x, weight, o.optional(2), strides, least, extra, o.get("group", 1), dilations)
    for axis, ((before, after), both) in enumerate(zip(pads, least, strict=True), 2):
        size = result.shape[axis] - (before - both) - (after - both)
        result = result.narrow(axis, before - both, size)
    return result


def gemm(o: Operands) -> Tensor:
    """As `linear`."""
    a, b = o.tensor(), o.tensor(1)
    if o.get("transA", 0):
        raise Refused("transA is not supported: it would mix the images of a batch")
    weight = (b if o.get("transB", 0) else b.T) * o.get("alpha", 1.0)
    bias = o.optional(2)
    return F.linear(a, weight, None if bias is None else bias.reshape(-1) * o.get("beta", 1.0))


def matmul(o: Operands) -> Tensor:
    """As `matmul`."""
    return torch.matmul(o.tensor(), o.tensor(1))


def batch_norm(o: Operands) -> Tensor:
    """As `batch_norm`."""
    scale, bias, mean, var = (o.tensor(position) for position in range(1, 5))
    return F.batch_norm(o.tensor(), mean, var, scale, bias, False, eps=o.get("epsilon", 1e-5))


def max_pool(o: Operands) -> Tensor:
    """As `max_pool2d`."""
    x, kernel = o.tensor(), o.attributes["kernel_shape"]
    if o.outputs > 1:
        raise Refused("the indices of a pooling are not supported")
    strides, dilations, pads = _window(o, x, kernel)
    x, padding = _padded(x, pads, -inf)
    pool = {1: F.max_pool1d, 2: F.max_pool2d}[x.ndim - 2]
    result: Tensor = pool(x, kernel, strides, padding, dilations, bool(o.get("ceil_mode", 0)))
    return result


def average_pool(o: Operands) -> Tensor:
    """As `avg_pool2d`."""
    x, kernel = o.tensor(), o.attributes["kernel_shape"]
    strides, dilations, pads = _window(o, x, kernel)
    ceil, counted = bool(o.get("ceil_mode", 0)), bool(o.get("count_include_pad", 0))
    if any(dilation != 1 for dilation in dilations):
        raise Refused("dilation of an average is not supported")
    if not counted and any(before != after for before, after in pads):
        raise Refused("other padding on one side than on the other needs count_include_pad=1")
    x, padding = _padded(x, pads, 0.0)
    pool: Any = {1: F.avg_pool1d, 2: F.avg_pool2d}[x.ndim - 2]
    result: Tensor = pool(x, kernel, strides, padding, ceil, counted)
    return result


def global_average_pool(o: Operands) -> Tensor:
    """As `mean` over the map."""
    return o.tensor().mean(tuple(range(2, o.tensor().ndim)), keepdim=True)


def global_max_pool(o: Operands) -> Tensor:
    """As `amax` over the map."""
    return o.tensor().amax(tuple(range(2, o.tensor().ndim)), keepdim=True)


def _reduced(o: Operands, reduce: Callable[..., Tensor]) -> Tensor:
    x, axes = o.tensor(), o.integers(1, "axes")
    if not axes:
        if o.get("noop_with_empty_axes", 0):
            return x
        axes = list(range(x.ndim))
    result: Tensor = reduce(x, tuple(axes), keepdim=bool(o.get("keepdims", 1)))
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


def clip(o: Operands) -> Tensor:
    """As `clamp`."""
    low, high = o.number(1, -inf), o.number(2, inf)
    return torch.clamp(o.tensor(), None if low == -inf else low, None if high == inf else high)


def leaky_relu(o: Operands) -> Tensor:
    """As `leaky_relu`."""
    return F.leaky_relu(o.tensor(), o.get("alpha", 0.01))


def prelu(o: Operands) -> Tensor:
    """As `prelu`."""
    return F.prelu(o.tensor(), o.tensor(1).reshape(-1))


def elu(o: Operands) -> Tensor:
    """As `elu`."""
    return F.elu(o.tensor(), o.get("alpha", 1.0))


def celu(o: Operands) -> Tensor:
    """As `celu`."""
    return F.celu(o.tensor(), o.get("alpha", 1.0))


def selu(o: Operands) -> Tensor:
    """As `elu`, with two factors."""
    alpha, gamma = o.get("alpha", 1.6732632423543772), o.get("gamma", 1.0507009873554805)
    result: Tensor = torch.ops.aten.elu(o.tensor(), alpha, gamma, 1.0)
    return result


def hard_sigmoid(o: Operands) -> Tensor:
    """As `clamp` of a line."""
    return torch.clamp(o.tensor() * o.get("alpha", 0.2) + o.get("beta", 0.5), 0.0, 1.0)


def gelu(o: Operands) -> Tensor:
    """As `gelu`."""
    return F.gelu(o.tensor(), approximate=o.get("approximate", "none"))


def thresholded_relu(o: Operands) -> Tensor:
    """As `threshold`."""
    return F.threshold(o.tensor(), o.get("alpha", 1.0), 0.0)


def swish(o: Operands) -> Tensor:
    """As `silu`; with a factor, as its product with a sigmoid."""
    alpha = o.get("alpha", 1.0)
    return F.silu(o.tensor()) if alpha == 1.0 else o.tensor() * torch.sigmoid(o.tensor() * alpha)


def shrink(o: Operands) -> Tensor:
    """As `softshrink` or `hardshrink`."""
    lambd, bias = o.get("lambd", 0.5), o.get("bias", 0.0)
    if bias not in (0.0, lambd):
        raise Refused(f"bias {bias} is not supported; 0 and lambd are")
    return F.softshrink(o.tensor(), lambd) if bias else F.hardshrink(o.tensor(), lambd)


def softmax(o: Operands) -> Tensor:
    """As `softmax`."""
    return F.softmax(o.tensor(), o.get("axis", -1))


def log_softmax(o: Operands) -> Tensor:
    """As `log_softmax`."""
    return F.log_softmax(o.tensor(), o.get("axis", -1))


def argmax(o: Operands) -> Tensor:
    """As `argmax`."""
    if o.get("select_last_index", 0):
        raise Refused("select_last_index is not supported; the first of equals counts")
    return torch.argmax(o.tensor(), o.get("axis", 0), bool(o.get("keepdims", 1)))


def power(o: Operands) -> Tensor:
    """As `pow`."""
    return torch.pow(o.tensor(), o.number(1, 1.0))


def total(o: Operands) -> Tensor:
    """As `add`."""
    result = o.tensor()
    for position in range(1, len(o.values)):
        result = result + o.tensor(position)
    return result


def _bound(o: Operands) -> tuple[Tensor, float]:
    """The one tensor of two, and the number that bounds it."""
    ((position, bound),) = o.fixed.items() if len(o.fixed) == 1 else ((0, np.zeros(0)),)
    if len(o.values) != 2 or bound.size != 1:
        raise Refused("is supported of a map and a number")
    return o.tensor(1 - position), float(bound.item())


def maximum(o: Operands) -> Tensor:
    """As `clamp`, with a number."""
    x, bound = _bound(o)
    return torch.clamp(x, min=bound)


def minimum(o: Operands) -> Tensor:
    """As `clamp`, with a number."""
    x, bound = _bound(o)
    return torch.clamp(x, max=bound)


def cast(o: Operands) -> Tensor:
    """Nothing, to a float."""
    if o.attributes["to"] not in (1, 10, 11, 16):
        raise Refused("is supported to floats alone")
    return o.tensor()


def identity(o: Operands) -> Tensor:
    """Nothing."""
    return o.tensor()
