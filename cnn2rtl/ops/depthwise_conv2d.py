"""Depthwise convolution: each channel meets a kernel of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cnn2rtl.hardware import units
from cnn2rtl.hardware.unit import Folding, Instance, Unit, ceil_div, divisor_at_least, pareto, useful
from cnn2rtl.hardware.window import Window
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import register
from cnn2rtl.ops.conv2d import pad_codes
from cnn2rtl.ops.weighted import Weighted
from cnn2rtl.quant.layers import QuantLayer
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.tensors import FloatArray, Shape


@register
@dataclass(frozen=True, eq=False)
class DepthwiseConv2d(Weighted):
    """``weight`` is (c, ky, kx), ``bias`` (c,), ``pad_value`` (c,) as for :class:`Conv2d`.

    A BatchNorm that no convolution could absorb is one with a 1x1 kernel.
    """

    kind = "depthwise_conv2d"
    channelwise = True
    window: Window
    pad_value: FloatArray = field(default_factory=lambda: np.zeros(1))

    @property
    def groups(self) -> int:
        return self.weight.shape[0]

    @property
    def taps(self) -> int:
        return int(self.weight[0].size)

    @property
    def border(self) -> FloatArray:
        return self.pad_value

    def macs(self, shapes: Sequence[Shape]) -> int:
        c, h, w = self.out_shape(shapes)
        return c * h * w * self.window.taps

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        if shapes[0][0] != self.weight.shape[0]:
            raise ValueError(f"kernels for {self.weight.shape[0]} channels, but the map has {shapes[0][0]}")
        return self.window.out_shape(shapes[0])

    def accumulate(self, x: FloatArray, weight: FloatArray, pad_value: FloatArray) -> FloatArray:
        taps = self.window.shifted(x, pad_value)
        ky, kx, pixels = next(taps)
        acc: FloatArray = pixels * weight[:, ky, kx]
        product = np.empty_like(acc)
        for ky, kx, pixels in taps:
            acc += np.multiply(pixels, weight[:, ky, kx], out=product)
        return acc

    def absorbing(self, gain: FloatArray) -> FloatArray:
        return self.weight * gain[:, None, None]

    def samples(self, x: FloatArray, pad_value: FloatArray) -> FloatArray:
        return self.window.patches(x, pad_value)

    def pad_codes(self, source: QFormat) -> IntArray | None:
        return pad_codes(self.window, self.pad_value, self.weight.shape[0], source)

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        assert layer.weight is not None
        sums = writer.sums(inputs[0], layer, layer.weight[:, None], self.window, self.groups)
        return writer.requantised(sums, layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        (c, height, width), (_, h_out, w_out) = shapes[0], self.out_shape(shapes)
        found = []
        for pe in useful(c):
            folds = ceil_div(c, pe)
            for taps in units.tap_choices(self.window):
                together = taps[0] * taps[1]
                for simd in useful(together):
                    steps = self.window.taps // together * ceil_div(together, simd)
                    compute, beats_in = h_out * w_out * folds * steps, height * width * folds
                    lanes_out = divisor_at_least(pe, ceil_div(pe, steps))
                    found.append(Folding(pe, simd, pe, lanes_out, max(compute, beats_in), taps, shared=False))
        return pareto(found)

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        assert layer.weight is not None
        (c, height, width), (_, h_out, w_out) = shapes[0], self.out_shape(shapes)
        pe, simd, taps = folding.pe, folding.simd, folding.taps
        folds = ceil_div(c, pe)

        kernels = units.slice_beats(units.fold_taps(units.pad_axis(layer.weight, 0, folds * pe), taps), simd)
        steps = kernels.shape[1]
        words = kernels.reshape(folds, pe, steps, simd).transpose(0, 2, 1, 3).reshape(-1, pe, simd)

        bits = layer.source.bits
        feed: tuple[Instance, ...] = ()
        if self.window != Window((1, 1)):
            together = taps[0] * taps[1]
            buffer = units.window_buffer(
                self.window, shapes[0], layer.source, lanes=pe, taps=taps, slices=ceil_div(together, simd),
                pad=layer.pad,
            )  # fmt: skip
            feed = (buffer, *units.gearbox("slice", pe * bits, together, together, simd))
        dot, roms = units.dot_product(layer, folding, weights=words, steps=steps)
        kernel = "x".join(map(str, self.window.kernel))
        return Unit(
            (*feed, *dot),
            f"{kernel} depthwise convolution, {c} channels, {height}x{width} -> {h_out}x{w_out} pixels",
            roms,
        )
