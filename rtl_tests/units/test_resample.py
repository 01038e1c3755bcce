"""Pixels from other places: upsampled, padded, cropped, flipped, from channels; every beat in its cycle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from random import Random

import numpy as np
import pytest
from simulation import Simulate
from stream_tests import StreamCase
from unit_bench import beats_of, in_lanes, random_codes

from cnn2rtl.hardware import units
from cnn2rtl.hardware.moves import Sources
from cnn2rtl.hardware.timing import Beats, Pipeline, Timing
from cnn2rtl.hardware.unit import ParameterValue, RowBuffer, ceil_div
from cnn2rtl.quant.qformat import IntArray, QFormat


@dataclass(frozen=True)
class Resample(StreamCase):
    unit = "resample"
    channels: int
    height: int
    width: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    block: tuple[int, int] = (1, 1)
    lanes: int = 1
    bits: int = 8
    pad: int = 0
    spacing: int = 1

    @cached_property
    def sources(self) -> Sources:
        return Sources(self.rows, self.columns, self.block)

    @property
    def parts(self) -> int:
        return self.block[0] * self.block[1]

    @property
    def pixel_beats(self) -> int:
        return self.parts * ceil_div(self.channels // self.parts, self.lanes)

    @cached_property
    def codes(self) -> IntArray:
        """The constant, another one for each channel of the result."""
        return (self.pad + np.arange(self.channels // self.parts) * (self.pad > 0)) % (1 << self.bits)

    @cached_property
    def instance(self) -> RowBuffer:
        shape = (self.channels, self.height, self.width)
        built = units.resample(self.sources, shape, QFormat.full(self.bits, False, 1.0), self.lanes, self.codes)
        beats = self.height * self.width * self.pixel_beats
        pixels = Beats(np.arange(beats * (3 + 100 // beats)))
        return built.fitted(pixels, partial(Pipeline(0).held_up, pixels), self.spacing)

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        return self.instance.parameters

    @property
    def timing(self) -> Timing:
        return self.instance.timing

    def frame(self, rng: Random) -> tuple[list[int], list[int]]:
        (by, bx), c = self.block, self.channels // self.parts
        image = random_codes(rng, (self.height, self.width, by, bx, c), self.bits, False)
        fine = image.transpose(0, 2, 1, 3, 4).reshape(1, self.height * by, self.width * bx, c)
        result = self.sources.take(fine, self.codes)[0]
        return beats_of(in_lanes(image, self.lanes), self.bits), beats_of(in_lanes(result, self.lanes), self.bits)


CASES = (
    Resample(1, 1, 1, (0,), (0,)),
    Resample(3, 2, 3, (0, 0, 1, 1), (0, 0, 1, 1, 2, 2), lanes=2),
    Resample(2, 3, 4, (-1, 0, 1, 2, -1, -1), (-1, 0, 1, 2, 3), lanes=1, pad=37),
    Resample(2, 4, 3, (2, 1, 0, 1, 2, 3, 2, 1), (1, 0, 1, 2, 1), lanes=2, bits=5),
    Resample(1, 5, 4, (4, 3, 2, 1, 0), (3, 2, 1, 0)),
    Resample(4, 6, 7, (1, 3), (2, 3, 5), lanes=3),
    Resample(2, 9, 2, (7,), (1, -1), pad=200),
    Resample(5, 1, 1, (0,) * 4, (0,) * 3, lanes=5),
    Resample(8, 2, 3, tuple(range(4)), tuple(range(6)), (2, 2), lanes=1),
    Resample(12, 3, 2, tuple(range(1, 8)), (1, 2), (3, 2), lanes=2, bits=3),
    Resample(1, 4, 5, (-1, -1, 0, 1, 2, 3), (0, 1, 2, 3, 4), pad=9, spacing=6),
    Resample(1, 3, 3, (0, 2, 1, 2), (0, 1, 2)),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_resample(case: Resample, simulate: Simulate) -> None:
    simulate(case, "stream_tests")
