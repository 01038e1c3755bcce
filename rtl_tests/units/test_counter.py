"""Counter: round and round, and the last step known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import pytest
import signal_tests
from signal_tests import SignalCase
from simulation import Simulate


class Model(signal_tests.Model):
    def __init__(self, steps: int) -> None:
        self.steps, self.count = steps, 0

    def inputs(self, rng: Random) -> Mapping[str, int]:
        return {"next": int(rng.random() < 0.7)}

    def outputs(self, inputs: Mapping[str, int]) -> Mapping[str, int]:
        return {"count": self.count, "last": int(self.count == self.steps - 1)}

    def clock(self, inputs: Mapping[str, int]) -> None:
        self.count = (self.count + inputs["next"]) % self.steps


@dataclass(frozen=True)
class Counter(SignalCase):
    unit = "counter"
    steps: int

    def model(self) -> Model:
        return Model(self.steps)


CASES = tuple(map(Counter, (1, 2, 3, 4, 5, 8, 37)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_counter(case: Counter, simulate: Simulate) -> None:
    simulate(case, "signal_tests")
