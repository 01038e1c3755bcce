"""Any function of one value: sigmoid, SiLU, GELU and their like, as a table of the integer input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cnn2rtl.hardware import units
from cnn2rtl.hardware.unit import Folding, Packed, Rom, Unit
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.ops.base import Op, register
from cnn2rtl.ops.functions import FUNCTIONS
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.tensors import Clamp, FloatArray, Shape


@register
@dataclass(frozen=True, eq=False)
class Table(Op):
    """``function`` of :data:`~cnn2rtl.ops.functions.FUNCTIONS`, with its ``arguments``, of every value by itself.

    No arithmetic is left of it: each code of the input has its result in a ROM, rounded once.
    """

    kind = "table"
    function: str
    arguments: tuple[float, ...] = ()

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        with np.errstate(all="ignore"):
            return FUNCTIONS[self.function](inputs[0], *self.arguments)

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        """Codes for which the function is not defined have the result of the nearest one for which it is.

        Raises ``ValueError`` where it is defined for none.
        """
        (source,) = inputs
        # One table for all channels, so one scale.
        out = replace(out, scale=out.coarsest).clamped(clamp.lo, clamp.hi)
        codes = np.clip(_codes(source), source.lo, source.hi)
        known = np.unique(codes[~self._undefined(source, codes)])
        if not known.size:
            raise ValueError(
                f"{self.function} is defined for none of the values {source.reals(codes).min():g} to "
                f"{source.reals(codes).max():g} of its input; put a layer before it that makes others"
            )
        nearest = known[np.searchsorted((known[1:] + known[:-1]) / 2, codes)]
        reals = clamp(self.forward([source.reals(nearest)]))
        return QuantLayer(source=source, out=out, table=out.codes(reals))

    def caution(self, layer: QuantLayer) -> str:
        codes = np.arange(layer.source.lo, layer.source.hi + 1)
        undefined = self._undefined(layer.source, codes)
        if not undefined.any():
            return ""
        lost = layer.source.reals(codes[undefined])
        return (
            f"{self.function} is not defined for {lost.min():g} to {lost.max():g}, which codes of its input can stand "
            "for; such a value counts as the nearest for which it is."
        )

    def _undefined(self, source: QFormat, codes: IntArray) -> np.ndarray:
        """Of which ``codes`` there is no function."""
        return np.isnan(self.forward([source.reals(codes)]))

    def limits(self, inputs: Sequence[QFormat]) -> Clamp:
        (source,) = inputs
        reals = self.forward([source.reals(np.clip(_codes(source), source.lo, source.hi))])
        known = reals[~np.isnan(reals)]
        return Clamp(float(known.min(initial=np.inf)), float(known.max(initial=-np.inf)))

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        assert layer.table is not None
        found: IntArray = layer.table.astype(np.int32)[inputs[0] & ((1 << layer.source.bits) - 1)]
        return found

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        assert layer.table is not None
        # A negative code counts from the end, in ONNX as in two's complement.
        return writer.op("Gather", layer.table.astype(np.int64), inputs[0], axis=0)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        return units.lane_foldings(shapes[0])

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        assert layer.table is not None
        (c, height, width), lanes = shapes[0], folding.lanes_in
        source, out = layer.source, layer.out
        rom = Rom(out.bits, Packed(layer.table[:, None], out.bits))
        lookup = units.lookup(source, out, layer.table, lanes)
        named = ", ".join([self.function, *(f"{number:g}" for number in self.arguments)])
        return Unit((lookup,), f"table of {named}, {c} channels, {height}x{width} pixels", {"table": rom})


def _codes(source: QFormat) -> IntArray:
    """Every code of ``source``, by its bits as an unsigned number."""
    codes = np.arange(1 << source.bits)
    return codes - ((codes >> source.bits - 1) << source.bits) if source.signed else codes
