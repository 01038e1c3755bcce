"""A bare change of format or an activation that no other layer could absorb."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnn2rtl.hardware import units
from cnn2rtl.hardware.unit import Folding, Unit
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import Op, register
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.quant.rescaling import quantise_rescaling, rescaled
from cnn2rtl.tensors import Clamp, FloatArray, Shape


@register
@dataclass(frozen=True, eq=False)
class Rescale(Op):
    """The identity, requantised: one clamp per value and no multiplier of its own."""

    kind = "rescale"
    channelwise = True

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return inputs[0]

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        return quantise_rescaling(inputs[0], out, clamp, options)

    def limits(self, inputs: Sequence[QFormat]) -> Clamp:
        return Clamp(*inputs[0].ends)

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        return rescaled(inputs[0], layer)

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        return writer.requantised(inputs[0], layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        return units.lane_foldings(shapes[0])

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        c, height, width = shapes[0]
        source = layer.source
        scale, rom = units.requantise(
            layer, channels=c, lanes=folding.lanes_in, acc_bits=source.bits, acc_signed=source.signed
        )
        return Unit((scale,), f"clamp, {c} channels, {height}x{width} pixels", {"requant": rom})
