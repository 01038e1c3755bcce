"""The operators of a float ONNX network, each in torch: see :mod:`cnn2rtl.frontend.onnx_float`.

What they mean: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cnn2rtl.frontend.onnx_operands import Operands
from cnn2rtl.frontend.view import Refused


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
        raise Refused("is supported to floats alone; leave it out")
    value = o.tensor()
    return value if value.is_floating_point() else value.to(torch.float32)


def cast_like(o: Operands) -> Tensor:
    """Nothing, to a float."""
    o.ignore("saturate", "round_mode")
    if not o.tensor(1).is_floating_point():
        raise Refused("is supported to floats alone; leave it out")
    return o.tensor()


def dropout(o: Operands) -> Tensor:
    """Nothing."""
    o.ignore("ratio", "seed")
    if o.given(2) and bool(o.constant(2)):
        raise Refused("training_mode is set; export the network for inference, after model.eval()")
    if any(o.outputs[1:]):
        raise Refused("its mask is not supported; leave its second output out")
    return o.tensor()


def identity(o: Operands) -> Tensor:
    """Nothing."""
    return o.tensor()
