"""``window_buffer``: rows of a map, read as windows."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np

from cnn2rtl.hardware.parts import Memory, Parameters, Parts, at_least_1, clog2, describes
from cnn2rtl.hardware.timing import Windows
from cnn2rtl.hardware.unit import Bits, RowBuffer, ceil_div, pack
from cnn2rtl.hardware.window import Window
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.tensors import Shape


def tap_choices(window: Window) -> tuple[tuple[int, int], ...]:
    """How many tap rows and columns a beat of the window may hold."""
    ky, kx = window.kernel
    # Columns lie in as many memories as are read side by side: with some dilations two taps would share one.
    apart = gcd(window.dilation[1], kx) == 1
    return tuple(dict.fromkeys(((1, 1), (ky, 1), *(((ky, kx),) if apart else ()))))


def window_buffer(
    window: Window,
    shape: Shape,
    source: QFormat,
    *,
    lanes: int,
    taps: tuple[int, int],
    groups: int = 1,
    repeat: int = 1,
    slices: int = 1,
    pad: IntArray | None = None,
) -> RowBuffer:
    """Line buffer for ``shape`` (c, h, w); the next unit takes ``slices`` cycles over a beat.

    It gets a row more than the window has, until it is fitted. ``pad`` are the codes around the map, one per channel;
    default 0.
    """
    channels, height, width = shape
    folds = ceil_div(channels // groups, lanes)
    h_out, w_out = window.out_size(height, width)
    pad_word = np.zeros(groups * folds * lanes, np.int64)
    if pad is not None:
        pad_word[:channels] = pad
    window_beats = groups * folds * repeat * (window.taps // (taps[0] * taps[1]))
    columns = ceil_div(width + window.padding[2] % taps[1], taps[1]) * taps[1]
    rows = window.reach[0] + 1
    return RowBuffer(
        "window",
        "window_buffer",
        {
            "BITS": source.bits,
            "LANES": lanes,
            "GROUPS": groups,
            "FOLDS": folds,
            "REPEAT": repeat,
            "IN_H": height,
            "IN_W": width,
            "OUT_H": h_out,
            "OUT_W": w_out,
            "KERNEL_Y": window.kernel[0],
            "KERNEL_X": window.kernel[1],
            "STRIDE_Y": window.stride[0],
            "STRIDE_X": window.stride[1],
            "DILATION_Y": window.dilation[0],
            "DILATION_X": window.dilation[1],
            "PAD_TOP": window.padding[0],
            "PAD_LEFT": window.padding[2],
            "TAPS_Y": taps[0],
            "TAPS_X": taps[1],
            "ROWS": rows,
            "SPACING": 1,
            "PAD": Bits(pad_word.size * source.bits, pack(pad_word[None], source.bits)[0]),
        },
        lanes * source.bits,
        taps[0] * taps[1] * lanes * source.bits,
        Windows(window, (height, width), groups * folds, window_beats, slices, rows=rows),
        rows * columns * pad_word.size * source.bits,
    )


@dataclass(frozen=True)
class _Axis:
    """Of a window buffer: rows, or columns. ``reach`` is in pixels, from a window's first tap to its last."""

    size: int
    windows: int
    reach: int
    stride: int
    pad: int
    dilation: int
    taps: int

    @classmethod
    def of(cls, p: Parameters, axis: str) -> _Axis:
        down = axis == "Y"
        dilation = max(1, p[f"DILATION_{axis}"])
        return cls(
            p["IN_H" if down else "IN_W"], p["OUT_H" if down else "OUT_W"], (p[f"KERNEL_{axis}"] - 1) * dilation,
            p[f"STRIDE_{axis}"], p["PAD_TOP" if down else "PAD_LEFT"], dilation, p[f"TAPS_{axis}"],
        )  # fmt: skip

    @property
    def most(self) -> int:
        """Pixels from the padding's first to the first tap of the last step."""
        return (self.windows - 1) * self.stride + (self.reach if self.taps == 1 else 0)

    def starts(self, banks: int, *more: int) -> int:
        """In how many of so many memories in a ring a window may begin, as far as synthesis sees.

        It sees bits that never change. From a window to the next is a stride, and ``more`` at times.
        """
        common = gcd(banks, *more, *([self.stride] if self.windows > 1 else []))
        return 1 if common == banks else banks // (common & -common)

    @property
    def beyond(self) -> bool:
        """Whether the last window reaches beyond the map."""
        return (self.windows - 1) * self.stride + self.reach >= self.size + self.pad

    @property
    def live(self) -> int:
        """Taps that ever lie on the map; those that never do are padding for good, and nothing chooses for them."""
        firsts = range(-self.pad, -self.pad + self.windows * self.stride, self.stride)
        return sum(any(0 <= first + tap * self.dilation < self.size for first in firsts) for tap in range(self.taps))

    @property
    def comparisons(self) -> tuple[int, int]:
        """By which a tap is known to lie before the map, and behind it: how many taps may."""
        first = [self.pad - tap * self.dilation for tap in range(self.taps)]
        before, behind = sum(at > 0 for at in first), sum(at + self.size <= self.most for at in first)
        return min(before, self.live), min(behind, self.live)


@describes("window_buffer")
def window_buffer_parts(p: Parameters) -> Parts:
    y, x = _Axis.of(p, "Y"), _Axis.of(p, "X")
    rows, beat_bits, beats = p["ROWS"], p["LANES"] * p["BITS"], p["GROUPS"] * p["FOLDS"]
    y_banks, x_banks = rows if y.taps > 1 else 1, x.taps
    words = ceil_div(x.size + x.pad % x_banks, x_banks) * beats * (1 if y_banks > 1 else rows)
    address, ring = at_least_1(clog2(words)), y_banks == 1 and words & (words - 1) != 0
    taps, padded = y.live * x.live, p["PAD"] != 0 and beats > 1
    loops = [beats, x.size, p["FOLDS"], p["REPEAT"], p["GROUPS"], p["KERNEL_Y"] // y.taps, p["KERNEL_X"] // x.taps]
    # What is counted only where someone asks: complete frames, rows of the ring, words where they are not dealt out.
    loops += [y.size] * (y.beyond or x.beyond) + [rows] * (y_banks * x_banks > 1) + [words] * (x_banks == 1)
    columns = min(x_banks, x.size)  # memories that are not empty
    y_starts, x_starts = y.starts(y_banks, y.size - (y.windows - 1) * y.stride), min(x.starts(x_banks), columns)
    slot, column, number = (clog2(n) for n in (y_starts, x_starts, beats if padded else 1))
    places = clog2((rows + y.stride) * x.size + x.pad + 2) + 1
    ahead = clog2(max(rows, y.reach + 1, y.stride) * x.size + x.reach + 2) + 1
    known = [sum(map(bool, axis.comparisons)) and max(axis.comparisons) for axis in (y, x)]
    features = {
        "one": 1,
        # A counter has a bit more: that of its last step.
        "counters": sum(clog2(loop) + 1 for loop in loops if loop > 1),
        "positions": clog2(y.most + 2) + clog2(x.most + 2),
        "credit": places + ahead,
        "comparisons": sum(sum(axis.comparisons) * clog2(axis.most + 2) for axis in (y, x)),
        "spacing": clog2(p["SPACING"]) + 3 if p["SPACING"] > 1 else 0,
        "address": address * (1 if x_banks == 1 else 2),
        "ring address": address if ring else 0,
        "bank addresses": address * x_banks if x_banks > 1 else 0,
        "memories": y_banks * columns if y_banks * columns > 1 else 0,
        "on the way": slot + column + number + sum(known),
        "banks": slot + column,
        "slots": slot * y.live,
        "columns": column * x.live,
        "row choice": y.live * (y_starts - 1) * (columns if x_starts > 1 else x.live) * beat_bits,
        "column choice": taps * (x_starts - 1) * beat_bits,
        "words": y_banks * columns * beat_bits,
        "data": taps * beat_bits,
        "padding": taps * beat_bits * padded,
    }
    return Parts(features, (Memory(beat_bits, words, True, p.place, y_banks * columns),))
