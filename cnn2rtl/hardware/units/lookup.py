"""``lookup``: a table of a function of one value, and how much logic its contents are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cnn2rtl.hardware.parts import Memory, Parameters, Parts, describes
from cnn2rtl.hardware.timing import Pipeline
from cnn2rtl.hardware.unit import Instance, ParameterValue, RomFile, rom_place
from cnn2rtl.quant.qformat import IntArray, QFormat

LEAF = 4
"""Input bits of a look-up table."""


@dataclass(frozen=True, eq=False)
class Lookup(Instance):
    """The unit ``lookup``; ``table`` has the result of every code, (2**BITS,)."""

    table: IntArray | None = None

    @property
    def facts(self) -> Mapping[str, ParameterValue]:
        """What it takes in logic depends on its contents: a smooth function takes a fraction of random words."""
        assert self.table is not None
        leaves, choices = functions(self.table)
        return {**self.parameters, "LEAVES": leaves, "CHOICES": choices}


def functions(table: IntArray) -> tuple[int, int]:
    """What a table's bits are made of: functions of its four lowest address bits, and choices among two of those.

    Each is counted once, however often it is there: the nodes of a binary decision diagram (Bryant, 1986).
    """
    return _functions(table.astype(np.int64).tobytes(), len(table))


@lru_cache(maxsize=1024)
def _functions(contents: bytes, words: int) -> tuple[int, int]:
    table = np.frombuffer(contents, np.int64)
    width = int(np.bitwise_or.reduce(table ^ table[0])).bit_length()
    if not width:
        return 0, 0
    leaf = min(1 << LEAF, words)
    # A row for each bit of the result: what it is, as a number, for each value of the upper bits of the address.
    bits = (table >> np.arange(width)[:, None] & 1).reshape(width, -1, leaf)
    # A function and its complement are one.
    level, inverted = (bits ^ bits[..., :1]) @ (1 << np.arange(leaf)), bits[..., 0]
    wires = {0, *(int(sum(1 << i for i in range(leaf) if i >> bit & 1)) for bit in range(LEAF))}
    leaves = len(set(level.ravel().tolist()) - wires)
    choices = 0
    nodes = {(number, sign) for number, sign in zip(level.ravel().tolist(), inverted.ravel().tolist(), strict=True)}
    ids = {node: index for index, node in enumerate(sorted(nodes))}
    both = zip(level.tolist(), inverted.tolist(), strict=True)
    rows = [[ids[node] for node in zip(*row, strict=True)] for row in both]
    while len(rows[0]) > 1:
        pairs = [list(zip(row[::2], row[1::2], strict=True)) for row in rows]
        chosen = {pair for row in pairs for pair in row}
        choices += sum(low != high for low, high in chosen)
        numbers = {pair: index for index, pair in enumerate(sorted(chosen))}
        rows = [[numbers[pair] for pair in row] for row in pairs]
    return leaves, choices


def lookup(source: QFormat, out: QFormat, table: IntArray, lanes: int) -> Lookup:
    """``table`` has the result of every code of ``source``, (2**bits,); the ROM is called ``table``."""
    parameters: dict[str, ParameterValue] = {
        "LANES": lanes,
        "BITS": source.bits,
        "Q_BITS": out.bits,
        "PLACE": int(rom_place(out.bits, len(table))),
        "TABLE_FILE": RomFile("table"),
    }
    return Lookup("table", "lookup", parameters, lanes * source.bits, lanes * out.bits, Pipeline(2), table=table)


@describes("lookup")
def lookup_parts(p: Parameters) -> Parts:
    lanes = p["LANES"]
    features = {"one": 1, "behind the ROM": lanes * p["Q_BITS"]}
    contents = {"leaves": p["LEAVES"], "choices": p["CHOICES"], "data": p["Q_BITS"]}
    return Parts(features, (Memory(p["Q_BITS"], 1 << p["BITS"], False, p.place, lanes, contents),))
