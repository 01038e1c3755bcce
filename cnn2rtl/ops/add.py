"""The sum of two feature maps: where a skip connection ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnn2rtl.hardware import units
from cnn2rtl.hardware.unit import Folding, Unit
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import Op, register
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat, Requant, signed_bits
from cnn2rtl.quant.rescaling import aligning, rescaled
from cnn2rtl.tensors import Clamp, FloatArray, Shape, times


@register
@dataclass(frozen=True, eq=False)
class Add(Op):
    """``a + b``, or ``a * signs[0] + b * signs[1]`` with any two factors."""

    kind = "add"
    signs: tuple[float, float] = (1.0, 1.0)

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        a, b = shapes
        if a != b:
            raise ValueError(f"adds maps of {times(a)} and {times(b)}; both must have one shape")
        return a

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        a, b = inputs
        return a * self.signs[0] + b * self.signs[1]

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        out = out.clamped(clamp.lo, clamp.hi)
        scale, factors = aligning([q.coarsest * sign for q, sign in zip(inputs, self.signs, strict=True)])
        ends = [sorted((min(q.lo, 0) * f, max(q.hi, 0) * f)) for q, f in zip(inputs, factors, strict=True)]
        offset = sum(q.zero * factor for q, factor in zip(inputs, factors, strict=True))
        return QuantLayer(
            source=inputs[0],
            others=tuple(inputs[1:]),
            factors=factors,
            out=out,
            bias=np.array([-offset]) if offset else None,
            requant=Requant.between(np.array([scale]), out, options.scheme),
            acc_lo=np.array([sum(low for low, _ in ends)]),
            acc_hi=np.array([sum(high for _, high in ends)]),
        )

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        return rescaled(self.sums(inputs, layer), layer)

    def sums(self, inputs: Sequence[IntArray], layer: QuantLayer) -> np.ndarray:
        a, b = (x.astype(layer.exact_float) * f for x, f in zip(inputs, layer.factors, strict=True))
        total: np.ndarray = a + b
        return total

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        a, b = (writer.op("Mul", x, factor) for x, factor in zip(inputs, layer.factors, strict=True))
        return writer.requantised(writer.op("Add", a, b), layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        return units.lane_foldings(shapes[0])

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        c, height, width = shapes[0]
        lanes, formats = folding.lanes_in, (layer.source, *layer.others)
        # The unit does not shorten values, even where a clamp leaves few of them.
        bits = max(signed_bits(int(layer.acc_lo.min()), int(layer.acc_hi.max())), *(q.bits for q in formats))
        add = units.stream_add(formats, layer.factors, lanes, bits)
        scale, rom = units.requantise(layer, channels=c, lanes=lanes, acc_bits=bits, acc_signed=True)
        return Unit((add, scale), f"sum of two maps, {c} channels, {height}x{width} pixels", {"requant": rom})
