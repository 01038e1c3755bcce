"""Tap select: every tap out of its memory, from whichever the first comes, or the padding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import pytest
import signal_tests
from signal_tests import SignalCase
from simulation import Simulate


@dataclass(frozen=True)
class TapSelect(SignalCase):
    unit = "tap_select"
    width: int
    taps_y: int = 1
    taps_x: int = 1
    row_banks: int = 1
    column_banks: int = 1
    dilation_y: int = 1
    dilation_x: int = 1

    def model(self) -> Model:
        return Model(self)


class Model(signal_tests.Model):
    def __init__(self, case: TapSelect) -> None:
        self.case, self.taps = case, None

    taps: int | None
    """What was chosen in the latest cycle that the pipeline moved in."""

    def inputs(self, rng: Random) -> Mapping[str, int]:
        case = self.case
        return {
            "en": int(rng.random() < 0.7),
            "words": rng.getrandbits(case.row_banks * case.column_banks * case.width),
            "slot": rng.randrange(case.row_banks),
            "bank": rng.randrange(case.column_banks),
            "outside_y": rng.getrandbits(case.taps_y) & rng.getrandbits(case.taps_y),
            "outside_x": rng.getrandbits(case.taps_x) & rng.getrandbits(case.taps_x),
            "pad": rng.getrandbits(case.width),
        }

    def outputs(self, inputs: Mapping[str, int]) -> Mapping[str, int]:
        return {} if self.taps is None else {"taps": self.taps}

    def clock(self, inputs: Mapping[str, int]) -> None:
        if not inputs["en"]:
            return
        case, self.taps = self.case, 0
        for y in range(case.taps_y):
            for x in range(case.taps_x):
                row = (inputs["slot"] + y * case.dilation_y) % case.row_banks
                column = (inputs["bank"] + x * case.dilation_x) % case.column_banks
                outside = inputs["outside_y"] >> y & 1 or inputs["outside_x"] >> x & 1
                word = inputs["words"] >> (row * case.column_banks + column) * case.width & (1 << case.width) - 1
                self.taps |= (inputs["pad"] if outside else word) << (y * case.taps_x + x) * case.width


CASES = (
    TapSelect(1),
    TapSelect(8, 3, 1, 4),
    TapSelect(6, 3, 3, 3, 3),
    TapSelect(4, 2, 5, 7, 5, dilation_y=3, dilation_x=2),
    TapSelect(9, 1, 4, 1, 4, dilation_x=3),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tap_select(case: TapSelect, simulate: Simulate) -> None:
    simulate(case, "signal_tests")
