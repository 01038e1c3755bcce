"""Standard, grouped and pointwise convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cnn2rtl.hardware import units
from cnn2rtl.hardware.unit import Folding, Unit, ceil_div, divisor_at_least, pareto, useful
from cnn2rtl.hardware.window import Window
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import register
from cnn2rtl.ops.weighted import Weighted
from cnn2rtl.quant.layers import QuantLayer
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.tensors import FloatArray, Shape

AT_ONCE = 1 << 26
"""Pixels under all taps, side by side, in memory at once."""


@register
@dataclass(frozen=True, eq=False)
class Conv2d(Weighted):
    """``weight`` is (c_out, c_in / groups, ky, kx), ``bias`` (c_out,), ``pad_value`` (c_in,).

    ``pad_value`` is what surrounds the map: zero, but for a first layer that has absorbed the
    input's normalisation, whose zero is the mean pixel.
    """

    kind = "conv2d"
    window: Window
    groups: int = 1
    pad_value: FloatArray = field(default_factory=lambda: np.zeros(1))

    @property
    def border(self) -> FloatArray:
        return self.pad_value

    def macs(self, shapes: Sequence[Shape]) -> int:
        _, h, w = self.out_shape(shapes)
        return h * w * self.weight.size

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        c_in = self.weight.shape[1] * self.groups
        if shapes[0][0] != c_in:
            raise ValueError(f"weights for {c_in} input channels, but the map has {shapes[0][0]}")
        return self.window.out_shape(shapes[0], self.weight.shape[0])

    def accumulate(self, x: FloatArray, weight: FloatArray, pad_value: FloatArray) -> FloatArray:
        c_out, c_group = weight.shape[:2]
        n, (h, w) = x.shape[0], self.window.out_size(x.shape[1], x.shape[2])
        matrix = weight.reshape(self.groups, c_out // self.groups, -1).transpose(0, 2, 1)
        if self.window == Window((1, 1)) and self.groups == 1:
            pointwise: FloatArray = (x.reshape(-1, c_group) @ matrix[0]).reshape(n, h, w, c_out)
            return pointwise
        acc: FloatArray = np.empty((n, h * w, self.groups, c_out // self.groups), x.dtype)
        # One image at a time, a large one in strips, so that the pixels under all taps side by side stay few.
        for image, sums in zip(x, acc, strict=True):
            first = 0
            for strip in self.window.strips(image[None], pad_value, AT_ONCE):
                samples = strip.reshape(-1, self.groups, self.weight[0].size)
                np.matmul(samples.swapaxes(0, 1), matrix, out=sums[first : first + len(samples)].swapaxes(0, 1))
                first += len(samples)
        return acc.reshape(n, h, w, c_out)

    def absorbing(self, gain: FloatArray) -> FloatArray:
        c_out, c_group = self.weight.shape[:2]
        # Which input channel each weight meets, (c_out, c_in / groups): a group's outputs share its inputs.
        group = np.arange(c_out) // (c_out // self.groups)
        channel = group[:, None] * c_group + np.arange(c_group)
        gains: FloatArray = np.broadcast_to(gain, self.groups * c_group)[channel][:, :, None, None]
        return self.weight * gains

    def samples(self, x: FloatArray, pad_value: FloatArray) -> FloatArray:
        return self.window.patches(x, pad_value).reshape(-1, self.groups, self.weight[0].size)

    def pad_codes(self, source: QFormat) -> IntArray | None:
        return pad_codes(self.window, self.pad_value, self.weight.shape[1] * self.groups, source)

    @property
    def pointwise(self) -> bool:
        """Whether every pixel stands alone, so that no line buffer is needed."""
        return self.window == Window((1, 1))

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        assert layer.weight is not None
        return writer.requantised(writer.sums(inputs[0], layer, layer.weight, self.window, self.groups), layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        (c_in, height, width), (c_out, h_out, w_out) = shapes[0], self.out_shape(shapes)
        group_in, group_out = c_in // self.groups, c_out // self.groups
        found = []
        for lanes in self._parallel(group_in):
            beats_in = height * width * self.groups * ceil_div(group_in, lanes)
            for taps in units.tap_choices(self.window):
                together = taps[0] * taps[1] * lanes
                # Cutting a beat into slices serves folds that whole channels cannot reach; with many channels
                # there are folds enough without.
                slices = range(1, together + 1) if lanes == 1 or c_in <= 8 else (1,)
                for simd in {ceil_div(together, s) for s in slices if not self.pointwise or s == 1}:
                    reads = ceil_div(group_in, lanes) * self.window.taps // (taps[0] * taps[1])
                    steps = reads * ceil_div(together, simd)
                    for pe in self._parallel(group_out):
                        compute = h_out * w_out * self.groups * ceil_div(group_out, pe) * steps
                        lanes_out = divisor_at_least(pe, ceil_div(pe, steps))
                        found.append(Folding(pe, simd, lanes, lanes_out, max(compute, beats_in), taps))
        return pareto(found)

    def _parallel(self, channels: int) -> tuple[int, ...]:
        """Useful parallelism over the channels of a group; groups must not share a beat."""
        return tuple(p for p in useful(channels) if self.groups == 1 or channels % p == 0)

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        assert layer.weight is not None
        (c_in, height, width), (c_out, h_out, w_out) = shapes[0], self.out_shape(shapes)
        pe, simd, lanes, taps = folding.pe, folding.simd, folding.lanes_in, folding.taps
        group_in, group_out = c_in // self.groups, c_out // self.groups
        folds, repeat = ceil_div(group_in, lanes), ceil_div(group_out, pe)

        kernels = units.fold_taps(units.pad_axis(layer.weight, 1, folds * lanes), taps)
        beats, together = kernels.shape[-2:]
        kernels = kernels.reshape(c_out, folds, lanes, beats, together).transpose(0, 1, 3, 4, 2)
        rows = units.slice_beats(kernels.reshape(c_out, folds * beats, together * lanes), simd)
        steps = rows.shape[1]
        rows = units.pad_axis(rows.reshape(self.groups, group_out, steps, simd), 1, repeat * pe)
        words = rows.reshape(self.groups, repeat, pe, steps, simd).transpose(0, 1, 3, 2, 4).reshape(-1, pe, simd)

        bits = layer.source.bits
        if self.pointwise:
            feed = units.replay_buffer(lanes * bits, folds, repeat)
        else:
            buffer = units.window_buffer(
                self.window, shapes[0], layer.source, lanes=lanes, taps=taps, groups=self.groups, repeat=repeat,
                slices=ceil_div(together * lanes, simd), pad=layer.pad,
            )  # fmt: skip
            feed = (buffer, *units.gearbox("slice", bits, together * lanes, together * lanes, simd))
        dot, roms = units.dot_product(layer, folding, weights=words, steps=steps)
        kernel = "x".join(map(str, self.window.kernel))
        grouped = f" in {self.groups} groups" if self.groups > 1 else ""
        return Unit(
            (*feed, *dot),
            f"{kernel} convolution{grouped}, {c_in} -> {c_out} channels, {height}x{width} -> {h_out}x{w_out} pixels",
            roms,
        )


def pad_codes(window: Window, pad_value: FloatArray, channels: int, source: QFormat) -> IntArray | None:
    """The codes around the map, (channels,), or ``None`` where they are all 0."""
    if not window.padded or not (np.any(pad_value) or source.zero):
        return None
    # The zero point need not be among the codes that occur.
    codes = np.where(pad_value == 0, source.zero, source.codes(pad_value))
    return np.broadcast_to(codes, (channels,))
