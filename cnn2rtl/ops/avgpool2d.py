"""Average pooling, also over the whole map (AdaptiveAvgPool2d(1), mean over H and W)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from cnn2rtl.hardware import units
from cnn2rtl.hardware.unit import Folding, Unit
from cnn2rtl.hardware.window import Array, Window
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import Op, register
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.quant.rescaling import quantise_rescaling, rescaled
from cnn2rtl.tensors import Clamp, FloatArray, Shape, times


@register
@dataclass(frozen=True, eq=False)
class AvgPool2d(Op):
    """The mean of the pixels under the window, per channel; padding counts as zeros.

    ``counts``, (h_out, w_out), is what the sum under each window is divided by, where that is not the window's taps.
    """

    kind = "avgpool2d"
    channelwise = True
    window: Window
    counts: IntArray | None = None

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        shape = self.window.out_shape(shapes[0])
        if self.counts is not None and self.counts.shape != shape[1:]:
            raise ValueError(f"divides {times(self.counts.shape)} sums, but there are {times(shape[1:])}")
        return shape

    def like_study(self, shapes: Sequence[Shape]) -> int:
        return (self.window.taps + 1) * prod(self.out_shape(shapes))

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self.total(inputs[0]) / (self.window.taps if self.counts is None else self.counts[..., None])

    def total(self, x: Array, pad_value: float = 0) -> Array:
        """Sum of the pixels under each window, (n, h_out, w_out, c)."""
        if self.window.tiles:
            # Large tiles have many taps: add up whole axes instead.
            (ky, kx), (h, w) = self.window.kernel, self.window.out_size(x.shape[1], x.shape[2])
            tiles = x[:, : h * ky, : w * kx].reshape(x.shape[0], h, ky, w, kx, x.shape[3])
            summed: Array = tiles.sum((2, 4))
            return summed
        views = self.window.shifted(x, pad_value)
        _, _, first = next(views)
        acc = first.copy()
        for _, _, pixels in views:
            acc += pixels
        return acc

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        (source,) = inputs
        pad = np.array([source.zero]) if self.window.padded and source.zero else None
        return quantise_rescaling(source, out, clamp, options, self.window.taps, pad, self.counts)

    def limits(self, inputs: Sequence[QFormat]) -> Clamp:
        return Clamp(*inputs[0].ends) if self.counts is None else Clamp()

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        return rescaled(self.sums(inputs, layer), layer)

    def sums(self, inputs: Sequence[IntArray], layer: QuantLayer) -> np.ndarray:
        return self.total(inputs[0].astype(layer.exact_float), layer.source.zero)

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        channels = shapes[0][0]
        ones = np.ones((channels, 1, *self.window.kernel), np.int64)
        return writer.requantised(writer.sums(inputs[0], layer, ones, self.window, channels), layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        return units.pool_foldings(self.window, shapes[0])

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        (c, height, width), (_, h_out, w_out) = shapes[0], self.out_shape(shapes)
        source = layer.source
        # An unsigned sum needs no sign bit.
        acc_bits = layer.acc_bits - (not source.signed)
        chain = units.pool_chain(
            self.window, shapes[0], source, folding, maximum=False, out_bits=acc_bits, pad=source.zero
        )
        scale, rom = units.requantise(
            layer, channels=c, lanes=folding.lanes_in, acc_bits=acc_bits, acc_signed=source.signed
        )
        kernel = "x".join(map(str, self.window.kernel))
        return Unit(
            (*chain, scale),
            f"{kernel} average, {c} channels, {height}x{width} -> {h_out}x{w_out} pixels",
            {"requant": rom},
        )
