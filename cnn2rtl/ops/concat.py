"""Concatenation: the channels of several feature maps behind each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from cnn2rtl.hardware import units
from cnn2rtl.hardware.unit import Folding, Instance, Unit, pareto
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import Op, register
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.quant.rescaling import quantise_passing, rescaled
from cnn2rtl.tensors import Clamp, FloatArray, Shape


@register
@dataclass(frozen=True, eq=False)
class Concat(Op):
    """All channels of the first map, then those of the second, and so on; codes stay as they are.

    So all inputs must come in one format, which the quantiser sees to.
    """

    kind = "concat"
    keeps_channels = False
    ties_inputs = True

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        sizes = {shape[1:] for shape in shapes}
        if len(sizes) > 1:
            found = " and ".join("x".join(map(str, size)) for size in sorted(sizes))
            raise ValueError(f"joins the channels of maps of {found} pixels; all must have one size")
        return (sum(shape[0] for shape in shapes), *sizes.pop())

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return np.concatenate(list(inputs), -1)

    def keeps_format(self, clamp: Clamp) -> bool:
        return clamp == Clamp()

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        source, *others = inputs
        source = replace(source, lo=min(q.lo for q in inputs), hi=max(q.hi for q in inputs))
        assert all(replace(q, lo=source.lo, hi=source.hi) == source for q in others)
        return quantise_passing(source, out, clamp, options)

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        joined = np.concatenate(list(inputs), -1)
        return joined if layer.requant is None else rescaled(joined, layer)

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        joined = writer.op("Concat", *inputs, axis=1)
        return joined if layer.requant is None else writer.requantised(joined, layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        channels, height, width = self.out_shape(shapes)
        common = gcd(*(shape[0] for shape in shapes))
        return pareto(
            Folding(lanes, 1, lanes, lanes, height * width * (channels // lanes), multiplies=False)
            for lanes in range(1, common + 1)
            if common % lanes == 0
        )

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        channels, height, width = self.out_shape(shapes)
        lanes, source = folding.lanes_in, layer.source
        beats = tuple(shape[0] // lanes for shape in shapes)
        chain: tuple[Instance, ...] = (units.stream_concat(lanes * source.bits, beats),)
        roms = {}
        if layer.requant is not None:
            scale, roms["requant"] = units.requantise(
                layer, channels=channels, lanes=lanes, acc_bits=source.bits, acc_signed=source.signed
            )
            chain = (*chain, scale)
        counts = " + ".join(str(shape[0]) for shape in shapes)
        return Unit(chain, f"{counts} channels behind each other, {height}x{width} pixels", roms)
