"""The class index: which channel is largest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnn2rtl.hardware import units
from cnn2rtl.hardware.unit import Folding, Unit, over_channels
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import Op, register
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.tensors import Clamp, FloatArray, Shape


@register
@dataclass(frozen=True, eq=False)
class ArgMax(Op):
    """Index of the largest channel of each pixel, the first one of equals; c channels become one."""

    kind = "argmax"

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        return (1, *shapes[0][1:])

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self._index(inputs[0]).astype(np.float64)

    @staticmethod
    def _index(x: np.ndarray) -> IntArray:
        index: IntArray = np.argmax(x, -1, keepdims=True)
        return index

    def class_count(self, shapes: Sequence[Shape]) -> int:
        return shapes[0][0]

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        # How many channels there are is the shape's business: 16 bits count more than any network has classes.
        return QuantLayer(source=inputs[0], out=QFormat.full(16, False, 1.0))

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        return self._index(inputs[0])

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        return writer.op("ArgMax", inputs[0], axis=1)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        return over_channels(shapes[0])

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        c, height, width = shapes[0]
        lanes, source = folding.lanes_in, layer.source
        unit = units.argmax(source, lanes, c // lanes, layer.out.bits)
        return Unit((unit,), f"index of the largest of {c} channels, {height}x{width} pixels")
