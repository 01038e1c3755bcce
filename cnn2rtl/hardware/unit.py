"""The vocabulary in which a layer kind describes its hardware: a chain of units joined by streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property
from itertools import chain
from typing import ClassVar, Self, overload

import numpy as np

from cnn2rtl.hardware.timing import Beats, Join, Rows, Timing
from cnn2rtl.quant.qformat import IntArray
from cnn2rtl.tensors import Shape


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


class Style(IntEnum):
    """What multiplies: up to ``LOGIC``, the values of ``STYLE`` in ``mac_array.v``."""

    BLOCK = 0
    """A DSP block per product."""
    PAIR = 1
    """A DSP block for the products of two PEs, which share their activations."""
    LOGIC = 2
    """Adders in logic."""
    CONSTANT = 3
    """Nothing: in a layer that uses all its weights in every beat, products are sums of shifted activations."""


class Place(IntEnum):
    """Where a memory lies: the parameter ``PLACE`` of the units."""

    ANY = 0
    BLOCK = 1
    TABLES = 2
    REGISTERS = 3


ROM_BITS, ROM_WORDS = 32768, 64
"""A ROM that is larger and deeper than this belongs in block RAM; a smaller one is often cheaper in logic."""


def rom_place(width: int, depth: int) -> Place:
    """Where a ROM of ``width`` bits and ``depth`` words belongs as long as nothing is short.

    A tool counts the words that a block has and the ROM has not: a wide one it may rather put into logic.
    """
    return Place.BLOCK if width * depth > ROM_BITS and depth > ROM_WORDS else Place.ANY


@dataclass(frozen=True)
class Folding:
    """One way to fold a layer in time.

    ``pe`` outputs are computed side by side from ``simd`` products each; the layer takes ``lanes_in``
    channels per input beat (of each of its inputs), reads ``taps`` (rows, columns) of the window at once, and emits
    ``lanes_out`` channels per beat. ``cycles`` is the layer's own frame interval, in clock cycles.
    The PEs may have ``shared`` activations; ``style`` is what multiplies.
    """

    pe: int
    simd: int
    lanes_in: int
    lanes_out: int
    cycles: int
    taps: tuple[int, int] = (1, 1)
    multiplies: bool = True
    shared: bool = True
    style: Style = Style.BLOCK

    @property
    def multipliers(self) -> int:
        """Multipliers of weights with activations (a requantisation's own are not counted here)."""
        return self.pe * self.simd if self.multiplies else 0

    @property
    def blocks(self) -> int:
        """Multiplications that are meant for a DSP block each."""
        blocks = {Style.BLOCK: self.pe, Style.PAIR: ceil_div(self.pe, 2)}.get(self.style, 0)
        return blocks * self.simd if self.multiplies else 0

    @property
    def cost(self) -> tuple[int, int, int]:
        """What the schedule minimises: multipliers, then memories read side by side, then wires."""
        return (self.multipliers, self.taps[0] * self.taps[1], self.lanes_in + self.lanes_out)


@dataclass(frozen=True, eq=False)
class Rom:
    """A read-only memory of ``width`` bits per word; ``words`` are already masked, so never negative."""

    width: int
    words: Sequence[int]


@dataclass(frozen=True, eq=False)
class Packed(Sequence[int]):
    """Words of ``fields`` (words, fields), packed by :func:`pack` when somebody reads them.

    A schedule looks at many foldings and at the words of none.
    """

    fields: IntArray
    widths: int | IntArray

    @cached_property
    def words(self) -> tuple[int, ...]:
        return pack(self.fields, self.widths)

    def __len__(self) -> int:
        return len(self.fields)

    # All at once: by the sequence's own, word by word, writing a ROM file takes twice as long.
    def __iter__(self) -> Iterator[int]:
        return iter(self.words)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        return self.words[index]


@dataclass(frozen=True)
class Bits:
    """A Verilog constant of a given width."""

    width: int
    value: int


@dataclass(frozen=True)
class Numbers(Bits):
    """Numbers of 16 bits side by side, the first one lowest: a table among the parameters."""

    BITS: ClassVar[int] = 16

    @classmethod
    def of(cls, values: Iterable[int]) -> Self:
        """Those of ``values``, each of no more than so many bits; -1 has all of them set."""
        masked = [value & (1 << cls.BITS) - 1 for value in values]
        return cls(cls.BITS * len(masked), sum(value << cls.BITS * place for place, value in enumerate(masked)))

    @property
    def values(self) -> tuple[int, ...]:
        return tuple(self.value >> place & (1 << self.BITS) - 1 for place in range(0, self.width, self.BITS))


@dataclass(frozen=True)
class Counts(Numbers):
    """As :class:`Numbers`, of 32 bits: so many beats has no frame."""

    BITS: ClassVar[int] = 32


@dataclass(frozen=True)
class RomFile:
    """The name of a ROM of the unit; the emitted file name also carries the layer's."""

    name: str


ParameterValue = int | Bits | RomFile


@dataclass(frozen=True)
class Instance:
    """One unit of a chain: ``module`` with its parameters, ``in_bits`` and ``out_bits`` per beat, and its ``timing``.

    ``memory_bits`` counts its line buffers and the like; ROMs are counted by themselves. A module that is made for this
    layer alone has no parameters, but a ``template``, and is called after the layer and ``module``. A unit that takes
    several streams has a ``join``, and their beats side by side in ``in_bits``, the first lowest.
    """

    template: ClassVar[str] = ""

    role: str
    module: str
    parameters: Mapping[str, ParameterValue]
    in_bits: int
    out_bits: int
    timing: Timing
    memory_bits: int = 0
    join: Join | None = None

    @property
    def facts(self) -> Mapping[str, ParameterValue]:
        """What it takes is estimated from these."""
        return self.parameters

    @property
    def typical(self) -> Mapping[str, ParameterValue]:
        """The same before the weights have been looked at, where that takes long."""
        return self.facts

    @property
    def expected(self) -> Instance:
        """A unit for the timetable and the estimate that takes as much and as long before the weights are known."""
        return self

    def fitted(self, offered: Beats, held_up: Callable[[IntArray], Beats], pace: int) -> Instance:
        """The same unit with as much memory as it needs where beats are ``offered`` to it like this.

        ``held_up`` tells when they would be if they were not taken before given cycles, (beats,). ``pace`` is the
        cycles that the next layer takes over a pixel; there is no use in being faster.
        """
        return self


@dataclass(frozen=True)
class RowBuffer(Instance):
    """A unit that keeps rows of its map; how many depends on when the pixels come."""

    timing: Rows

    def fitted(self, offered: Beats, held_up: Callable[[IntArray], Beats], pace: int) -> RowBuffer:
        timing = self.timing.fitted(offered, held_up, pace)
        return replace(
            self,
            parameters={**self.parameters, "ROWS": timing.rows, "SPACING": timing.spacing},
            timing=timing,
            memory_bits=self.memory_bits // self.timing.rows * timing.rows,
        )


@dataclass(frozen=True, eq=False)
class Unit:
    """A layer's hardware: units in a row, each fed by the one before it, and their ROM files.

    ``adapters`` stand before the ``chain``, for each input of a layer with several.
    """

    chain: tuple[Instance, ...]
    summary: str
    """One line for the head of the emitted file: what is computed, and how it is folded."""
    roms: Mapping[str, Rom] = field(default_factory=dict)
    adapters: tuple[tuple[Instance, ...], ...] = ()

    @property
    def instances(self) -> tuple[Instance, ...]:
        """All of its units."""
        return tuple(chain.from_iterable((*self.adapters, self.chain)))


def pack(fields: IntArray, widths: int | IntArray) -> tuple[int, ...]:
    """Pack integers (words, fields) into words, first field lowest, each masked to its width in bits."""
    counts = np.broadcast_to(np.asarray(widths), fields.shape[1:])
    offsets = np.concatenate([[0], np.cumsum(counts)])[:-1]
    words = []
    for row in fields:
        word = 0
        for value, width, offset in zip(row.tolist(), counts.tolist(), offsets.tolist(), strict=True):
            word |= (value & ((1 << width) - 1)) << offset
        words.append(word)
    return tuple(words)


def divisor_at_least(n: int, least: int) -> int:
    """The smallest divisor of ``n`` that is not below ``least``."""
    return next(d for d in range(max(1, least), n + 1) if n % d == 0)


def useful(n: int) -> tuple[int, ...]:
    """Every parallelism from 1 to ``n`` than which no smaller one needs as few passes over ``n`` things."""
    return tuple(sorted({ceil_div(n, ceil_div(n, p)) for p in range(1, n + 1)}))


def over_channels(shape: Shape) -> tuple[Folding, ...]:
    """How one value is made of all channels of each pixel of a map (c, h, w): so many lanes at a time.

    Lanes that divide the channels leave no spare lane that could win.
    """
    c, height, width = shape
    whole = (lanes for lanes in range(1, c + 1) if c % lanes == 0)
    return pareto(Folding(lanes, 1, lanes, 1, height * width * c // lanes, multiplies=False) for lanes in whole)


def pareto(foldings: Iterable[Folding]) -> tuple[Folding, ...]:
    """The foldings that no other beats in both cycles and cost, fastest first."""
    best: list[Folding] = []
    for folding in sorted(foldings, key=lambda f: (f.cycles, f.cost)):
        if not best or folding.cost < best[-1].cost:
            best.append(folding)
    return tuple(best)
