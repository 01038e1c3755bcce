"""The front-end table: how each ATen operator becomes a layer of the float graph.

To add an operator, write a function from :class:`Call` to an :class:`Op` (or to a :class:`Clamp`, for
an activation) that raises :class:`Refused` for what it cannot do, and give it a line in ``CONVERTERS``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, prod

import numpy as np

from cnn2rtl.frontend.call import Call, Map, Refused
from cnn2rtl.graph import Clamp, FloatArray
from cnn2rtl.ops import Add, Affine, AvgPool2d, Concat, Conv2d, Flatten, Identity, Linear, MaxPool2d, Op, Window

Converter = Callable[[Call], Op | Clamp]


def conv2d(call: Call) -> Op:
    # A transposed convolution's weights are the other way round: nothing below would fit it.
    if call.args.get("transposed"):
        raise Refused("transposed convolution is not supported")
    call.image  # noqa: B018 - refuses other ranks
    weight = call.required("weight")
    dilation = call.pair("dilation", (1, 1))
    if dilation != (1, 1):
        raise Refused(f"dilation {dilation[0]}x{dilation[1]} is not supported; use dilation=1")
    kernel = (weight.shape[2], weight.shape[3])
    bias = call.constant("bias")
    return Conv2d(
        weight=weight,
        bias=np.zeros(weight.shape[0]) if bias is None else bias,
        window=Window(kernel, call.pair("stride", (1, 1)), _conv_padding(call, kernel)),
        groups=int(call.args["groups"]),
        biased=bias is not None,
    )


def _conv_padding(call: Call, kernel: tuple[int, int]) -> tuple[int, int, int, int]:
    if call.args["padding"] == "valid":
        return (0, 0, 0, 0)
    if call.args["padding"] == "same":
        # An even kernel needs an odd number of pixels; torch puts the extra one below and to the right.
        (ky, kx) = kernel
        return ((ky - 1) // 2, ky // 2, (kx - 1) // 2, kx // 2)
    return _padding(call)


def _padding(call: Call) -> tuple[int, int, int, int]:
    y, x = call.pair("padding", (0, 0))
    return (y, y, x, x)


def batch_norm(call: Call) -> Op:
    mean, var = call.constant("running_mean"), call.constant("running_var")
    if mean is None or var is None:
        raise Refused("BatchNorm without running statistics; train it with track_running_stats=True")
    if call.args.get("training"):
        raise Refused("BatchNorm in training mode; call model.eval() before torch.export.export")
    if len(call.source.dims) not in (1, 3):
        raise Refused("BatchNorm over (n, c, l) is not supported; only over (n, c, h, w) and (n, c)")
    weight, bias = call.constant("weight"), call.constant("bias")
    trained = sum(array.size for array in (weight, bias) if array is not None)
    weight = np.ones_like(mean) if weight is None else weight
    bias = np.zeros_like(mean) if bias is None else bias
    scale = weight / np.sqrt(var + float(call.args["eps"]))
    return Affine(scale, bias - mean * scale, mean_out=bias, std_out=np.abs(weight), trained=trained)


def relu(call: Call) -> Clamp:
    return Clamp(0.0, inf)


def relu6(call: Call) -> Clamp:
    return Clamp(0.0, 6.0)


def hardtanh(call: Call) -> Clamp:
    return _clamp(call.args["min_val"], call.args["max_val"])


def clamp(call: Call) -> Clamp:
    return _clamp(call.args.get("min"), call.args.get("max"))


def _clamp(lo: object, hi: object) -> Clamp:
    bounds = [default if bound is None else bound for bound, default in ((lo, -inf), (hi, inf))]
    if not all(isinstance(bound, (int, float)) for bound in bounds):
        raise Refused("only constant bounds are supported")
    return Clamp(*(float(bound) for bound in bounds))  # type: ignore[arg-type]


def max_pool2d(call: Call) -> Op:
    if call.pair("dilation", (1, 1)) != (1, 1):
        raise Refused("dilation is not supported in pooling; use dilation=1")
    kernel = call.pair("kernel_size")
    return MaxPool2d(_pool_window(call, kernel))


def avg_pool2d(call: Call) -> Op:
    kernel = call.pair("kernel_size")
    window = _pool_window(call, kernel)
    if window.padded and not call.args["count_include_pad"]:
        raise Refused("padding with count_include_pad=False is not supported; use count_include_pad=True or padding=0")
    if call.args.get("divisor_override") not in (None, window.taps):
        raise Refused("divisor_override is not supported")
    return AvgPool2d(window)


def _pool_window(call: Call, kernel: tuple[int, int]) -> Window:
    _, height, width = call.image.shape
    window = Window(kernel, call.pair("stride", kernel), _padding(call))
    # ceil_mode matters only where the last window would stick out.
    if call.args["ceil_mode"] and window.out_size(height, width) != call.out[1:]:
        raise Refused(f"ceil_mode=True is not supported where windows stick out of the {height}x{width} map")
    return window


def adaptive_avg_pool2d(call: Call) -> Op:
    _, height, width = call.image.shape
    _, rows, columns = call.out
    if height % rows or width % columns:
        raise Refused(f"a {height}x{width} map does not divide into {rows}x{columns} equal windows; use output size 1")
    kernel = (height // rows, width // columns)
    return AvgPool2d(Window(kernel, kernel))


def mean(call: Call) -> Op:
    _, height, width = call.image.shape
    dims = {dim % 4 for dim in call.args["dim"] or ()}
    if dims != {2, 3}:
        raise Refused("only the mean over height and width (dim=(2, 3)) is supported")
    return AvgPool2d(Window((height, width), (height, width)))


def linear(call: Call) -> Op:
    return _linear(call, call.required("weight"), call.constant("bias"))


def addmm(call: Call) -> Op:
    if call.args["alpha"] != 1 or call.args["beta"] != 1:
        raise Refused("alpha and beta other than 1 are not supported")
    return _linear(call, call.required("mat2").T, call.constant("self"))


def mm(call: Call) -> Op:
    return _linear(call, call.required("mat2").T, None)


def _linear(call: Call, weight: FloatArray, bias: FloatArray | None) -> Op:
    if len(call.source.dims) != 1:
        raise Refused(
            f"Linear over the last dimension of a tensor of {1 + len(call.source.dims)} dimensions is not supported; "
            "flatten to (n, features) first, or use a 1x1 Conv2d"
        )
    outputs = weight.shape[0]
    values = np.zeros(outputs) if bias is None else np.broadcast_to(bias, (outputs,)).copy()
    return Linear(np.ascontiguousarray(weight).reshape(*weight.shape, 1, 1), values, biased=bias is not None)


def arithmetic(call: Call) -> Op:
    """``x + k``, ``x - k``, ``k - x``, ``x * k``, ``x / k``, with k one number or one per channel."""
    name = call.operator.split(".")[1]
    left, right = call.args["self"], call.args["other"]
    if isinstance(left, Map) and isinstance(right, Map):
        return _of_two(call, name, left, right)
    if call.args.get("rounding_mode") is not None or call.args.get("alpha", 1) != 1:
        raise Refused("rounding_mode and alpha are not supported")
    swapped = isinstance(right, Map)
    factor = _per_channel(call, "self" if swapped else "other")
    one, zero = np.ones_like(factor), np.zeros_like(factor)
    if name == "mul":
        return Affine(factor, zero)
    if name == "add":
        return Affine(one, factor)
    if name == "rsub" or (name == "sub" and swapped):
        return Affine(-one, factor)
    if name == "sub":
        return Affine(one, -factor)
    if swapped:
        raise Refused("division by a feature map is not supported")
    return Affine(1.0 / factor, zero)


def _of_two(call: Call, name: str, left: Map, right: Map) -> Op:
    """A sum or a difference of two feature maps."""
    if name not in ("add", "sub"):
        raise Refused(f"{name} of two feature maps is not supported; only their sum and their difference are")
    if left.dims != right.dims:
        raise Refused(f"{name} of maps {left.dims} and {right.dims}: both must have one shape")
    factor = float(call.args.get("alpha", 1))
    if factor == 0 or not isfinite(factor):
        raise Refused(f"alpha is {factor:g}; a number that is not 0 is expected")
    return Add((1.0, -factor if name == "sub" else factor))


def concat(call: Call) -> Op:
    maps = call.args["tensors"]
    if not all(isinstance(value, Map) for value in maps):
        raise Refused("joins feature maps with constants, which is not supported")
    dim = call.args["dim"]
    rank = 1 + len(call.out)
    if dim not in (1, 1 - rank):
        raise Refused(f"joins along dimension {dim}; only along the channels (dim=1) is supported")
    return Concat() if len(maps) > 1 else Identity()


def _per_channel(call: Call, name: str) -> FloatArray:
    """Argument ``name`` as one number per channel, (c,)."""
    dims = call.source.dims
    value = call.args[name]
    array = np.asarray(value, np.float64) if isinstance(value, (int, float)) else call.required(name)
    rest = (1,) * (len(dims) - 1)
    if array.size == 1 and call.out == dims:
        return np.full(dims[0], float(array.reshape(())))
    if array.shape[-len(dims) :] != (dims[0], *rest) or array.size != dims[0] or call.out != dims:
        raise Refused("only constants of one number, or of one per channel, are supported")
    return array.reshape(-1)


def reshape(call: Call) -> Op:
    """flatten, view, squeeze and their like, judged by the shapes alone."""
    source, out = call.source, Map("", call.out)
    if len(out.dims) <= 3 and source.shape == out.shape:
        return Identity()
    if out.dims == (prod(source.dims),):
        return Flatten()
    raise Refused(f"changes {source.dims} to {out.dims}; only flattening (c, h, w) to (c*h*w) is supported")


def dropout(call: Call) -> Op:
    if call.args.get("train"):
        raise Refused("dropout in training mode; call model.eval() before torch.export.export")
    return Identity()


def identity(call: Call) -> Op:
    call.source  # noqa: B018 - refuses several inputs
    return Identity()


CONVERTERS: dict[str, Converter] = {
    "aten.conv2d.default": conv2d,
    "aten.conv2d.padding": conv2d,
    "aten.convolution.default": conv2d,
    "aten.batch_norm.default": batch_norm,
    "aten._native_batch_norm_legit_no_training.default": batch_norm,
    "aten.relu.default": relu,
    "aten.relu6.default": relu6,
    "aten.hardtanh.default": hardtanh,
    "aten.clamp.default": clamp,
    "aten.clamp_min.default": clamp,
    "aten.clamp_max.default": clamp,
    "aten.max_pool2d.default": max_pool2d,
    "aten.max_pool2d_with_indices.default": max_pool2d,
    "aten.avg_pool2d.default": avg_pool2d,
    "aten.adaptive_avg_pool2d.default": adaptive_avg_pool2d,
    "aten._adaptive_avg_pool2d.default": adaptive_avg_pool2d,
    "aten.mean.dim": mean,
    "aten.linear.default": linear,
    "aten.addmm.default": addmm,
    "aten.mm.default": mm,
    "aten.add.Tensor": arithmetic,
    "aten.add.Scalar": arithmetic,
    "aten.sub.Tensor": arithmetic,
    "aten.sub.Scalar": arithmetic,
    "aten.rsub.Scalar": arithmetic,
    "aten.cat.default": concat,
    "aten.mul.Tensor": arithmetic,
    "aten.mul.Scalar": arithmetic,
    "aten.div.Tensor": arithmetic,
    "aten.div.Scalar": arithmetic,
    "aten.flatten.using_ints": reshape,
    "aten.view.default": reshape,
    "aten._unsafe_view.default": reshape,
    "aten.reshape.default": reshape,
    "aten.squeeze.default": reshape,
    "aten.squeeze.dim": reshape,
    "aten.squeeze.dims": reshape,
    "aten.unsqueeze.default": reshape,
    "aten.dropout.default": dropout,
    "aten.feature_dropout.default": dropout,
    "aten.alias.default": identity,
    "aten.clone.default": identity,
    "aten.contiguous.default": identity,
    "aten.detach.default": identity,
    "aten.to.dtype": identity,
    "aten.to.dtype_layout": identity,
    "aten.to.device": identity,
    "aten._to_copy.default": identity,
}
"""ATen overload -> converter."""

_ACTIVATION = "use ReLU, ReLU6 or Hardtanh"
_TRAINING = "call model.eval() before torch.export.export"
_SOFTMAX = "leave it out: the largest output stays the largest"

HINTS: dict[str, str] = {
    **dict.fromkeys(("silu", "gelu", "leaky_relu", "prelu", "elu", "selu", "softplus", "mish", "tanh"), _ACTIVATION),
    **dict.fromkeys(("sigmoid", "hardswish", "hardsigmoid", "log_sigmoid_forward"), _ACTIVATION),
    **dict.fromkeys(("softmax", "log_softmax", "_softmax", "_log_softmax"), _SOFTMAX),
    **dict.fromkeys(("layer_norm", "group_norm", "instance_norm", "native_layer_norm"), "use BatchNorm2d"),
    **dict.fromkeys(("_native_batch_norm_legit_functional", "native_dropout"), _TRAINING),
    **dict.fromkeys(("conv_transpose2d", "upsample_nearest2d", "upsample_bilinear2d"), "only downscaling is supported"),
    **dict.fromkeys(("conv1d", "conv3d", "max_pool1d", "avg_pool1d", "max_pool3d"), "use the 2d layer"),
    **dict.fromkeys(("pad", "constant_pad_nd", "zero_pad2d"), "give the padding to the convolution"),
    **dict.fromkeys(("permute", "transpose"), "keep the order (n, c, h, w)"),
    "argmax": "leave it out; --class-index adds a layer that delivers the index",
    "adaptive_max_pool2d": "use MaxPool2d with the window's size",
}
"""What to use in place of an operator that has no converter, by its name."""

SUPPORTED = (
    "supported are Conv2d, BatchNorm, ReLU, ReLU6, Hardtanh/clamp, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, Linear, "
    "Flatten, Dropout, adding or multiplying by a constant, and adding or concatenating feature maps"
)
