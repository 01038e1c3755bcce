"""The table of a function: every code of every width that a table may have, in every lane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

import numpy as np
import pytest
from simulation import Simulate
from stream_tests import StreamCase
from unit_bench import Bench, beats_of, in_lanes, random_codes, rng_for, unit_test

from cnn2rtl.hardware.timing import Pipeline, Timing
from cnn2rtl.hardware.unit import Packed, ParameterValue, Place, Rom, RomFile
from cnn2rtl.quant.qformat import IntArray


@dataclass(frozen=True)
class Lookup(StreamCase):
    unit = "lookup"
    lanes: int
    bits: int
    q_bits: int
    place: Place = Place.ANY

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        return {
            "LANES": self.lanes, "BITS": self.bits, "Q_BITS": self.q_bits, "PLACE": int(self.place),
            "TABLE_FILE": RomFile("table"),
        }  # fmt: skip

    @cached_property
    def words(self) -> IntArray:
        return np.random.default_rng(self.bits).integers(0, 1 << self.q_bits, 1 << self.bits)

    @property
    def roms(self) -> Mapping[str, Rom]:
        return {"table": Rom(self.q_bits, Packed(self.words[:, None], self.q_bits))}

    @property
    def timing(self) -> Timing:
        return Pipeline(2)

    def beats(self, codes: IntArray) -> tuple[list[int], list[int]]:
        """Beats in and out for codes (beats, lanes)."""
        return beats_of(codes, self.bits), beats_of(self.words[codes], self.q_bits)

    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        return self.beats(random_codes(rng, (20, self.lanes), self.bits, False))


@unit_test
async def every_code(dut: Any, case: Any) -> None:
    """All words of the ROM, in order, over all lanes."""
    rng = rng_for(case, "every")
    bench = await Bench.start(dut)
    codes = np.arange(1 << case.bits) if case.bits <= 10 else np.array([rng.getrandbits(case.bits) for _ in range(999)])
    await bench.run(*case.beats(in_lanes(codes[None], case.lanes).reshape(-1, case.lanes)), rng=rng)


CASES = (
    Lookup(1, 2, 2),
    Lookup(3, 8, 8, Place.TABLES),
    Lookup(2, 8, 5, Place.BLOCK),
    Lookup(1, 12, 16),
    Lookup(4, 3, 11),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_lookup(case: Lookup, simulate: Simulate) -> None:
    simulate(case, "stream_tests,test_lookup")
