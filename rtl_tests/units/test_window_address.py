"""Window address: of every tap in the map, the word where its pixel was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
import signal_tests
from simulation import Simulate
from window_cases import GEOMETRIES, Beat, WindowCase

from cnn2rtl.hardware.unit import ceil_div


@dataclass(frozen=True)
class WindowAddress(WindowCase):
    unit = "window_address"
    names = (
        "BEATS", "FOLDS", "IN_H", "IN_W", "OUT_H", "OUT_W", "KERNEL_Y", "KERNEL_X", "STRIDE_Y", "STRIDE_X", "PAD_TOP",
        "PAD_LEFT", "DILATION_Y", "DILATION_X", "ROWS", "ROW_BANKS", "COLUMN_BANKS",
    )  # fmt: skip

    def model(self) -> Model:
        return Model(self)

    @property
    def first_bank(self) -> int:
        return self.padding[2] % self.taps[1]

    def words(self, frame: int, beat: Beat) -> Mapping[int, int]:
        """Memory of each column in the map that the beat has a tap in, and the address there."""
        banks, beats = self.taps[1], self.groups * self.folds
        columns = [beat.x + tap * self.dilation[1] for tap in range(self.taps[1])]
        if not 0 <= beat.y < self.height and self.row_banks == 1:
            return {}
        row_words = ceil_div(self.width + self.first_bank, banks) * beats
        row = 0 if self.row_banks > 1 else (frame * self.height + beat.y) % self.ring * row_words
        places = [divmod(x + self.first_bank, banks) for x in columns if 0 <= x < self.width]
        return {bank: row + column * beats + beat.number for column, bank in places}


class Model(signal_tests.Model):
    def __init__(self, case: WindowAddress) -> None:
        self.case, self.gone = case, 0

    def inputs(self, rng: Random) -> Mapping[str, int]:
        return {"go": int(rng.random() < 0.9), "step": self.case.beats[self.gone % len(self.case.beats)].step}

    def outputs(self, inputs: Mapping[str, int]) -> Mapping[str, int]:
        case = self.case
        frame, number = divmod(self.gone, len(case.beats))
        beat = case.beats[number]
        return {
            "slot": (frame * case.height + beat.top) % case.ring if case.row_banks > 1 else 0,
            "bank": (beat.left + case.first_bank) % case.taps[1],
        }

    def check(self, dut: Any) -> None:
        """The addresses of the latest beat."""
        if self.gone:
            frame, number = divmod(self.gone - 1, len(self.case.beats))
            found, bits = int(dut.addr.value), len(dut.addr) // self.case.taps[1]
            for bank, word in self.case.words(frame, self.case.beats[number]).items():
                assert found >> bank * bits & (1 << bits) - 1 == word, f"beat {self.gone - 1}, memory {bank}"

    def clock(self, inputs: Mapping[str, int]) -> None:
        self.gone += inputs["go"]


CASES = tuple(WindowAddress(**geometry) for geometry in GEOMETRIES)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_window_address(case: WindowAddress, simulate: Simulate) -> None:
    simulate(case, "signal_tests")
