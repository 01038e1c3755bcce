"""Window buffer: every window, tap and padding pixel in its place, and not a cycle lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from simulation import Simulate
from stream_tests import StreamCase
from unit_bench import Transfers, beats_of, in_lanes, random_codes

from cnn2rtl.hardware import units
from cnn2rtl.hardware.timing import Beats, Pipeline, Rows
from cnn2rtl.hardware.unit import Bits, ParameterValue, RowBuffer, ceil_div
from cnn2rtl.hardware.window import Window
from cnn2rtl.quant.qformat import IntArray, QFormat

LATENCY = 5
"""Cycles from taking the pixel that completes a window to showing the window's first beat."""


@dataclass(frozen=True)
class WindowBuffer(StreamCase):
    unit = "window_buffer"
    channels: int
    height: int
    width: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, bottom, left, right
    taps: tuple[int, int] = (1, 1)
    lanes: int = 1
    groups: int = 1
    repeat: int = 1
    bits: int = 8
    padded_with_codes: bool = False
    spacing: int = 1
    dilation: tuple[int, int] = (1, 1)

    @cached_property
    def window(self) -> Window:
        return Window(self.kernel, self.stride, self.padding, self.dilation)

    @property
    def pixel_beats(self) -> int:
        return self.groups * ceil_div(self.channels // self.groups, self.lanes)

    @property
    def window_beats(self) -> int:
        return self.pixel_beats * self.repeat * self.window.taps // (self.taps[0] * self.taps[1])

    @cached_property
    def pad(self) -> IntArray:
        """A code per channel, the last one with all bits set."""
        codes = np.arange(1, self.channels + 1) * 37 % (1 << self.bits)
        codes[-1] = (1 << self.bits) - 1
        return codes if self.padded_with_codes else np.zeros(self.channels, np.int64)

    @cached_property
    def instance(self) -> RowBuffer:
        """As it is built for pixels that come as fast as they are taken."""
        buffer = units.window_buffer(
            self.window, (self.channels, self.height, self.width), QFormat.full(self.bits, False, 1.0),
            lanes=self.lanes, taps=self.taps, groups=self.groups, repeat=self.repeat, pad=self.pad,
        )  # fmt: skip
        frame = self.height * self.width * self.pixel_beats
        pixels = Beats(np.arange(frame * (3 + 100 // frame)))
        return buffer.fitted(pixels, partial(Pipeline(0).held_up, pixels), self.spacing)

    @property
    def timing(self) -> Rows:
        return self.instance.timing

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        return self.instance.parameters

    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        image = random_codes(rng, (self.height, self.width, self.channels), self.bits, False)
        pixels = self._in_beats(image)
        top, bottom, left, right = self.padding
        padded = np.empty((self.height + top + bottom, self.width + left + right, *pixels.shape[2:]), np.int64)
        padded[:] = self._in_beats(self.pad)
        padded[top : top + self.height, left : left + self.width] = pixels

        (ky, kx), (sy, sx), (ty, tx), (dy, dx) = self.kernel, self.stride, self.taps, self.dilation
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.window.reach, (0, 1))
        windows = windows[::sy, ::sx, ..., ::dy, ::dx]
        h_out, w_out = windows.shape[:2]
        # (y, x, group, fold, lane, tap row block, tap row, tap column block, tap column)
        windows = windows.reshape(h_out, w_out, self.groups, -1, self.lanes, ky // ty, ty, kx // tx, tx)
        beats = windows.transpose(0, 1, 2, 3, 5, 7, 6, 8, 4)
        beats = beats.reshape(h_out, w_out, self.groups, 1, -1, ty * tx * self.lanes)
        return beats_of(pixels, self.bits), beats_of(np.repeat(beats, self.repeat, 3), self.bits)

    def _in_beats(self, pixels: IntArray) -> IntArray:
        """(..., channels) as (..., beats, lanes): no beat holds channels of two groups."""
        grouped = in_lanes(pixels.reshape(*pixels.shape[:-1], self.groups, -1), self.lanes)
        return grouped.reshape(*pixels.shape[:-1], -1, self.lanes)

    def check_speed(self, done: Transfers, beats_in: int, beats_out: int) -> None:
        """A frame takes as long as its pixels, or its windows: padding, row and frame ends are free."""
        top, _, left, _ = self.padding
        # The first window's last tap, in raster order; one outside the map waits for what the map has.
        tap = (self.window.reach[0] - 1 - top) * self.width + self.window.reach[1] - 1 - left
        completes = min(max(tap, 0), self.height * self.width - 1)
        assert done.given[0] == done.taken[(completes + 1) * self.pixel_beats - 1] + LATENCY
        ends = done.given[beats_out - 1 :: beats_out]
        spaced = beats_out // self.window_beats * self.spacing
        assert [b - a for a, b in pairwise(ends)] == [max(beats_in, beats_out, spaced)] * 2
        if beats_in >= max(beats_out, spaced):
            assert done.taken == list(range(len(done.taken)))
        elif self.spacing == 1:
            second = done.given[beats_out:]
            assert second == list(range(second[0], second[0] + len(second)))


ONE = (1, 1, 1, 1)
CASES = (
    WindowBuffer(1, 1, 1, (1, 1)),
    WindowBuffer(1, 1, 1, (3, 3), padding=ONE),
    WindowBuffer(2, 1, 1, (3, 3), padding=ONE, taps=(3, 3), lanes=2, padded_with_codes=True),
    WindowBuffer(1, 8, 8, (3, 3), padding=ONE, taps=(3, 3)),
    WindowBuffer(3, 6, 5, (3, 3), padding=ONE, padded_with_codes=True),
    WindowBuffer(5, 5, 7, (3, 3), padding=ONE, taps=(3, 1), lanes=2, padded_with_codes=True),
    WindowBuffer(3, 7, 6, (3, 3), (2, 2), ONE, taps=(3, 3), lanes=3, bits=5),
    WindowBuffer(2, 9, 9, (3, 3), (2, 2), ONE, taps=(3, 1)),
    WindowBuffer(2, 8, 8, (3, 3), (2, 2), (0, 1, 0, 1), lanes=2),
    WindowBuffer(1, 7, 9, (2, 2), (3, 3)),
    WindowBuffer(2, 7, 9, (1, 1), (2, 2), lanes=2, repeat=3),
    WindowBuffer(1, 9, 6, (2, 2), (2, 2), (1, 1, 0, 0), taps=(2, 2)),
    WindowBuffer(4, 6, 6, (5, 5), padding=(2, 2, 2, 2), taps=(5, 1), lanes=4, bits=3),
    WindowBuffer(1, 6, 7, (5, 3), (1, 2), (2, 1, 0, 2), taps=(5, 3)),
    WindowBuffer(2, 5, 9, (1, 5), padding=(0, 0, 3, 1), taps=(1, 5), padded_with_codes=True),
    WindowBuffer(2, 9, 4, (4, 1), (2, 1), (1, 2, 0, 0), taps=(4, 1)),
    WindowBuffer(1, 9, 5, (2, 1), (3, 1)),
    WindowBuffer(4, 5, 4, (3, 3), padding=ONE, lanes=1, groups=2, repeat=3, padded_with_codes=True),
    WindowBuffer(6, 4, 5, (3, 3), (2, 1), ONE, taps=(3, 3), lanes=3, groups=2, bits=4, padded_with_codes=True),
    WindowBuffer(7, 4, 4, (3, 3), padding=ONE, lanes=3, repeat=2, padded_with_codes=True),
    WindowBuffer(1, 4, 6, (7, 7), (2, 2), (3, 3, 3, 3), taps=(7, 7)),
    WindowBuffer(1, 3, 3, (3, 3), padding=(2, 2, 2, 2)),
    WindowBuffer(1, 12, 11, (3, 3), taps=(3, 3), bits=16),
    WindowBuffer(3, 6, 7, (3, 3), padding=ONE, taps=(3, 3), lanes=3, bits=1, padded_with_codes=True),
    WindowBuffer(1, 5, 6, (3, 2), (2, 1), bits=1),
    WindowBuffer(1, 10, 1, (3, 1), padding=(1, 1, 0, 0), bits=2),
    WindowBuffer(1, 1, 10, (1, 3), padding=(0, 0, 1, 1), bits=2),
    WindowBuffer(2, 2, 1, (3, 5), (1, 2), (4, 4, 0, 6), (3, 1), padded_with_codes=True),
    WindowBuffer(4, 8, 4, (2, 5), (2, 1), (0, 1, 0, 6), (2, 1), lanes=2, groups=2, repeat=2),
    WindowBuffer(2, 4, 3, (3, 3), (4, 4), (2, 4, 3, 2), bits=3, padded_with_codes=True),
    WindowBuffer(9, 5, 5, (3, 3), padding=ONE, taps=(3, 3), lanes=9, repeat=4, bits=6),
    WindowBuffer(1, 6, 5, (3, 3), padding=ONE, taps=(3, 3), spacing=4),
    WindowBuffer(2, 7, 8, (3, 3), (2, 2), ONE, lanes=2, spacing=23),
    WindowBuffer(3, 3, 4, (2, 1), (1, 1), (1, 0, 0, 0), taps=(2, 1), spacing=6),
    WindowBuffer(2, 7, 9, (3, 3), padding=(2, 2, 2, 2), dilation=(2, 2), padded_with_codes=True),
    WindowBuffer(1, 8, 9, (3, 3), padding=(2, 2, 2, 2), taps=(3, 3), dilation=(2, 2)),
    WindowBuffer(3, 9, 11, (3, 3), (2, 2), (1, 4, 3, 0), taps=(3, 3), lanes=2, dilation=(3, 4), padded_with_codes=True),
    WindowBuffer(1, 9, 13, (2, 5), (1, 3), (0, 3, 4, 2), taps=(2, 5), dilation=(4, 3), bits=4),
    WindowBuffer(2, 6, 8, (3, 2), padding=(0, 0, 1, 1), taps=(3, 1), dilation=(2, 2), lanes=2, repeat=2),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_window_buffer(case: WindowBuffer, simulate: Simulate) -> None:
    simulate(case, "stream_tests")


def test_pad_word_holds_every_channel() -> None:
    """The cases mean what they say: distinct codes per channel reach the parameter."""
    pad = next(case for case in CASES if case.padded_with_codes and case.channels == 5).parameters["PAD"]
    assert isinstance(pad, Bits)
    assert [(pad.value >> (8 * c)) & 255 for c in range(5)] == [37, 74, 111, 148, 255]
