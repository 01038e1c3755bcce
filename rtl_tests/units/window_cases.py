"""The windows of a line buffer, beat by beat, for the tests of the units that it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import ClassVar

from signal_tests import SignalCase

from cnn2rtl.hardware.unit import ParameterValue
from cnn2rtl.hardware.window import Window

TAP, TAP_ROW, FOLD, REPETITION, WINDOW, ROW, FRAME = range(7)
"""What comes behind a beat, as ``window_scan`` says it."""


@dataclass(frozen=True)
class Beat:
    """A beat of a window: ``y`` and ``x`` of its first tap, ``top`` and ``left`` of the window's, in the map."""

    top: int
    left: int
    y: int
    x: int
    number: int
    step: int


@dataclass(frozen=True)
class WindowCase(SignalCase):
    names: ClassVar[tuple[str, ...]]
    """The parameters that the unit has."""

    height: int
    width: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, bottom, left, right
    dilation: tuple[int, int] = (1, 1)
    taps: tuple[int, int] = (1, 1)
    groups: int = 1
    folds: int = 1
    repeat: int = 1
    rows: int = 0
    spacing: int = 1

    @cached_property
    def window(self) -> Window:
        return Window(self.kernel, self.stride, self.padding, self.dilation)

    @property
    def ring(self) -> int:
        """Rows of the ring: one more than a window reaches over, where nothing else is said."""
        return self.rows or self.window.reach[0] + 1

    @property
    def row_banks(self) -> int:
        return self.ring if self.taps[0] > 1 else 1

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        h_out, w_out = self.window.out_size(self.height, self.width)
        values: dict[str, ParameterValue] = {
            "GROUPS": self.groups, "FOLDS": self.folds, "REPEAT": self.repeat, "BEATS": self.groups * self.folds,
            "IN_H": self.height, "IN_W": self.width, "OUT_H": h_out, "OUT_W": w_out, "KERNEL_Y": self.kernel[0],
            "KERNEL_X": self.kernel[1], "STRIDE_Y": self.stride[0], "STRIDE_X": self.stride[1],
            "PAD_TOP": self.padding[0], "PAD_LEFT": self.padding[2], "DILATION_Y": self.dilation[0],
            "DILATION_X": self.dilation[1], "TAPS_Y": self.taps[0], "TAPS_X": self.taps[1], "ROWS": self.ring,
            "ROW_BANKS": self.row_banks, "COLUMN_BANKS": self.taps[1], "REACH_Y": self.window.reach[0],
            "REACH_X": self.window.reach[1], "SPACING": self.spacing,
        }  # fmt: skip
        return {name: values[name] for name in self.names}

    @cached_property
    def beats(self) -> tuple[Beat, ...]:
        """Those of a frame."""
        return tuple(self._beats())

    def _beats(self) -> Iterator[Beat]:
        (ky, kx), (ty, tx), (dy, dx) = self.kernel, self.taps, self.dilation
        loops = [
            range(size) for size in (*self.window.out_size(self.height, self.width), self.groups, self.repeat,
                                     self.folds, ky // ty, kx // tx)
        ]  # fmt: skip
        for at in product(*loops):
            row, column, group, _, fold, tap_y, tap_x = at
            top, left = row * self.stride[0] - self.padding[0], column * self.stride[1] - self.padding[2]
            # The innermost loop that does not end here steps; groups follow each other as beats of channels do.
            steps = (FRAME, ROW, WINDOW, FOLD, REPETITION, FOLD, TAP_ROW, TAP)
            ended = next(
                (n for n in range(7) if all(a == loop[-1] for a, loop in zip(at[n:], loops[n:], strict=True))), 7
            )
            yield Beat(top, left, top + tap_y * dy, left + tap_x * dx, group * self.folds + fold, steps[ended])


ONE = (1, 1, 1, 1)
GEOMETRIES: tuple[Mapping[str, object], ...] = (
    {"height": 1, "width": 1, "kernel": (1, 1)},
    {"height": 4, "width": 5, "padding": ONE},
    {"height": 5, "width": 4, "padding": ONE, "folds": 3, "groups": 2, "repeat": 2},
    {"height": 7, "width": 9, "padding": ONE, "stride": (2, 2), "taps": (3, 1), "folds": 2},
    {"height": 5, "width": 6, "padding": (2, 1, 0, 3), "stride": (2, 3), "taps": (3, 3), "rows": 5, "repeat": 3},
    {
        "height": 6,
        "width": 7,
        "kernel": (2, 3),
        "padding": (4, 5, 5, 4),
        "dilation": (3, 2),
        "taps": (2, 3),
        "folds": 2,
    },
    {"height": 1, "width": 9, "kernel": (1, 5), "padding": (0, 0, 2, 2), "taps": (1, 5), "rows": 2, "folds": 3},
    {"height": 3, "width": 2, "kernel": (2, 1), "stride": (4, 4), "padding": (2, 4, 3, 2), "rows": 8, "spacing": 7},
    {"height": 9, "width": 3, "kernel": (2, 2), "stride": (3, 1), "spacing": 2, "folds": 4},
)
"""Of all sorts, the unusual ones too."""
