"""The operators of a quantised ONNX network, each as one of our layers: see :mod:`cnn2rtl.frontend.qdq`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from cnn2rtl.finite import REMEDY, not_finite
from cnn2rtl.frontend.call import Refused
from cnn2rtl.frontend.onnx_file import OnnxCall
from cnn2rtl.ops import (
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    DepthwiseConv2d,
    Identity,
    Linear,
    MaxPool2d,
    Multiply,
    Op,
    Rescale,
    Table,
    Window,
)
from cnn2rtl.ops.weighted import Weighted
from cnn2rtl.quant.layers import QuantLayer
from cnn2rtl.quant.qformat import IntArray, QFormat, signed_bits
from cnn2rtl.quant.weighted import with_weights, zero_share
from cnn2rtl.tensors import Clamp, FloatArray, Shape

ANY = Clamp()


def along(scale: np.ndarray, axis: int, dims: int) -> np.ndarray:
    """``scale``, of one value or one for each channel along ``axis``, as it meets an array of ``dims`` dimensions."""
    columns = [-1 if i == axis % dims else 1 for i in range(dims)]
    return scale.reshape(columns if scale.size > 1 else ())


@dataclass(frozen=True, eq=False)
class Constant:
    """Numbers of the file: with a ``scale``, of one value or (channels along ``axis``,), integers; without, reals."""

    values: np.ndarray
    scale: np.ndarray | None = None
    axis: int = 1

    @property
    def reals(self) -> FloatArray:
        """As the file means them."""
        if self.scale is None:
            return self.values.astype(np.float64)
        reals: FloatArray = self.values * along(self.scale, self.axis, self.values.ndim)
        return reals


@dataclass(frozen=True)
class Image:
    """An input of the network, in reals: the file's ``name`` of it, and the graph's ``node``."""

    node: str
    name: str


@dataclass(frozen=True, eq=False)
class Codes:
    """A quantised tensor: what the layer ``node`` makes, in codes of ``format``.

    ``file`` is its format in the file, where pixels have another scale than here. ``flat`` says that it is
    (n, c * h * w) to the file.
    """

    node: str
    format: QFormat
    file: QFormat
    shape: Shape
    flat: bool = False

    @property
    def gain(self) -> float:
        """What a real of ours is in the file."""
        return self.file.coarsest / self.format.coarsest


@dataclass(frozen=True, eq=False)
class Pending:
    """``clamp(op(codes))`` in reals, on the way to being quantised. ``op`` is ``None`` where nothing was done yet."""

    codes: Codes
    op: Op | None = None
    name: str = ""
    clamp: Clamp = ANY
    flat: bool = False
    others: tuple[Codes, ...] = ()
    """The inputs but the first, of an ``op`` with several."""
    layer: QuantLayer | None = None
    """Weights and biases of a layer that has them; its output and requantisation are still to come."""


Value: TypeAlias = Constant | Image | Codes | Pending


def _start(call: OnnxCall, value: Pending, op: Op, **about: Any) -> Pending:
    """``op`` applied to codes; raises :class:`ValueError` where their shape forbids it."""
    if value.op is not None or value.clamp != ANY:
        raise Refused("takes a result that is not quantised; a QuantizeLinear must come between")
    if op.flaws:
        raise Refused(f"has numbers that are not finite: {op.flaws[0]}; {REMEDY}")
    op.out_shape([value.codes.shape])
    return Pending(value.codes, op, call.name, **about)


def _joined(call: OnnxCall, value: Pending, rest: Sequence[Value | None], op: Op) -> Pending:
    """``op`` applied to the codes of several tensors."""
    others = []
    for other in rest:
        if not isinstance(other, Pending) or other.op is not None or other.clamp != ANY:
            raise Refused("takes a result that is not quantised; a QuantizeLinear must come between")
        others.append(other.codes)
    op.out_shape([value.codes.shape, *(codes.shape for codes in others)])
    return replace(_start(call, value, Identity()), op=op, others=tuple(others))


def _weighted(
    call: OnnxCall, value: Pending, weight: Value | None, channel: int, make: Callable[..., Weighted]
) -> Pending:
    """A layer with weights, whose output channels lie along axis ``channel``; ``make`` gives the op of its reals."""
    if not isinstance(weight, Constant) or weight.scale is None:
        raise Refused("its weights are not quantised; a DequantizeLinear of integers must make them")
    if weight.scale.size > 1 and weight.axis % weight.values.ndim != channel:
        raise Refused("its weights have scales along another axis than that of the outputs")
    integers = np.moveaxis(weight.values, channel, 0)
    bits = signed_bits(int(integers.min()), int(integers.max()))
    if bits > 16:
        raise Refused(f"its weights have {bits} bits; 16 are supported")
    scale = np.broadcast_to(weight.scale.reshape(-1) * value.codes.gain, integers.shape[:1])
    columns = scale.reshape(-1, *(1,) * (integers.ndim - 1))
    op = make(integers * columns, np.zeros(len(scale)))
    source = value.codes.format
    layer = QuantLayer(
        source=source, out=source, weight_bits=max(8, bits), weight_scale=scale, bias=-zero_share(source, integers),
        pad=op.pad_codes(source),
    )  # fmt: skip
    layer = with_weights(layer, integers.reshape(op.weight.shape))
    return _start(call, value, op, layer=layer, flat=isinstance(op, Linear))


def _biased(value: Pending, bias: Value | None) -> Pending:
    """``value`` with a bias: its integers where its steps are those of the sums, as they should be."""
    if bias is None:
        return value
    layer, op = value.layer, value.op
    if not isinstance(bias, Constant) or not isinstance(op, Weighted) or layer is None or np.any(op.bias):
        raise Refused("adds something that is no constant, or not to a fresh sum of products")
    assert layer.weight_scale is not None and layer.bias is not None
    steps = layer.weight_scale * layer.source.coarsest
    if bias.reals.size not in (1, len(steps)):
        raise Refused(f"has {bias.reals.size} biases for {len(steps)} outputs")
    flaw = not_finite(bias.reals)
    if flaw:
        raise Refused(f"has biases that are not finite: {flaw}; {REMEDY}")
    reals = np.broadcast_to(bias.reals.reshape(-1), steps.shape)
    if not np.all(np.abs(reals / steps) < 2**31):
        raise Refused("has a bias of more than 32 bits")
    # The nearest integer is the file's own: its scale is the product of the two scales but for its last bit.
    integers: IntArray = np.floor(reals / steps + 0.5).astype(np.int64)
    return replace(value, op=replace(op, bias=reals), layer=replace(layer, bias=layer.bias + integers))


def _conv(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """``conv2d``, or ``depthwise_conv2d`` where each channel has its own kernel."""
    weight, bias = rest[0], rest[1] if len(rest) > 1 else None
    if value.flat or not isinstance(weight, Constant) or weight.values.ndim != 4:
        raise Refused("is no convolution of maps (n, c, h, w)")
    group, window = int(call.attributes.get("group", 1)), _window(call, weight.values.shape[2:])

    told = tuple(call.attributes.get("kernel_shape", weight.values.shape[2:]))
    if told != weight.values.shape[2:]:
        raise Refused(f"kernel_shape is {list(told)}, and its weights are {list(weight.values.shape)}")
    if group < 1 or len(weight.values) % group:
        raise Refused(f"has {len(weight.values)} outputs in {group} groups")

    def make(kernels: FloatArray, biases: FloatArray) -> Weighted:
        if group == value.codes.shape[0] == len(kernels) and kernels.shape[1] == 1 and group > 1:
            return DepthwiseConv2d(kernels[:, 0], biases, window)
        return Conv2d(kernels, biases, window, group)

    return _biased(_weighted(call, value, weight, 0, make), bias)


def _gemm(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """``linear`` over the whole map."""
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    factors = {name: call.attributes.get(name, value) for name, value in plain.items()}
    if factors != plain:
        raise Refused(f"has {factors}; {plain} is supported")
    channel = 0 if call.attributes.get("transB", 0) else 1
    return _biased(_product(call, value, rest[0], channel), rest[1] if len(rest) > 1 else None)


def _matmul(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """``linear`` over the whole map, by a constant matrix."""
    return _product(call, value, rest[0], 1)


def _product(call: OnnxCall, value: Pending, weight: Value | None, channel: int) -> Pending:
    if not value.flat or not isinstance(weight, Constant) or weight.values.ndim != 2:
        raise Refused("is no product of vectors (n, c) and a matrix; a Flatten must come before it")

    def make(matrix: FloatArray, biases: FloatArray) -> Weighted:
        return Linear(matrix.reshape(len(matrix), *value.codes.shape), biases)

    return _weighted(call, value, weight, channel, make)


def _add(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """The bias of the layer before; of two maps ``add``."""
    return _joined(call, value, rest, Add()) if isinstance(rest[0], Pending) else _biased(value, rest[0])


def _mul(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """``multiply``, of two maps."""
    return _joined(call, value, rest, Multiply())


def _concat(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """``concat``, along the channels; a map of another scale than the result has a ``rescale`` before it."""
    if call.attributes.get("axis") not in (1, -3):
        raise Refused("is supported along the channels alone (axis 1)")
    return _joined(call, value, rest, Concat())


def _table(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """``table``."""
    function, attribute, default = TABLES[call.kind]
    arguments = (float(call.attributes.get(attribute, default)),) if attribute else ()
    return _start(call, value, Table(function, arguments))


TABLES: Mapping[str, tuple[str, str, float]] = {
    "Elu": ("elu", "alpha", 1.0),
    "HardSwish": ("hardswish", "", 0.0),
    "LeakyRelu": ("leaky_relu", "alpha", 0.01),
    "Sigmoid": ("sigmoid", "", 0.0),
    "Softplus": ("softplus", "", 0.0),
    "Tanh": ("tanh", "", 0.0),
}
"""Operator: the function of its table, and the attribute that is its argument."""


def _relu(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """The clamp of the layer before, else ``rescale``."""
    return replace(value, name=value.name or call.name, clamp=value.clamp.then(Clamp(0.0)))


def _clip(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """The clamp of the layer before, else ``rescale``."""
    ends = [-np.inf, np.inf]
    for index, end in enumerate(rest[:2]):
        if isinstance(end, Constant):
            ends[index] = float(end.reals.item())
        elif end is not None:
            raise Refused("its ends are computed; they must be constants")
    limits = Clamp(*ends)
    if limits.flaw:
        raise Refused(limits.flaw)
    return replace(value, name=value.name or call.name, clamp=value.clamp.then(limits))


def _max_pool(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """``maxpool2d``."""
    return _start(call, value, MaxPool2d(_window(call, call.attributes["kernel_shape"])))


def _average_pool(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """``avgpool2d``."""
    window = _window(call, call.attributes["kernel_shape"])
    counted = call.attributes.get("count_include_pad", 0)
    if window.padded and not counted:
        raise Refused("padding with count_include_pad=0 is not supported; use count_include_pad=1 or no padding")
    if window.dilation != (1, 1):
        raise Refused("dilation of an average is not supported; a convolution of constant weights is")
    return _start(call, value, AvgPool2d(window))


def _global_average_pool(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """``avgpool2d`` over the whole map."""
    _, height, width = value.codes.shape
    return _start(call, value, AvgPool2d(Window((height, width), (height, width))))


def _flatten(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """Nothing, before a product."""
    if call.attributes.get("axis", 1) != 1:
        raise Refused("only axis 1 is supported")
    return replace(value, flat=True)


def _reshape(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """Nothing, to (n, c * h * w) before a product."""
    shape = (value.op or Rescale()).out_shape([value.codes.shape])
    target = rest[0].values.tolist() if isinstance(rest[0], Constant) else []
    if len(target) != 2 or target[1] not in (-1, int(np.prod(shape))):
        raise Refused("only (n, c * h * w) is supported")
    return replace(value, flat=True)


def _same(call: OnnxCall, value: Pending, rest: Sequence[Value | None]) -> Pending:
    """Nothing."""
    return value


OPERATORS: dict[str, Callable[[OnnxCall, Pending, Sequence[Value | None]], Pending]] = {
    "Add": _add,
    "AveragePool": _average_pool,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Dropout": _same,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average_pool,
    "Identity": _same,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Mul": _mul,
    "Relu": _relu,
    "Reshape": _reshape,
    **dict.fromkeys(TABLES, _table),
}


def _window(call: OnnxCall, kernel: Sequence[int]) -> Window:
    given = call.attributes
    if len(kernel) != 2:
        raise Refused("only windows of two dimensions are supported")
    if given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise Refused("auto_pad is not supported; give the padding in numbers")
    if given.get("ceil_mode", 0):
        raise Refused("ceil_mode is not supported")
    top, left, bottom, right = pads = given.get("pads", (0, 0, 0, 0))
    (sy, sx), (ky, kx), (dy, dx) = given.get("strides", (1, 1)), kernel, given.get("dilations", (1, 1))
    if min(pads) < 0 or min(sy, sx, ky, kx, dy, dx) < 1:
        raise Refused("has a window of no size, a stride or a dilation of 0, or negative padding")
    padding = (int(top), int(bottom), int(left), int(right))
    return Window((int(ky), int(kx)), (int(sy), int(sx)), padding, (int(dy), int(dx)))
