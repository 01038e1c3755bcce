"""Ring writer: every beat of every pixel in its place, for more frames than the ring has rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import pytest
import signal_tests
from signal_tests import SignalCase
from simulation import Simulate

from cnn2rtl.hardware.unit import ceil_div


@dataclass(frozen=True)
class RingWriter(SignalCase):
    unit = "ring_writer"
    in_h: int
    in_w: int
    beats: int
    rows: int
    row_banks: int = 1
    column_banks: int = 1
    first_bank: int = 0

    def model(self) -> Model:
        return Model(self)


class Model(signal_tests.Model):
    """Everything from the number of beats that were written."""

    def __init__(self, case: RingWriter) -> None:
        self.case, self.written = case, 0

    def inputs(self, rng: Random) -> Mapping[str, int]:
        return {"put": int(rng.random() < 0.8)}

    def outputs(self, inputs: Mapping[str, int]) -> Mapping[str, int]:
        case, put = self.case, inputs["put"]
        pixel, beat = divmod(self.written, case.beats)
        row, x = divmod(pixel, case.in_w)
        column, bank = divmod(x + case.first_bank, case.column_banks)
        row_words = ceil_div(case.in_w + case.first_bank, case.column_banks) * case.beats
        slot = row % case.rows
        last = beat == case.beats - 1
        return {
            "addr": (slot * row_words if case.row_banks == 1 else 0) + column * case.beats + beat,
            "slot": slot if case.row_banks > 1 else 0,
            "bank": bank,
            "pixel": int(put and last),
            "frame": int(put and last and (pixel + 1) % (case.in_h * case.in_w) == 0),
        }

    def clock(self, inputs: Mapping[str, int]) -> None:
        self.written += inputs["put"]


CASES = (
    RingWriter(1, 1, 1, 1),
    RingWriter(3, 4, 1, 2),
    RingWriter(4, 5, 3, 3),
    RingWriter(3, 4, 2, 5, row_banks=5),
    RingWriter(2, 7, 1, 3, row_banks=3, column_banks=3, first_bank=1),
    RingWriter(3, 8, 4, 4, row_banks=4, column_banks=2),
    RingWriter(2, 9, 2, 3, column_banks=5, first_bank=3),
    RingWriter(1, 6, 3, 1, column_banks=4, first_bank=2),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_ring_writer(case: RingWriter, simulate: Simulate) -> None:
    simulate(case, "signal_tests")
