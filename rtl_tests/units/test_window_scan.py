"""Window scan: the beats of all windows in their order, and what each is the last of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import pytest
import signal_tests
from simulation import Simulate
from window_cases import FRAME, GEOMETRIES, ROW, WINDOW, WindowCase


@dataclass(frozen=True)
class WindowScan(WindowCase):
    unit = "window_scan"
    names = (
        "GROUPS", "FOLDS", "REPEAT", "IN_H", "IN_W", "OUT_H", "OUT_W", "KERNEL_Y", "KERNEL_X", "STRIDE_Y", "STRIDE_X",
        "PAD_TOP", "PAD_LEFT", "DILATION_Y", "DILATION_X", "TAPS_Y", "TAPS_X",
    )  # fmt: skip

    def model(self) -> Model:
        return Model(self)


class Model(signal_tests.Model):
    def __init__(self, case: WindowScan) -> None:
        self.case, self.gone = case, 0

    def inputs(self, rng: Random) -> Mapping[str, int]:
        return {"next": int(rng.random() < 0.9)}

    def outputs(self, inputs: Mapping[str, int]) -> Mapping[str, int]:
        case = self.case
        beat = case.beats[self.gone % len(case.beats)]

        def outside(first: int, axis: int, size: int) -> int:
            taps = [first + tap * case.dilation[axis] for tap in range(case.taps[axis])]
            return sum((not 0 <= tap < size) << number for number, tap in enumerate(taps))

        found = {
            "beat": beat.number,
            "outside_y": outside(beat.y, 0, case.height),
            "outside_x": outside(beat.x, 1, case.width),
            "step": beat.step,
        }
        begins = 0 <= beat.top < case.height
        if beat.step == WINDOW:
            found["frees"] = int(begins and beat.left + case.stride[1] <= case.width)
        elif beat.step == ROW:
            found |= {"frees": int(0 <= beat.top + case.stride[0] < case.height), "enters": int(not begins)}
        elif beat.step == FRAME:
            found["frees"] = 1
        return found

    def clock(self, inputs: Mapping[str, int]) -> None:
        self.gone += inputs["next"]


CASES = tuple(WindowScan(**geometry) for geometry in GEOMETRIES)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_window_scan(case: WindowScan, simulate: Simulate) -> None:
    simulate(case, "signal_tests")
