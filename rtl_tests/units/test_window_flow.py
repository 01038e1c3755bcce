"""Window flow: a pixel comes where there is room for it, a window goes where all that it needs has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random

import pytest
import signal_tests
from simulation import Simulate
from window_cases import FRAME, GEOMETRIES, ROW, WINDOW, WindowCase

from cnn2rtl.hardware.window import IntArray


@dataclass(frozen=True)
class WindowFlow(WindowCase):
    unit = "window_flow"
    names = (
        "IN_H", "IN_W", "OUT_H", "OUT_W", "REACH_Y", "REACH_X", "STRIDE_Y", "STRIDE_X", "PAD_TOP", "PAD_LEFT", "ROWS",
        "SPACING",
    )  # fmt: skip
    cycles = 1500

    @cached_property
    def needed(self) -> IntArray:
        """Of each window of a frame the pixel that completes it."""
        return self.window.last_pixels(self.height, self.width)

    @cached_property
    def kept(self) -> IntArray:
        """Of each window, how many pixels of the frame have been given up when its turn comes."""
        return self.window.kept_pixels(self.height, self.width)

    def model(self) -> Model:
        return Model(self)


class Model(signal_tests.Model):
    """Pixels and windows counted from the first frame on, with the rules as they are in Python."""

    def __init__(self, case: WindowFlow) -> None:
        self.case, self.frame = case, case.height * case.width
        self.pixels = self.beat = self.window = self.cycle = 0
        self.first, self.begun = True, -case.spacing
        self.places, self.freed = case.ring * case.width + int(case.kept[0]), 0

    def inputs(self, rng: Random) -> Mapping[str, int]:
        case, room = self.case, self.places > 0
        beat = case.beats[self.beat]
        begins, next_begins = (0 <= top < case.height for top in (beat.top, beat.top + case.stride[0]))
        frees = {WINDOW: begins and beat.left + case.stride[1] <= case.width, ROW: next_begins, FRAME: True}
        pixel = room and rng.random() < 0.7
        return {
            "pixel": int(pixel),
            "frame": int(pixel and (self.pixels + 1) % self.frame == 0),
            "en": int(rng.random() < 0.8),
            "step": beat.step,
            "frees": int(frees.get(beat.step, rng.random() < 0.5)),
            "enters": int(not begins),
        }

    def outputs(self, inputs: Mapping[str, int]) -> Mapping[str, int]:
        number, window = divmod(self.window, self.case.needed.size)
        there = self.pixels > number * self.frame + self.case.needed[window]
        rested = not self.first or self.cycle >= self.begun + self.case.spacing
        return {"room": int(self.places > 0), "go": int(inputs["en"] and there and rested)}

    def clock(self, inputs: Mapping[str, int]) -> None:
        go = self.outputs(inputs)["go"]
        self.pixels += inputs["pixel"]
        self.places -= inputs["pixel"]
        if inputs["en"]:
            # What a window gives up is known an advance later.
            self.places += self.freed
            self.freed = 0
        if go:
            if self.first:
                self.begun = self.cycle
            self.first = inputs["step"] >= WINDOW
            if self.first:
                self.freed = self._given_up(self.window + 1) - self._given_up(self.window)
                self.window += 1
            self.beat = (self.beat + 1) % len(self.case.beats)
        self.cycle += 1

    def _given_up(self, window: int) -> int:
        number, window = divmod(window, self.case.kept.size)
        return number * self.frame + int(self.case.kept[window])


PLAIN = tuple(WindowFlow(**geometry) for geometry in GEOMETRIES)  # type: ignore[arg-type]
CASES = (*PLAIN, *(replace(case, rows=case.ring + 2 * case.height + 1, spacing=3) for case in PLAIN[1:5]))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_window_flow(case: WindowFlow, simulate: Simulate) -> None:
    simulate(case, "signal_tests")
