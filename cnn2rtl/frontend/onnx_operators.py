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

from cnn2rtl.frontend.onnx_attributes import Attributes
from cnn2rtl.frontend.view import Refused


@dataclass(frozen=True, eq=False)
class Operands:
    """What an operator is applied to: its inputs, those of them that are constants, by position, and its attributes.

    ``outputs`` tells which of its outputs anything reads; ``since`` is the opset that brought the operator's form;
    ``single`` says that the file is of one image.
    """

    values: Sequence[Tensor | np.ndarray | None]
    fixed: Mapping[int, np.ndarray]
    attributes: Attributes
    outputs: Sequence[bool]
    since: int
    single: bool

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

    def number(self, position: int, default: float, attribute: str = "") -> float:
        """A constant input, or an attribute of older opsets, as one number."""
        if not self.given(position):
            return float(self.attributes.get(attribute, default)) if attribute else default
        value = self.constant(position)
        if value.size != 1:
            raise Refused(f"its input {position} has {value.size} values; one is supported")
        return float(value.item())

    def axis(self, default: int, dims: int | None = None) -> int:
        """The attribute `axis`, counted from the front; raises :class:`Refused` for the batch."""
        return self.beside_batch(self.get("axis", default), dims or self.tensor().ndim)

    def beside_batch(self, axis: int, dims: int) -> int:
        """``axis`` counted from the front; raises :class:`Refused` for the batch."""
        if axis % dims == 0:
            raise Refused("works along the batch, its first dimension; images must stay apart")
        return axis % dims

    def get(self, name: str, default: Any) -> Any:
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def ignore(self, *names: str) -> None:
        """These attributes change nothing here."""
        for name in names:
            self.attributes.get(name)


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


def gemm(o: Operands) -> Tensor:
    """As `linear`."""
    a, b = o.tensor(), o.tensor(1)
    if o.get("transA", 0):
        raise Refused("transA is not supported: it would mix the images of a batch")
    weight = (b if o.get("transB", 0) else b.T) * o.get("alpha", 1.0)
    bias, beta = o.optional(2), o.get("beta", 1.0)
    if bias is None:
        return F.linear(a, weight)
    if bias.ndim == 2 and bias.shape[0] != 1:
        raise Refused("adds another bias to every image of a batch; one for all is supported")
    return F.linear(a, weight, (bias.reshape(-1) * beta).expand(weight.shape[0]))


def matmul(o: Operands) -> Tensor:
    """As `matmul`."""
    return torch.matmul(o.tensor(), o.tensor(1))


def batch_norm(o: Operands) -> Tensor:
    """As `batch_norm`."""
    o.ignore("momentum")
    if o.get("spatial", 1) != 1:
        raise Refused("spatial=0, statistics for every pixel, is not supported")
    scale, bias, mean, var = (o.tensor(position) for position in range(1, 5))
    return F.batch_norm(o.tensor(), mean, var, scale, bias, False, eps=o.get("epsilon", 1e-5))


def max_pool(o: Operands) -> Tensor:
    """As `max_pool2d`."""
    x, kernel = o.tensor(), o.get("kernel_shape", [])
    if any(o.outputs[1:]):
        raise Refused("the indices of a pooling are not supported")
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
        raise Refused("dilation of an average is not supported")
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


def clip(o: Operands) -> Tensor:
    """As `clamp`."""
    low, high = o.number(1, -inf, "min"), o.number(2, inf, "max")
    return torch.clamp(o.tensor(), None if low == -inf else low, None if high == inf else high)


def leaky_relu(o: Operands) -> Tensor:
    """As `leaky_relu`."""
    return F.leaky_relu(o.tensor(), o.get("alpha", 0.01))


def prelu(o: Operands) -> Tensor:
    """As `prelu`, with one slope or one for each channel."""
    x, slope = o.tensor(), o.tensor(1)
    # Slopes meet the map as numpy broadcasts, from the last dimension on.
    sizes = [1] * (x.ndim - slope.ndim) + list(slope.shape)
    if slope.numel() == 1 or (len(sizes) == x.ndim and sizes[1] == slope.numel()):
        return F.prelu(x, slope.reshape(-1))
    raise Refused(
        f"its slopes are {list(slope.shape)}, others for every pixel; one, or one for each channel, is supported"
    )


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


def _over_classes(o: Operands, function: Callable[[Tensor, int], Tensor]) -> Tensor:
    x = o.tensor()
    if o.since >= SOFTMAX_ALONG_AN_AXIS:
        return function(x, o.axis(-1))
    # All dimensions from the axis on are one.
    axis = o.axis(1)
    if x.shape[axis] == x[(0,) * axis].numel():
        return function(x, axis)
    return function(x.flatten(axis), -1).reshape(x.shape)


SOFTMAX_ALONG_AN_AXIS = 13
"""The opset since which its axis is the only one that it works along."""


def softmax(o: Operands) -> Tensor:
    """As `softmax`."""
    return _over_classes(o, F.softmax)


def log_softmax(o: Operands) -> Tensor:
    """As `log_softmax`."""
    return _over_classes(o, F.log_softmax)


def argmax(o: Operands) -> Tensor:
    """As `argmax`."""
    if o.get("select_last_index", 0):
        raise Refused("select_last_index is not supported; the first of equals counts")
    return torch.argmax(o.tensor(), o.axis(0), bool(o.get("keepdims", 1)))


def power(o: Operands) -> Tensor:
    """As `pow`."""
    return torch.pow(o.tensor(), o.number(1, 1.0))


def total(o: Operands) -> Tensor:
    """As `add`."""
    result = o.tensor()
    for position in range(1, len(o.values)):
        result = result + o.tensor(position)
    return result


def mean_of_all(o: Operands) -> Tensor:
    """As `add`, and `div` by their number."""
    return total(o) / len(o.values)


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
    o.ignore("saturate", "round_mode")
    if o.get("to", 0) not in (1, 10, 11, 16):
        raise Refused("is supported to floats alone")
    value = o.tensor()
    return value if value.is_floating_point() else value.to(torch.float32)


def cast_like(o: Operands) -> Tensor:
    """Nothing, to a float."""
    o.ignore("saturate", "round_mode")
    if not o.tensor(1).is_floating_point():
        raise Refused("is supported to floats alone")
    return o.tensor()


def dropout(o: Operands) -> Tensor:
    """Nothing."""
    o.ignore("ratio", "seed")
    if o.given(2) and bool(o.constant(2)):
        raise Refused("training_mode is set; export the network for inference, after model.eval()")
    if any(o.outputs[1:]):
        raise Refused("its mask is not supported")
    return o.tensor()


def identity(o: Operands) -> Tensor:
    """Nothing."""
    return o.tensor()
