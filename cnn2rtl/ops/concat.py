"""Concatenation: the channels, the rows or the columns of several feature maps behind each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

import numpy as np

from cnn2rtl.hardware import units
from cnn2rtl.hardware.unit import Folding, Instance, Unit, ceil_div, pareto, useful
from cnn2rtl.hardware.window import Array
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import Op, register
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.quant.rescaling import quantise_passing, rescaled
from cnn2rtl.tensors import Clamp, FloatArray, Shape, times

_RULES = (
    "all must have one size",
    "all must have as many channels and columns",
    "all must have as many channels and rows",
)


@register
@dataclass(frozen=True, eq=False)
class Concat(Op):
    """All of the first map along ``axis`` of (n, c, h, w), then all of the second, and so on; codes stay as they are.

    So all inputs must come in one format, which the quantiser sees to.
    """

    kind = "concat"
    keeps_channels = False
    ties_inputs = True
    axis: int = 1

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        along, joined = self.axis - 1, [*shapes[0]]
        if any(shape[:along] + shape[along + 1 :] != shapes[0][:along] + shapes[0][along + 1 :] for shape in shapes):
            raise ValueError(f"joins the {self._joined} of maps of {' and '.join(map(times, shapes))}; {_RULES[along]}")
        joined[along] = sum(shape[along] for shape in shapes)
        return joined[0], joined[1], joined[2]

    @property
    def _joined(self) -> str:
        return ("channels", "rows", "columns")[self.axis - 1]

    def _concatenated(self, maps: Sequence[Array]) -> Array:
        joined: Any = np.concatenate(list(maps), (3, 1, 2)[self.axis - 1])
        result: Array = joined
        return result

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self._concatenated(inputs)

    def keeps_format(self, clamp: Clamp) -> bool:
        return clamp == Clamp()

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        source, *others = inputs
        source = replace(source, lo=min(q.lo for q in inputs), hi=max(q.hi for q in inputs))
        assert all(replace(q, lo=source.lo, hi=source.hi) == source for q in others)
        return quantise_passing(source, out, clamp, options)

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        joined = self._concatenated(inputs)
        return joined if layer.requant is None else rescaled(joined, layer)

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        joined = writer.op("Concat", *inputs, axis=self.axis)
        return joined if layer.requant is None else writer.requantised(joined, layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        channels, height, width = self.out_shape(shapes)
        # No beat has channels of two maps.
        common = gcd(*(shape[0] for shape in shapes))
        divisors = [lanes for lanes in range(1, common + 1) if common % lanes == 0]
        return pareto(
            Folding(lanes, 1, lanes, lanes, height * width * ceil_div(channels, lanes), multiplies=False)
            for lanes in (divisors if self.axis == 1 else useful(channels))
        )

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        channels, height, width = self.out_shape(shapes)
        lanes, source = folding.lanes_in, layer.source
        # What passes of a map in its turn: a pixel, the frame, or a row.
        pixels = [(1, h * w, w)[self.axis - 1] for _, h, w in shapes]
        beats = tuple(ceil_div(shape[0], lanes) * count for shape, count in zip(shapes, pixels, strict=True))
        chain: tuple[Instance, ...] = (units.stream_concat(lanes * source.bits, beats),)
        roms = {}
        if layer.requant is not None:
            scale, roms["requant"] = units.requantise(
                layer, channels=channels, lanes=lanes, acc_bits=source.bits, acc_signed=source.signed
            )
            chain = (*chain, scale)
        counts = " + ".join(str(shape[self.axis - 1]) for shape in shapes)
        wide = f", {channels} channels" if self.axis > 1 else ""
        return Unit(chain, f"{counts} {self._joined} behind each other{wide}, {height}x{width} pixels", roms)
