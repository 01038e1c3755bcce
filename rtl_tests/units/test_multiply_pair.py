"""Two products in one multiplication: exact for every pair of small weights, whatever the other one is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from simulation import Simulate
from test_multiply import compare, every
from unit_bench import Case, random_codes, rng_for, unit_test

LATENCY = 3


@dataclass(frozen=True)
class MultiplyPair(Case):
    unit = "multiply_pair"
    a_w: int
    w_w: int
    space: int

    @property
    def activations(self) -> range:
        """Those that the space has room for: all, or all but the most negative."""
        return every(self.a_w) if self.space == self.a_w + self.w_w else every(self.a_w)[1:]


@unit_test
async def pairs_of_products(dut: Any, case: Any) -> None:
    rng = rng_for(case, "values")
    if case.a_w + 2 * case.w_w <= 11:
        triples = list(product(case.activations, every(case.w_w), every(case.w_w)))
    else:
        columns = (random_codes(rng, (600,), bits, True).tolist() for bits in (case.a_w, case.w_w, case.w_w))
        triples = [(max(a, case.activations[0]), low, high) for a, low, high in zip(*columns, strict=True)]
        ends = (every(case.w_w)[0], -1, 0, every(case.w_w)[-1])
        triples += product((case.activations[0], -1, 0, case.activations[-1]), ends, ends)
    triples += [(0, 0, 0)] * LATENCY
    await compare(
        dut,
        [{"a": a, "w_low": low, "w_high": high} for a, low, high in triples],
        [{"low": a * low, "high": a * high} for a, low, high in triples],
        LATENCY,
        rng_for(case, "enable"),
    )


CASES = (
    MultiplyPair(2, 2, 4),
    MultiplyPair(2, 2, 3),
    MultiplyPair(4, 3, 7),
    MultiplyPair(5, 3, 7),
    MultiplyPair(3, 4, 6),
    MultiplyPair(9, 8, 16),
    MultiplyPair(8, 8, 16),
    MultiplyPair(9, 4, 12),
    MultiplyPair(17, 16, 32),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_multiply_pair(case: MultiplyPair, simulate: Simulate) -> None:
    simulate(case)
