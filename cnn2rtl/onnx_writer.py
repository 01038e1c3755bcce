"""What layer kinds write their integers with: standard operators of ONNX, on integers.

Maps are NCHW here, as ONNX has them, and every tensor between two layers is int64. Sums of products are ``ConvInteger``
of unsigned bytes, exact in int32; wider operands are cut into bytes, and their sums put together in int64. Maxima go
through float32, which holds all codes exactly and only compares them. The operators: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn2rtl.errors import UserError
from cnn2rtl.hardware.moves import Sources
from cnn2rtl.hardware.window import Window
from cnn2rtl.quant.layers import QuantLayer
from cnn2rtl.quant.qformat import IntArray, QFormat, signed_bits

if TYPE_CHECKING:
    import onnx

OPSET, IR_VERSION = 17, 8
"""Understood by runtimes of 2022 and later."""

MIDDLE = 128
"""The byte that stands for zero where a byte is signed. Bytes are unsigned all the same: where a processor has no VNNI,
onnxruntime may saturate sums of products with signed ones, as its page "Quantize ONNX models" tells.
"""

SUM_BITS, CODE_BITS = 31, 63
"""Of what ``ConvInteger`` sums up, and of what requantisation multiplies, without the sign."""


def load_onnx() -> ModuleType:
    """The package ``onnx``, which is no requirement of cnn2rtl; raises :class:`UserError` where it is missing."""
    try:
        import onnx
    except ModuleNotFoundError:
        raise UserError("ONNX needs the package onnx, which is not installed: pip install 'cnn2rtl[onnx]'") from None
    return onnx


class OnnxWriter:
    """An ONNX graph in the making. Tensors go by their names; numbers become constants of the graph."""

    def __init__(self, package: ModuleType) -> None:
        self.onnx: Any = package
        self.layer = "input"
        """Whose operators these are; their names begin with it."""
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}

    def op(self, kind: str, *inputs: str | int | np.number | np.ndarray, **attributes: Any) -> str:
        """Apply the operator ``kind``; numbers are int64, arrays what they are."""
        names = [value if isinstance(value, str) else self._constant(np.asarray(value)) for value in inputs]
        result = f"{self.layer}/{kind}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, names, [result], result, **attributes))
        return result

    def _constant(self, values: np.ndarray) -> str:
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self.constants:
            name = f"{self.layer}/constant_{len(self.constants)}"
            self.constants[key] = self.onnx.numpy_helper.from_array(values, name)
        return self.constants[key].name

    def name(self, tensor: str, name: str) -> None:
        """Give ``tensor`` another name."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [tensor], [name], name))

    def cast(self, tensor: str, dtype: type[np.generic]) -> str:
        return self.op("Cast", tensor, to=self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def maximum(self, codes: str, window: Window) -> str:
        """The largest code under the window; padding never wins."""
        pixels = self.cast(codes, np.float32)
        if any(pad >= size for pad, size in zip(window.padding, np.repeat(window.kernel, 2), strict=True)):
            # More than MaxPool has: no code is as low as what is put there.
            top, bottom, left, right = window.padding
            pads = np.array([0, 0, top, left, 0, 0, bottom, right])
            pixels, window = self.op("Pad", pixels, pads, np.float32(-np.inf)), replace(window, padding=(0, 0, 0, 0))
        largest = self.op("MaxPool", pixels, **_geometry(window))
        return self.cast(largest, np.int64)

    def moved(self, codes: str, sources: Sources, layer: QuantLayer) -> str:
        """The pixels that ``sources`` tells of, on the fine grid; the constant is the layer's ``pad``."""
        chosen = [np.array(indices, np.int64) for indices in (sources.rows, sources.columns)]
        for axis, indices in enumerate(chosen, 2):
            codes = self.op("Gather", codes, np.maximum(indices, 0), axis=axis)
        if layer.pad is None or not sources.constant:
            return codes
        outside = (chosen[0] < 0)[:, None] | (chosen[1] < 0)
        return self.op("Where", outside, per_channel(layer.pad), codes)

    def sums(self, codes: str, layer: QuantLayer, kernels: IntArray, window: Window, groups: int = 1) -> str:
        """Sums of products under the window, exactly; ``kernels`` are (c_out, c_in / groups, ky, kx)."""
        if layer.pad is not None:
            # What surrounds the map is not 0: it is made 0, and what it was after the padding.
            top, bottom, left, right = window.padding
            border, window = per_channel(layer.pad), replace(window, padding=(0, 0, 0, 0))
            padded = self.op("Pad", self.op("Sub", codes, border), np.array([0, 0, top, left, 0, 0, bottom, right]))
            codes = self.op("Add", padded, border)
        total = ""
        for x, x_zero, x_shift in list(self._digits(codes, layer.source)):
            for weight, weight_zero, weight_shift in _digits(kernels):
                convolved = self.op("ConvInteger", x, weight, x_zero, weight_zero, group=groups, **_geometry(window))
                part = self.op("Mul", self.cast(convolved, np.int64), 1 << x_shift + weight_shift)
                total = self.op("Add", total, part) if total else part
        return total

    def _digits(self, codes: str, source: QFormat) -> Iterator[tuple[str, np.uint8, int]]:
        """As :func:`_digits`, for what the network computes: the sum of (byte - zero) << shift."""
        shift = 0
        while shift + 8 < source.bits:
            low = self.op("Mod", codes, 256)
            yield self.cast(low, np.uint8), np.uint8(0), shift
            codes, shift = self.op("Div", self.op("Sub", codes, low), 256), shift + 8
        zero = MIDDLE if source.signed else 0
        yield self.cast(self.op("Add", codes, zero), np.uint8), np.uint8(zero), shift

    def requantised(self, total: str, layer: QuantLayer) -> str:
        """``total`` plus the layer's bias, requantised: see :class:`cnn2rtl.quant.qformat.Requant`."""
        requant = layer.requant
        assert requant is not None
        largest = layer.reach * int(requant.multiplier.max()) + (1 << int(requant.shift.max()))
        if largest.bit_length() > CODE_BITS:
            raise OverflowError(f"its requantisation takes {largest.bit_length()} bits, and ONNX has {CODE_BITS}")
        if layer.bias is not None:
            total = self.op("Add", total, per_channel(layer.bias))
        step = per_channel(np.left_shift(1, requant.shift))
        scaled = self.op("Add", self.op("Mul", total, per_channel(requant.multiplier)), step // 2)
        # Div cuts off towards zero, Mod goes with floor: what is left divides without rest.
        whole = self.op("Div", self.op("Sub", scaled, self.op("Mod", scaled, step)), step)
        codes = self.op("Add", whole, requant.zero) if requant.zero else whole
        return self.op("Clip", codes, requant.lo, requant.hi)


def per_channel(values: IntArray) -> IntArray:
    """``values``, (channels,) or (h, w, channels), as they meet a map (n, c, h, w)."""
    pixels = values.astype(np.int64).reshape(values.shape if values.ndim == 3 else (1, 1, -1))
    return pixels.transpose(2, 0, 1)


def _geometry(window: Window) -> dict[str, Sequence[int]]:
    top, bottom, left, right = window.padding
    return {
        "kernel_shape": window.kernel,
        "strides": window.stride,
        "pads": (top, left, bottom, right),
        "dilations": window.dilation,
    }


def _digits(kernels: IntArray) -> list[tuple[np.ndarray, np.uint8, int]]:
    """Integers as unsigned bytes with what stands for zero: the sum of (byte - zero) << shift.

    The digits have 8 bits, or as many as keep sums of products with bytes within int32.
    """
    bits = signed_bits(int(kernels.min()), int(kernels.max()))
    for width in range(8, 0, -1):
        shifts = range(0, bits, width)
        digits = [kernels >> shift & (1 << width) - 1 for shift in shifts[:-1]] + [kernels >> shifts[-1]]
        largest = max(int(np.abs(digit).sum((1, 2, 3)).max()) for digit in digits)
        if (255 * largest).bit_length() <= SUM_BITS:
            zeros = [np.uint8(0 if shift < shifts[-1] else MIDDLE) for shift in shifts]
            return [((d + int(z)).astype(np.uint8), z, s) for d, z, s in zip(digits, zeros, shifts, strict=True)]
    raise OverflowError("it sums up more products than ONNX has bits for")
