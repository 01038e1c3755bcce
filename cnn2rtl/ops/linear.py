"""Fully connected layer over a whole feature map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnn2rtl.hardware import units
from cnn2rtl.hardware.unit import Folding, Unit, ceil_div, divisor_at_least, pareto, useful
from cnn2rtl.hardware.window import Window
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import register
from cnn2rtl.ops.weighted import Weighted
from cnn2rtl.quant.layers import QuantLayer
from cnn2rtl.tensors import FloatArray, Shape


@register
@dataclass(frozen=True, eq=False)
class Linear(Weighted):
    """``weight`` is (outputs, c, h, w), so that a flatten before it costs nothing; ``bias`` (outputs,)."""

    kind = "linear"

    def macs(self, shapes: Sequence[Shape]) -> int:
        return self.weight.size

    def like_study(self, shapes: Sequence[Shape]) -> int:
        return self.macs(shapes)

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        if self.weight.shape[1:] != shapes[0]:
            raise ValueError(f"weights for {self.weight.shape[1:]} inputs, but the map is {shapes[0]}")
        return (self.weight.shape[0], 1, 1)

    def accumulate(self, x: FloatArray, weight: FloatArray, pad_value: FloatArray) -> FloatArray:
        matrix = weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])
        return (x.reshape(x.shape[0], -1) @ matrix)[:, None, None, :]

    def absorbing(self, gain: FloatArray) -> FloatArray:
        return self.weight * gain[:, None, None]

    def samples(self, x: FloatArray, pad_value: FloatArray) -> FloatArray:
        return x.transpose(0, 3, 1, 2).reshape(x.shape[0], 1, -1)

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        assert layer.weight is not None
        # A convolution whose kernel is as large as the map.
        kernel = Window((self.weight.shape[2], self.weight.shape[3]))
        return writer.requantised(writer.sums(inputs[0], layer, layer.weight, kernel), layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        outputs, c, height, width = self.weight.shape
        found = []
        for simd in useful(c):
            steps = height * width * ceil_div(c, simd)
            for pe in useful(outputs):
                lanes_out = divisor_at_least(pe, ceil_div(pe, steps))
                found.append(Folding(pe, simd, simd, lanes_out, steps * ceil_div(outputs, pe)))
        return pareto(found)

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        assert layer.weight is not None
        outputs, c, height, width = self.weight.shape
        pe, simd = folding.pe, folding.simd
        folds, repeat = ceil_div(c, simd), ceil_div(outputs, pe)
        rows = units.pad_axis(units.pad_axis(layer.weight, 1, folds * simd), 0, repeat * pe)
        rows = rows.reshape(repeat, pe, folds, simd, height, width).transpose(0, 4, 5, 2, 1, 3)
        steps = height * width * folds
        dot, roms = units.dot_product(layer, folding, weights=rows.reshape(-1, pe, simd), steps=steps)
        replay = units.replay_buffer(simd * layer.source.bits, steps, repeat)
        return Unit((*replay, *dot), f"fully connected, {c}x{height}x{width} -> {outputs}", roms)
