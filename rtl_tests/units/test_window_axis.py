"""Window axis: every step of every window, and which of its taps lie outside the map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import pytest
import signal_tests
from signal_tests import SignalCase
from simulation import Simulate


@dataclass(frozen=True)
class WindowAxis(SignalCase):
    unit = "window_axis"
    size: int
    windows: int
    kernel: int
    dilation: int
    taps: int
    stride: int
    pad: int
    first: int
    last: int

    def model(self) -> Model:
        return Model(self)


class Model(signal_tests.Model):
    def __init__(self, case: WindowAxis) -> None:
        self.case, self.window, self.step = case, 0, 0

    @property
    def last_tap(self) -> bool:
        return self.step == self.case.kernel // self.case.taps - 1

    def inputs(self, rng: Random) -> Mapping[str, int]:
        # To another window only from the last step.
        return {"tap": int(rng.random() < 0.8), "window": int(self.last_tap and rng.random() < 0.6)}

    def outputs(self, inputs: Mapping[str, int]) -> Mapping[str, int]:
        case, number = self.case, self.window
        begins = number * case.stride - case.pad + self.step * case.dilation
        outside = [not 0 <= begins + tap * case.dilation < case.size for tap in range(case.taps)]
        found = {
            "last_tap": int(self.last_tap),
            "last_window": int(self.last_tap and number == case.windows - 1),
            "outside": sum(bit << tap for tap, bit in enumerate(outside)),
        }
        if self.last_tap:
            found["begins"] = int(case.first <= number <= case.last)
            if number < case.windows - 1:
                found["next_begins"] = int(case.first <= number + 1 <= case.last)
        return found

    def clock(self, inputs: Mapping[str, int]) -> None:
        if inputs["tap"]:
            self.step = 0 if self.last_tap else self.step + 1
            self.window = (self.window + inputs["window"]) % self.case.windows


CASES = (
    WindowAxis(1, 1, 1, 1, 1, 1, 0, 0, 0),
    WindowAxis(8, 8, 3, 1, 1, 1, 1, 1, 7),
    WindowAxis(8, 8, 3, 1, 3, 1, 1, 0, 7),
    WindowAxis(13, 6, 5, 2, 1, 3, 5, 2, 4),
    WindowAxis(13, 9, 5, 2, 5, 2, 6, 0, 6),
    WindowAxis(1, 4, 2, 3, 1, 4, 5, 2, 1),
    WindowAxis(9, 3, 2, 1, 1, 3, 0, 0, 2),
    WindowAxis(6, 7, 2, 1, 2, 1, 2, 2, 5),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_window_axis(case: WindowAxis, simulate: Simulate) -> None:
    simulate(case, "signal_tests")
