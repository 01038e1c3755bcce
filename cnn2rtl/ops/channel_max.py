"""The largest of all channels of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnn2rtl.hardware import units
from cnn2rtl.hardware.unit import Folding, Instance, Unit, over_channels
from cnn2rtl.hardware.window import Array
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import Op, register
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.quant.rescaling import quantise_passing, rescaled
from cnn2rtl.tensors import Clamp, FloatArray, Shape


@register
@dataclass(frozen=True, eq=False)
class ChannelMax(Op):
    """The largest channel of each pixel; c channels become one."""

    kind = "channel_max"
    keeps_channels = False

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        return (1, *shapes[0][1:])

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self._largest(inputs[0])

    @staticmethod
    def _largest(x: Array) -> Array:
        largest: Any = x.max(-1, keepdims=True)
        result: Array = largest
        return result

    def keeps_format(self, clamp: Clamp) -> bool:
        return clamp == Clamp()

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        return quantise_passing(inputs[0], out, clamp, options)

    def limits(self, inputs: Sequence[QFormat]) -> Clamp:
        return Clamp(*inputs[0].ends)

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        largest = self._largest(inputs[0])
        return largest if layer.requant is None else rescaled(largest, layer)

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        largest = writer.op("ReduceMax", inputs[0], axes=[1])
        return largest if layer.requant is None else writer.requantised(largest, layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        return over_channels(shapes[0])

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        c, height, width = shapes[0]
        lanes, source = folding.lanes_in, layer.source
        # The channels side by side are the taps of one, the beats its steps.
        chain: tuple[Instance, ...] = (units.tap_reduce(source, 1, lanes, c // lanes, maximum=True, bits=source.bits),)
        roms = {}
        if layer.requant is not None:
            scale, roms["requant"] = units.requantise(
                layer, channels=1, lanes=1, acc_bits=source.bits, acc_signed=source.signed
            )
            chain = (*chain, scale)
        return Unit(chain, f"largest of {c} channels, {height}x{width} pixels", roms)
