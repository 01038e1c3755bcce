"""Pixels from other places: nearest upsampling, padding, cropping, striding, flipping, broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cnn2rtl.hardware import units
from cnn2rtl.hardware.moves import Sources
from cnn2rtl.hardware.unit import Folding, Instance, Rom, Unit, ceil_div, pareto, useful
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import Op, register
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.quant.rescaling import quantise_rescaling, rescaled
from cnn2rtl.tensors import Clamp, FloatArray, Shape


@register
@dataclass(frozen=True, eq=False)
class Resample(Op):
    """Pixel (y, x) of the result is pixel (``rows[y]``, ``columns[x]``); where either is -1 it is ``value``."""

    kind = "resample"
    channelwise = True
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    value: float = 0.0

    @cached_property
    def sources(self) -> Sources:
        return Sources(self.rows, self.columns)

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        c, h, w = shapes[0]
        self.sources.check(h, w)
        return (c, *self.sources.size)

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self.sources.take(inputs[0], self.value)

    def keeps_format(self, clamp: Clamp) -> bool:
        # Zero is a code of every format.
        return clamp == Clamp() and (self.value == 0 or not self.sources.constant)

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        (source,) = inputs
        rescaling = None if self.keeps_format(clamp) else quantise_rescaling(source, out, clamp, options)
        if rescaling is not None and self._late:
            return replace(rescaling, pad=np.atleast_1d(rescaling.out.codes(clamp(np.array(self.value)))))
        pad = np.array([source.zero]) if self.sources.constant else None
        if rescaling is not None:
            return replace(rescaling, pad=pad)
        if pad is not None:
            out = replace(source, lo=min(source.lo, source.zero), hi=max(source.hi, source.zero))
        return QuantLayer(source=source, out=source if pad is None else out, pad=pad)

    @property
    def _late(self) -> bool:
        """Whether the constant is put among the results of a requantisation: the input may have no code for it."""
        return self.sources.constant and self.value != 0

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        constant = 0 if layer.pad is None else layer.pad.astype(np.int32)
        if layer.requant is None:
            return self.sources.take(inputs[0], constant)
        if self._late:
            return self.sources.take(rescaled(inputs[0], layer), constant)
        return rescaled(self.sources.take(inputs[0], constant), layer)

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        if layer.requant is None:
            return writer.moved(inputs[0], self.sources, layer)
        if self._late:
            return writer.moved(writer.requantised(inputs[0], layer), self.sources, layer)
        return writer.requantised(writer.moved(inputs[0], self.sources, layer), layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        (c, height, width), (h_out, w_out) = shapes[0], self.sources.size
        pixels = max(height * width, h_out * w_out)
        return pareto(
            Folding(lanes, 1, lanes, lanes, pixels * ceil_div(c, lanes), multiplies=False) for lanes in useful(c)
        )

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        (c, height, width), (h_out, w_out) = shapes[0], self.sources.size
        pad = np.zeros(1, np.int64) if layer.pad is None else layer.pad
        late = self._late and layer.requant is not None
        codes = layer.out if late else layer.source
        chain: tuple[Instance, ...] = (
            units.resample(self.sources, shapes[0], codes, folding.lanes_in, pad, patient=not late),
        )
        roms: dict[str, Rom] = {}
        if layer.requant is not None:
            source = layer.source
            scale, roms["requant"] = units.requantise(
                layer, channels=c, lanes=folding.lanes_in, acc_bits=source.bits, acc_signed=source.signed
            )
            chain = (scale, *chain) if late else (*chain, scale)
        return Unit(chain, f"pixels moved, {c} channels, {height}x{width} -> {h_out}x{w_out} pixels", roms)
