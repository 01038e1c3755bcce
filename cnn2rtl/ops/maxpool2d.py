"""Max pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnn2rtl.hardware import units
from cnn2rtl.hardware.unit import Folding, Unit
from cnn2rtl.hardware.window import Array, Window
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import Op, register
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.quant.rescaling import quantise_passing, rescaled
from cnn2rtl.tensors import Clamp, FloatArray, Shape


@register
@dataclass(frozen=True, eq=False)
class MaxPool2d(Op):
    """The largest pixel under the window, per channel; padding never wins."""

    kind = "maxpool2d"
    channelwise = True
    window: Window

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        return self.window.out_shape(shapes[0])

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self._maximum(inputs[0], -np.inf)

    def _maximum(self, x: Array, pad: float) -> Array:
        views = self.window.shifted(x, pad)
        best = next(views)[2].copy()
        for _, _, pixels in views:
            np.maximum(best, pixels, out=best)
        return best

    def keeps_format(self, clamp: Clamp) -> bool:
        return clamp == Clamp()

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        return quantise_passing(inputs[0], out, clamp, options)

    def limits(self, inputs: Sequence[QFormat]) -> Clamp:
        return Clamp(*inputs[0].ends)

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        best = self._maximum(inputs[0], layer.source.lo)
        return best if layer.requant is None else rescaled(best, layer)

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        best = writer.maximum(inputs[0], self.window)
        return best if layer.requant is None else writer.requantised(best, layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        return units.pool_foldings(self.window, shapes[0])

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        (c, height, width), (_, h_out, w_out) = shapes[0], self.out_shape(shapes)
        source, lanes = layer.source, folding.lanes_in
        chain = units.pool_chain(
            self.window, shapes[0], source, folding, maximum=True, out_bits=source.bits, pad=source.lo
        )
        roms = {}
        if layer.requant is not None:
            scale, roms["requant"] = units.requantise(
                layer, channels=c, lanes=lanes, acc_bits=source.bits, acc_signed=source.signed
            )
            chain = (*chain, scale)
        kernel = "x".join(map(str, self.window.kernel))
        return Unit(chain, f"{kernel} maximum, {c} channels, {height}x{width} -> {h_out}x{w_out} pixels", roms)
