"""Channels laid out as pixels: where a transposed convolution or a pixel shuffle ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from cnn2rtl.hardware import units
from cnn2rtl.hardware.moves import Sources
from cnn2rtl.hardware.unit import Folding, Instance, Rom, Unit, pareto
from cnn2rtl.hardware.window import Array
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import Op, register
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.quant.rescaling import quantise_passing, rescaled
from cnn2rtl.tensors import Clamp, FloatArray, Shape


@register
@dataclass(frozen=True, eq=False)
class DepthToSpace(Op):
    """The channels of a pixel are ``block`` (y, x) pixels of a finer map, all channels of one after those of the other.

    Of the finer map the part of ``size`` (h, w) is left that begins at ``offset``; by default all of it.
    """

    kind = "depth_to_space"
    keeps_channels = False
    block: tuple[int, int]
    offset: tuple[int, int] = (0, 0)
    size: tuple[int, int] | None = None

    def sources(self, height: int, width: int) -> Sources:
        """Where the pixels of the result come from, for a map of this size."""
        return _sources(self.block, self.offset, self.size, height, width)

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        c, h, w = shapes[0]
        parts = self.block[0] * self.block[1]
        if c % parts:
            raise ValueError(f"{c} channels do not divide into {self.block[0]}x{self.block[1]} pixels")
        sources = self.sources(h, w)
        sources.check(h, w)
        return (c // parts, *sources.size)

    def _fine(self, x: Array) -> Array:
        """The finer map of a map (n, h, w, c)."""
        n, h, w, c = x.shape
        by, bx = self.block
        pixels: Any = x.reshape(n, h, w, by, bx, c // (by * bx)).transpose(0, 1, 3, 2, 4, 5)
        fine: Array = pixels.reshape(n, h * by, w * bx, -1)
        return fine

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        _, h, w, _ = inputs[0].shape
        return self.sources(h, w).take(self._fine(inputs[0]), 0.0)

    def keeps_format(self, clamp: Clamp) -> bool:
        return clamp == Clamp()

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        return quantise_passing(inputs[0], out, clamp, options)

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        _, h, w, _ = inputs[0].shape
        moved = self.sources(h, w).take(self._fine(inputs[0]), 0)
        return moved if layer.requant is None else rescaled(moved, layer)

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        (c, h, w), (by, bx) = shapes[0], self.block
        parts = writer.op("Reshape", inputs[0], np.array([0, by, bx, c // (by * bx), h, w], np.int64))
        fine = writer.op("Transpose", parts, perm=[0, 3, 4, 1, 5, 2])
        fine = writer.op("Reshape", fine, np.array([0, c // (by * bx), h * by, w * bx], np.int64))
        moved = writer.moved(fine, self.sources(h, w), layer)
        return moved if layer.requant is None else writer.requantised(moved, layer)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        (c, height, width), (c_out, h_out, w_out) = shapes[0], self.out_shape(shapes)
        # No beat may hold channels of two pixels.
        return pareto(
            Folding(lanes, 1, lanes, lanes, max(height * width * c, h_out * w_out * c_out) // lanes, multiplies=False)
            for lanes in range(1, c_out + 1)
            if c_out % lanes == 0
        )

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        (c, height, width), (c_out, h_out, w_out) = shapes[0], self.out_shape(shapes)
        move = units.resample(
            self.sources(height, width), shapes[0], layer.source, folding.lanes_in, np.zeros(1, np.int64)
        )
        chain: tuple[Instance, ...] = (move,)
        roms: dict[str, Rom] = {}
        if layer.requant is not None:
            scale, roms["requant"] = units.requantise(
                layer,
                channels=c_out,
                lanes=folding.lanes_out,
                acc_bits=layer.source.bits,
                acc_signed=layer.source.signed,
            )
            chain = (*chain, scale)
        summary = f"channels as pixels, {c} -> {c_out} channels, {height}x{width} -> {h_out}x{w_out} pixels"
        return Unit(chain, summary, roms)


@lru_cache(maxsize=64)
def _sources(
    block: tuple[int, int], offset: tuple[int, int], size: tuple[int, int] | None, height: int, width: int
) -> Sources:
    h, w = size or (height * block[0], width * block[1])
    return Sources(tuple(range(offset[0], offset[0] + h)), tuple(range(offset[1], offset[1] + w)), block)
