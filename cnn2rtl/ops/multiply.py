"""The product of two feature maps: a gate, as in squeeze-and-excitation, or attention over pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from cnn2rtl.hardware import units
from cnn2rtl.hardware.unit import Folding, Style, Unit
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import Op, register
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat, Requant
from cnn2rtl.quant.rescaling import rescaled
from cnn2rtl.tensors import Clamp, FloatArray, Shape, times


@register
@dataclass(frozen=True, eq=False)
class Multiply(Op):
    """``a * b``, value by value."""

    kind = "multiply"

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        a, b = shapes
        if a != b:
            raise ValueError(f"multiplies maps of {times(a)} and {times(b)}; both must have one shape")
        return a

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        a, b = inputs
        return a * b

    def macs(self, shapes: Sequence[Shape]) -> int:
        return prod(shapes[0])

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        out = out.clamped(clamp.lo, clamp.hi)
        a, b = ((q.lo - q.zero, q.hi - q.zero) for q in inputs)
        corners = [x * y for x in a for y in b]
        # What a step of a product is worth, in the channel where both scales are coarsest: here they are the same.
        scale = inputs[0].coarsest * inputs[1].coarsest
        return QuantLayer(
            source=inputs[0],
            others=tuple(inputs[1:]),
            out=out,
            requant=Requant.between(np.array([scale]), out, options.scheme),
            acc_lo=np.array([min(corners)]),
            acc_hi=np.array([max(corners)]),
        )

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        return rescaled(self.sums(inputs, layer), layer)

    def sums(self, inputs: Sequence[IntArray], layer: QuantLayer) -> np.ndarray:
        a, b = (
            x.astype(layer.exact_float) - q.zero for x, q in zip(inputs, (layer.source, *layer.others), strict=True)
        )
        product: np.ndarray = a * b
        return product

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        formats = (layer.source, *layer.others)
        a, b = (writer.op("Sub", x, q.zero) if q.zero else x for x, q in zip(inputs, formats, strict=True))
        return writer.requantised(writer.op("Mul", a, b), layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        return [
            replace(folding, pe=folding.lanes_in, multiplies=True, shared=False)
            for folding in units.lane_foldings(shapes[0])
        ]

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        (c, height, width), lanes = shapes[0], folding.lanes_in
        logic = folding.style == Style.LOGIC
        acc_bits = layer.acc_bits
        multiply = units.stream_multiply((layer.source, *layer.others), lanes, acc_bits, logic=logic)
        scale, rom = units.requantise(layer, channels=c, lanes=lanes, acc_bits=acc_bits, acc_signed=True)
        return Unit((multiply, scale), f"product of two maps, {c} channels, {height}x{width} pixels", {"requant": rom})
