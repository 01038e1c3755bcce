"""LeakyReLU with a slope that is a power of two: positive numbers pass, negative ones are divided by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnn2rtl.hardware import units
from cnn2rtl.hardware.timing import Pipeline
from cnn2rtl.hardware.unit import Folding, Instance, Unit, ceil_div, pareto, useful
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import Op, register
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat, Requant
from cnn2rtl.tensors import Clamp, FloatArray, Shape


@register
@dataclass(frozen=True, eq=False)
class LeakyRelu(Op):
    """``x`` where it is not negative, else ``x * 2**-slope_shift``.

    In integers nothing is lost before the one rounding that every layer ends with: the sum of one term
    is ``x << slope_shift`` or ``x``, in units of ``2**-slope_shift`` times the input's, then requantised.
    """

    kind = "leaky_relu"
    slope_shift: int

    @property
    def slope(self) -> float:
        return 2.0**-self.slope_shift

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return np.where(inputs[0] < 0, inputs[0] * self.slope, inputs[0])

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        (source,) = inputs
        out = out.clamped(clamp.lo, clamp.hi)
        return QuantLayer(
            source=source,
            out=out,
            requant=Requant.between(np.array([source.scale * self.slope]), out, options.scheme),
            acc_lo=np.array([min(source.lo, 0)]),
            acc_hi=np.array([max(source.hi, 0) << self.slope_shift]),
        )

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        assert layer.requant is not None
        return layer.requant(np.where(inputs[0] < 0, inputs[0], inputs[0] << self.slope_shift))

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        (x,) = inputs
        bent = writer.op("Where", writer.op("Less", x, 0), x, writer.op("Mul", x, 1 << self.slope_shift))
        return writer.requantised(bent, layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        c, height, width = shapes[0]
        cycles = {lanes: height * width * ceil_div(c, lanes) for lanes in useful(c)}
        return pareto(Folding(lanes, 1, lanes, lanes, count, multiplies=False) for lanes, count in cycles.items())

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        c, height, width = shapes[0]
        source, lanes = layer.source, folding.lanes_in
        acc_bits = source.bits + self.slope_shift
        parameters = {
            "LANES": lanes, "BITS": source.bits, "SIGNED": int(source.signed), "SLOPE_SHIFT": self.slope_shift,
        }  # fmt: skip
        bend = Instance("bend", "leaky_relu", parameters, lanes * source.bits, lanes * acc_bits, Pipeline(1))
        scale, rom = units.requantise(layer, channels=c, lanes=lanes, acc_bits=acc_bits, acc_signed=source.signed)
        return Unit((bend, scale), f"leaky ReLU, {c} channels, {height}x{width} pixels", {"requant": rom})
