"""A network that is quantised already: ONNX with QuantizeLinear and DequantizeLinear (QDQ).

Its scales, weights and biases are taken as they are, and codes have the file's width. Where its zero point allows
that, a code of ours is a code of the file less the zero point, else it is one in two's complement with another zero
point. What a QuantizeLinear multiplies by, the product of two scales over a third, becomes a multiplier of 16 bits and
a shift. The operators: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cnn2rtl.errors import Problems, UserError
from cnn2rtl.frontend.call import Refused
from cnn2rtl.frontend.onnx_attributes import Attributes
from cnn2rtl.frontend.onnx_file import OnnxCall, OnnxNetwork, read_onnx
from cnn2rtl.frontend.qdq_operators import OPERATORS, Codes, Constant, Image, Pending, Value, along
from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.guard import tell, unused_codes
from cnn2rtl.ops import DepthwiseConv2d, Input, Rescale, Window
from cnn2rtl.passes import normalisation
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import PIXEL, QFormat, Requant
from cnn2rtl.quantise.given import GivenNetwork
from cnn2rtl.tensors import INPUT, Clamp, FloatArray

EIGHT = QuantOptions(weight_bits=8, scheme="scale")
NORMALISE, NORMALISE_BITS = "normalise", 16
"""The layer that makes the network's input of pixels, and the bits of its weights: there is but one per channel."""

MEANINGLESS = {
    "Dropout": ("ratio", "seed"),
    "MaxPool": ("storage_order",),
    "QuantizeLinear": ("saturate",),
}
"""Attributes that change nothing of what is read: of training, of indices, of floats of 8 bits."""


def read_qdq(path: Path, name: str, mean: Sequence[float], std: Sequence[float]) -> GivenNetwork:
    """The network in ``path``, see :func:`convert_qdq`."""
    return convert_qdq(read_onnx(path).sized(path, None), path, name, mean, std)


def convert_qdq(
    network: OnnxNetwork, path: Path, name: str, mean: Sequence[float], std: Sequence[float]
) -> GivenNetwork:
    """The ``network`` of ``path``, whose input was ``(pixel / 255 - mean) / std``; ``name`` is what to call it.

    Raises one :class:`UserError` with all that cannot be had.
    """
    for shape in network.sources.values():
        if len(shape) != 3:
            raise UserError(f"{path}: its input is (n, {', '.join(map(str, shape))}); (n, c, h, w) is needed")
    channels = {source: shape[0] for source, shape in network.sources.items()}
    return _Conversion(network, name, normalisation(mean, std, channels)).run()


class _Conversion:
    """A file on its way into a graph."""

    def __init__(self, network: OnnxNetwork, name: str, pixels: Mapping[str, tuple[FloatArray, FloatArray]]) -> None:
        self.network, self.name, self.pixels = network, name, pixels
        self.values: dict[str, Value] = {key: Constant(array) for key, array in network.constants.items()}
        self.nodes: list[Node] = []
        for source, (c, h, w) in network.sources.items():
            node = INPUT if len(network.sources) == 1 else source
            self.values[source] = Image(node, source)
            self.nodes.append(Node(node, Input((c, h, w)), (), (c, h, w)))
        self.layers: dict[str, QuantLayer] = {}
        self.notes: list[str] = []

    def run(self) -> GivenNetwork:
        problems = Problems()
        for call in self.network.calls:
            # What depends on something that was refused is not judged.
            if any(name and name not in self.values for name in call.inputs):
                continue
            with problems.gather():
                try:
                    self.values[call.output] = self._value(call)
                except (Refused, ValueError) as refusal:
                    raise UserError(f"`{call.name}` ({call.kind}): {refusal}") from None
        problems.check()
        outputs = []
        for name in self.network.results:
            with problems.gather():
                outputs.append(self._output(name))
        read = {source for node in self.nodes for source in node.inputs}
        problems.found += [
            f"`{node.name}`: the network does nothing with this input"
            for node in self.nodes
            if not node.inputs and node.name not in read
        ]
        problems.check()
        graph = FloatGraph(self.name, tuple(self.nodes), tuple(outputs))
        return GivenNetwork(graph, self.layers, tuple(self.notes))

    def _output(self, name: str) -> str:
        """The node that makes the result ``name``."""
        result = self.values.get(name)
        if isinstance(result, Pending) and result.op is None and result.clamp == Clamp():
            result = result.codes
        if not isinstance(result, Codes):
            raise UserError(f"`{name}`: the output is not quantised; a QuantizeLinear must make it")
        return result.node

    def _value(self, call: OnnxCall) -> Value:
        inputs = [self.values[name] if name else None for name in call.inputs]
        attributes = Attributes(call.attributes)
        for name in MEANINGLESS.get(call.kind, ()):
            attributes.get(name)
        made = self._made(replace(call, attributes=attributes), inputs)
        attributes.check(call)
        return made

    def _made(self, call: OnnxCall, inputs: Sequence[Value | None]) -> Value:
        if call.kind in ("QuantizeLinear", "DequantizeLinear"):
            axis = int(call.attributes.get("axis", 1))
            if call.kind == "DequantizeLinear":
                return _dequantised(inputs, axis)
            return self._quantised(inputs[0], *_scale(inputs), axis)
        if call.kind not in OPERATORS:
            raise Refused(f"is not supported; there are {', '.join(OPERATORS)}")
        if not isinstance(inputs[0], Pending):
            raise Refused("takes a tensor that is not quantised; a DequantizeLinear must come before it")
        return OPERATORS[call.kind](call, inputs[0], inputs[1:])

    def _quantised(self, value: Value | None, scale: np.ndarray, zero: np.ndarray, axis: int) -> Value:
        if isinstance(value, Constant):
            # Weights in reals, as training with quantisation leaves them; rounded as the operator does it.
            limits, dims = np.iinfo(zero.dtype), value.values.ndim
            steps = np.rint(value.values / along(scale, axis, dims)) + along(zero, axis, dims)
            if not np.all(np.isfinite(steps)):
                raise Refused("quantises numbers that are NaN or infinite")
            return Constant(np.clip(steps, limits.min, limits.max).astype(zero.dtype))
        out = _format(scale, zero)
        if isinstance(value, Image):
            return self._pixels(value, out)
        if not isinstance(value, Pending):
            raise Refused("quantises what is quantised already")
        if value.op is None and value.clamp == Clamp() and out == value.codes.file:
            return replace(value.codes, flat=value.flat)
        return self._add(value, out)

    def _add(self, value: Pending, out: QFormat) -> Codes:
        """The layer that makes codes of format ``out``."""
        inputs, op = [value.codes, *value.others], value.op or Rescale()
        if value.others and op.keeps_format(value.clamp):
            inputs = [
                codes if codes.file == out else self._add(Pending(codes, name=f"{value.name}.{number}"), out)
                for number, codes in enumerate(inputs)
            ]
        codes, shapes = inputs[0], [one.shape for one in inputs]
        if value.layer is not None:
            layer = _requantised(value.layer, out.clamped(value.clamp.lo, value.clamp.hi))
        elif any(one.gain != 1 for one in inputs):
            raise Refused("takes the network's input itself; only a convolution or a fully connected layer may")
        elif op.keeps_format(value.clamp) and out != codes.file:
            raise Refused("changes the scale of what it takes, and could pass it on as it is; give both the same")
        else:
            layer = op.quantise([one.format for one in inputs], out, value.clamp, EIGHT)
        # The network in reals is limited as the codes are, for often they are a layer's only activation.
        clamp = value.clamp.then(Clamp(*out.reals(np.array([out.lo, out.hi])).tolist()))
        name = self._unique(value.name or "rescale")
        shape = op.out_shape(shapes)
        self.nodes.append(Node(name, op, tuple(one.node for one in inputs), shape, clamp))
        self.layers[name] = layer
        return Codes(name, layer.out, out, shape, value.flat)

    def _pixels(self, image: Image, out: QFormat) -> Codes:
        """The codes of the input, from raw pixels: the pixels themselves if they are the same, else from a layer."""
        pixels = np.arange(256)[:, None]
        mean, std = self.pixels[image.name]
        reals = ((pixels / 255 - mean) / std).astype(np.float32)
        with np.errstate(over="ignore"):  # what is beyond all codes is at their end
            wanted = np.clip(np.rint(reals / np.float32(out.coarsest)) + out.zero, out.lo, out.hi).astype(np.int64)
        tell(unused_codes(image.node, wanted, out.hi - out.lo + 1))
        c, h, w = self.network.sources[image.name]
        shape = (c, h, w)
        if out.zero == 0 and np.all(wanted == pixels):
            return Codes(image.node, PIXEL, out, shape)
        op = DepthwiseConv2d(1 / (255 * std).reshape(-1, 1, 1), -mean / std, Window((1, 1)))
        layer = op.quantise([PIXEL], out, Clamp(), QuantOptions(NORMALISE_BITS, "scale"))
        columns = np.broadcast_to(pixels, wanted.shape).astype(np.int32)[None, None]
        off = int((op.integer([columns], layer)[0, 0] != wanted).sum())
        if off:
            self.notes.append(f"{NORMALISE}: {off} of {wanted.size} pixel values round to the neighbouring code.")
        name = self._unique(NORMALISE)
        self.nodes.append(Node(name, op, (image.node,), shape))
        self.layers[name] = layer
        return Codes(name, layer.out, out, shape)

    def _unique(self, name: str) -> str:
        while any(node.name == name for node in self.nodes):
            name += "_"
        return name


def _requantised(layer: QuantLayer, out: QFormat) -> QuantLayer:
    assert layer.weight_scale is not None
    requant = Requant.between(layer.weight_scale * layer.source.coarsest, out, EIGHT.scheme)
    return replace(layer, out=out, requant=requant)


def _scale(inputs: Sequence[Value | None]) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point, the second and third input of QuantizeLinear and DequantizeLinear."""
    scale = inputs[1]
    zero = inputs[2] if len(inputs) > 2 and inputs[2] is not None else Constant(np.zeros((), np.uint8))
    if not isinstance(scale, Constant) or not isinstance(zero, Constant):
        raise Refused("its scale and zero point are computed; they must be constants")
    if zero.values.dtype not in (np.int8, np.uint8, np.int16, np.uint16, np.int32):
        raise Refused(f"makes {zero.values.dtype}; int8, uint8, int16 and uint16 are supported")
    scales = scale.values.astype(np.float64)
    if not np.all(np.isfinite(scales) & (scales > 0)):
        raise Refused("its scale is not a positive number")
    return scales, zero.values


def _format(scale: np.ndarray, zero: np.ndarray) -> QFormat:
    """The format of an activation: codes less their zero point where they keep their width, else with another one."""
    if scale.size != 1 or zero.size != 1:
        raise Refused("has a scale per channel, which only weights may have")
    limits = np.iinfo(zero.dtype)
    if limits.bits > 16:
        raise Refused(f"has codes of {limits.bits} bits; 16 are supported")
    lowest = int(limits.min) - int(zero.item())
    codes = QFormat.full(limits.bits, lowest < 0, float(scale.item()))
    return replace(codes, zero=codes.lo - lowest)


def _dequantised(inputs: Sequence[Value | None], axis: int) -> Value:
    value = inputs[0]
    if isinstance(value, Codes):
        if _format(*_scale(inputs)) != value.file:
            raise Refused("has another scale or zero point than the QuantizeLinear before it")
        return Pending(value, flat=value.flat)
    if not isinstance(value, Constant) or value.scale is not None or value.values.dtype.kind not in "iu":
        raise Refused("takes something that no QuantizeLinear has made")
    scale, zero = _scale(inputs)
    if np.any(zero != 0):
        raise Refused("these weights have a zero point; quantise them symmetrically")
    return Constant(value.values.astype(np.int64), scale, axis)
