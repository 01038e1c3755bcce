"""Channels picked in any order: slices, splits, channel shuffles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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


@register
@dataclass(frozen=True, eq=False)
class Select(Op):
    """Output channel i is input channel ``indices[i]``; one may be there more than once, or not at all.

    With a ``size`` (h, w) the pixels, in raster order as they are, form rows of another length.
    """

    kind = "select"
    keeps_channels = False
    indices: tuple[int, ...]
    size: tuple[int, int] | None = None

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        c, h, w = shapes[0]
        if not self.indices or min(self.indices) < 0 or max(self.indices) >= c:
            raise ValueError(f"takes channels {self.indices} of {c}")
        size = self.size or (h, w)
        if size[0] * size[1] != h * w:
            raise ValueError(f"makes {times(size)} pixels of {h}x{w}")
        return (len(self.indices), *size)

    @cached_property
    def _order(self) -> IntArray:
        return np.array(self.indices, np.int64)

    def _select(self, x: Array) -> Array:
        picked: Any = np.ascontiguousarray(x[..., self._order])
        n, h, w, c = picked.shape
        sized: Array = picked.reshape(n, *(self.size or (h, w)), c)
        return sized

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self._select(inputs[0])

    def keeps_format(self, clamp: Clamp) -> bool:
        return clamp == Clamp()

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        return quantise_passing(inputs[0], out, clamp, options)

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        picked = self._select(inputs[0])
        return picked if layer.requant is None else rescaled(picked, layer)

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        picked = writer.op("Gather", inputs[0], self._order, axis=1)
        if self.size is not None:
            picked = writer.op("Reshape", picked, np.array([0, 0, *self.size], np.int64))
        return picked if layer.requant is None else writer.requantised(picked, layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        (c, height, width), outputs = shapes[0], len(self.indices)
        found = []
        for lanes in useful(c):
            beats = ceil_div(c, lanes)
            picked = self._picked(c, lanes)
            if picked is not None:
                found.append(Folding(lanes, 1, lanes, len(picked[1]), height * width * beats, multiplies=False))
            # Whole pixels, and as many lanes behind as keep pace.
            for given in useful(outputs):
                cycles = height * width * max(beats, ceil_div(outputs, given))
                found.append(Folding(lanes, 1, lanes, given, cycles, multiplies=False))
        return pareto(found)

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        (c, height, width), outputs = shapes[0], len(self.indices)
        lanes, given, bits = folding.lanes_in, folding.lanes_out, layer.source.bits
        picked = self._picked(c, lanes)
        if picked is not None and len(picked[1]) == given:
            chain: tuple[Instance, ...] = (units.stream_select(*picked, lanes, bits),)
        else:
            chain = (
                *units.gearbox("gather", bits, c, lanes, c),
                units.stream_select((True,), self.indices, c, bits),
                *units.gearbox("spread", bits, outputs, outputs, given),
            )
        roms = {}
        if layer.requant is not None:
            scale, roms["requant"] = units.requantise(
                layer, channels=outputs, lanes=given, acc_bits=bits, acc_signed=layer.source.signed
            )
            chain = (*chain, scale)
        return Unit(chain, f"{outputs} of {c} channels, {height}x{width} pixels", roms)

    def _picked(self, channels: int, lanes: int) -> tuple[tuple[bool, ...], tuple[int, ...]] | None:
        """Which beats of ``channels`` are kept, and which ``lanes`` of each; ``None`` where it takes whole pixels.

        It does unless every beat that is kept gives the same lanes, and the beats come in their order.
        """
        beats, within = self._order // lanes, self._order % lanes
        kept = np.unique(beats)
        if beats.size % kept.size:
            return None
        rows = (kept.size, beats.size // kept.size)
        if np.any(beats.reshape(rows) != kept[:, None]) or np.any(within.reshape(rows) != within[: rows[1]]):
            return None
        return tuple(np.isin(np.arange(ceil_div(channels, lanes)), kept).tolist()), tuple(within[: rows[1]].tolist())
