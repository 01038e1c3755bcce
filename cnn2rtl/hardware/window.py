"""The geometry of a sliding window: kernel, stride and padding, shared by convolutions and pools."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from cnn2rtl.quant.qformat import IntArray
from cnn2rtl.tensors import Shape

Array = TypeVar("Array", bound=np.ndarray[Any, Any])


@dataclass(frozen=True)
class Window:
    """``kernel``, ``stride`` and ``dilation`` are (y, x); ``padding`` is (top, bottom, left, right), in pixels.

    A dilation means nothing where there is but one tap, and is 1 there.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        (ky, kx), (dy, dx) = self.kernel, self.dilation
        object.__setattr__(self, "dilation", (dy if ky > 1 else 1, dx if kx > 1 else 1))

    @cached_property
    def reach(self) -> tuple[int, int]:
        """Rows and columns from the first tap to the last, (y, x)."""
        (ky, kx), (dy, dx) = self.kernel, self.dilation
        return (ky - 1) * dy + 1, (kx - 1) * dx + 1

    @cached_property
    def taps(self) -> int:
        """Pixels under the window."""
        return self.kernel[0] * self.kernel[1]

    @property
    def padded(self) -> bool:
        return any(self.padding)

    @property
    def tiles(self) -> bool:
        """Whether windows lie side by side: no overlap, no gap, no padding."""
        return self.kernel == self.stride and not self.padded and self.dilation == (1, 1)

    def out_size(self, height: int, width: int) -> tuple[int, int]:
        """Output (h, w); raises ``ValueError`` where the window does not fit the padded map."""
        top, bottom, left, right = self.padding
        room = (height + top + bottom - self.reach[0], width + left + right - self.reach[1])
        if min(room) < 0:
            raise ValueError(
                f"a {self.reach[0]}x{self.reach[1]} window does not fit a {height}x{width} map "
                f"with padding {self.padding}"
            )
        return room[0] // self.stride[0] + 1, room[1] // self.stride[1] + 1

    def padded_shape(self, shape: Shape) -> Shape:
        """A map of ``shape`` (c, h, w) with its padding around it."""
        (c, h, w), (top, bottom, left, right) = shape, self.padding
        return c, top + h + bottom, left + w + right

    def out_shape(self, shape: Shape, channels: int | None = None) -> Shape:
        """Output (c, h, w); ``channels`` replaces the input's where the layer changes them."""
        return (channels or shape[0], *self.out_size(*shape[1:]))

    def sees_pixels(self, height: int, width: int) -> bool:
        """Whether some tap of every window lies in the map."""
        first_y, first_x = self._origins(height, width)
        return all(
            bool(((taps >= 0) & (taps < size)).any(1).all())
            for taps, size in (
                (first_y.reshape(-1, 1) + np.arange(self.kernel[0]) * self.dilation[0], height),
                (first_x.reshape(-1, 1) + np.arange(self.kernel[1]) * self.dilation[1], width),
            )
        )

    def last_pixels(self, height: int, width: int) -> IntArray:
        """Which pixel completes each window, (windows,), pixels counted in raster order.

        A window that reaches into the padding on the right waits for as many pixels of the next row.
        """
        y, x = self._origins(height, width)
        last = (y + self.reach[0] - 1) * width + x + self.reach[1] - 1
        return last.clip(0, height * width - 1).ravel()

    def kept_pixels(self, height: int, width: int) -> IntArray:
        """Before which pixel, in raster order, all have been given up when each window's turn has come, (windows,).

        Windows that begin above the map give up nothing, those right of it no more than their row, those below it
        nothing more.
        """
        y, x = self._origins(height, width)
        begins = (y >= 0) & (y < height)
        left = self.padding[2]
        kept = np.where(begins, y * width + np.where(x <= width, x, x[x <= width].max(initial=-left)), 0)
        return np.where(y >= height, kept[begins[:, 0]].max(initial=0), kept).ravel()

    def _origins(self, height: int, width: int) -> tuple[IntArray, IntArray]:
        """Row (h_out, 1) and column (w_out,) of the pixel under each window's first tap; outside the map, too."""
        h_out, w_out = self.out_size(height, width)
        top, _, left, _ = self.padding
        return (np.arange(h_out) * self.stride[0] - top)[:, None], np.arange(w_out) * self.stride[1] - left

    def shifted(self, x: Array, pad_value: Array | float = 0) -> Iterator[tuple[int, int, Array]]:
        """Yield (ky, kx, view): for each tap the input pixels it meets, shape (n, h_out, w_out, c).

        ``pad_value`` is a number or one per channel.
        """
        top, bottom, left, right = self.padding
        if self.padded:
            n, h, w, c = x.shape
            padded: Any = np.empty((n, h + top + bottom, w + left + right, c), x.dtype)
            padded[:] = pad_value
            padded[:, top : top + h, left : left + w] = x
        else:
            padded = x
        h_out, w_out = self.out_size(x.shape[1], x.shape[2])
        (sy, sx), (dy, dx) = self.stride, self.dilation
        for ky in range(self.kernel[0]):
            for kx in range(self.kernel[1]):
                y, x0 = ky * dy, kx * dx
                yield ky, kx, padded[:, y : y + sy * (h_out - 1) + 1 : sy, x0 : x0 + sx * (w_out - 1) + 1 : sx]

    def patches(self, x: Array, pad_value: Array | float = 0) -> Array:
        """The pixels under every window side by side, (n * h_out * w_out, c, taps)."""
        (side_by_side,) = self.strips(x, pad_value, sys.maxsize)
        return side_by_side

    def strips(self, x: Array, pad_value: Array | float, most: int) -> Iterator[Array]:
        """The same, as many rows of windows at a time as have ``most`` values side by side, or one."""
        views = [pixels for _, _, pixels in self.shifted(x, pad_value)]
        count, height, width, channels = views[0].shape
        rows = max(1, most // (count * width * channels * self.taps))
        for first in range(0, height, rows):
            columns: Any = np.stack([pixels[:, first : first + rows] for pixels in views], axis=-1)
            side_by_side: Array = columns.reshape(-1, channels, self.taps)
            yield side_by_side
