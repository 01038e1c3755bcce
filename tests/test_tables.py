"""How much logic the contents of a table are."""

from __future__ import annotations

import numpy as np
import pytest

from cnn2rtl.estimation import unit
from cnn2rtl.hardware.units.lookup import functions

CODES = np.arange(256)


def test_wires_and_constants_take_nothing() -> None:
    assert functions(np.full(256, 77)) == (0, 0)
    # The lower bits are wires of the address; the upper ones are chosen by a bit of it each.
    assert functions(CODES) == (0, 4)
    assert functions(255 - CODES) == (0, 4)
    assert functions(CODES & 15) == (0, 0)


def test_every_function_and_every_choice_is_counted_once() -> None:
    low = CODES & 15
    assert functions(((low & 3) == 3).astype(int)) == (1, 0)
    # Its complement, and the same in another bit of the result, are no other ones.
    assert functions(((low & 3) != 3).astype(int)) == (1, 0)
    assert functions(((low & 3) == 3) * 3) == (1, 0)
    # One of two functions, chosen by the highest bit.
    assert functions(np.where(CODES < 128, (low & 3) == 3, (low & 6) == 0).astype(int)) == (2, 1)


@pytest.mark.parametrize("family", ["xc7", "ecp5", "ice40up", "gw1n"])
def test_a_smooth_function_takes_less_than_random_words(family: str) -> None:
    def luts(table: np.ndarray) -> float:
        leaves, choices = functions(table)
        shape = {"LANES": 1, "BITS": 8, "Q_BITS": 8, "PLACE": 2, "LEAVES": leaves, "CHOICES": choices}
        found = unit("lookup", shape, family)
        assert found is not None and not found.block_rams
        return found.luts

    sigmoid = np.rint(255 / (1 + np.exp(-(CODES - 128) / 16))).astype(int)
    noise = np.random.default_rng(0).integers(0, 256, 256)
    assert luts(CODES) < luts(sigmoid) < 0.7 * luts(noise)
