"""The module of a layer whose weights are built in: an adder graph, cut into pipeline stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cnn2rtl.hardware.shift_adds import Graph, Term, shift_adds
from cnn2rtl.hardware.timing import Beats, Pipeline, Timing
from cnn2rtl.hardware.unit import Instance, ParameterValue
from cnn2rtl.quant.qformat import IntArray, QFormat

LEVELS = 2
"""Additions in a row between two registers."""
SHOWN = 4
"""Inputs of a sum that a comment names."""


@dataclass(frozen=True)
class Assignment:
    """A line of Verilog: ``bits`` that are called ``name`` are ``value``."""

    name: str
    bits: int
    value: str
    comment: str = ""


@dataclass(frozen=True, eq=False)
class Matrix:
    """Weights (outputs, products of each), of ``weight_bits``, that all meet an activation in every beat.

    Activations, which may be ``shared`` by all outputs, have the format ``source`` and lie between ``lo`` and ``hi``;
    sums have ``sum_bits``. The graph is made when somebody asks for it: a search looks at many foldings.
    """

    weights: IntArray
    shared: bool
    weight_bits: int
    source: QFormat
    lo: int
    hi: int
    sum_bits: int

    @property
    def inputs(self) -> int:
        """Activations per beat."""
        outputs, products = self.weights.shape
        return products if self.shared else outputs * products

    @cached_property
    def adders(self) -> Pipelined:
        weights = self.weights
        if not self.shared:
            # Activation s of output p is number s * outputs + p.
            outputs = weights.shape[0]
            weights = (np.eye(outputs, dtype=np.int64)[:, None] * weights.T).reshape(outputs, -1)
        return Pipelined(self, shift_adds(weights, self.lo, self.hi))


@dataclass(frozen=True, eq=False)
class Pipelined:
    """An adder graph with registers: one at every input, in stage 0, and one behind each ``LEVELS`` additions.

    What is used in a later stage than the one it is there in has a register in each stage in between.
    """

    matrix: Matrix
    graph: Graph

    @cached_property
    def stages(self) -> int:
        """Of additions, at least one; the outputs are there in the last one's registers."""
        return max([1, *(self._ready(term.number) for term in self.graph.outputs if term)])

    @property
    def latency(self) -> int:
        return self.stages + 1

    def _ready(self, number: int) -> int:
        """The stage of a number's first register."""
        return -(-self.graph.numbers[number].level // LEVELS)

    @cached_property
    def bits(self) -> tuple[int, ...]:
        """The width of every number, no less than that of what it is made of."""
        bits: list[int] = []
        for number in self.graph.numbers:
            bits.append(max([number.bits, *(bits[term.number] + term.shift for term in number.terms)]))
        return tuple(bits)

    @cached_property
    def needed(self) -> tuple[int, ...]:
        """The last stage whose registers each number is read from; -1: it is read before its first one, or never."""
        needed = [-1] * len(self.graph.numbers)
        for place, number in enumerate(self.graph.numbers):
            for term in number.terms:
                stage = self._ready(place) - 1
                if self._ready(term.number) <= stage:
                    needed[term.number] = max(needed[term.number], stage)
        for output in self.graph.outputs:
            if output:
                needed[output.number] = self.stages
        return tuple(needed)

    def sums(self, stage: int) -> list[Assignment]:
        """The additions ahead of a stage's registers."""
        return [
            Assignment(self._name(place, stage - 1), self.bits[place], self._sum(place), self._comment(place))
            for place in range(self.graph.inputs, len(self.graph.numbers))
            if self._ready(place) == stage
        ]

    def registers(self, stage: int) -> list[Assignment]:
        """The registers of a stage, and what they take over."""
        return [
            Assignment(self._name(place, stage), self.bits[place], self._name(place, stage - 1))
            for place, needed in enumerate(self.needed)
            if self._ready(place) <= stage <= needed
        ]

    @property
    def outputs(self) -> list[Assignment]:
        """The sums of a beat, each a part of ``m_data``."""
        width = self.matrix.sum_bits
        return [
            Assignment(
                _part("m_data", output * width, width), width,
                self._operand(term, width, self._name(term.number, self.stages)) if term else f"{width}'d0",
            )
            for output, term in enumerate(self.graph.outputs)
        ]  # fmt: skip

    @property
    def unused(self) -> list[str]:
        """Bits that a linter would miss."""
        used = sum(register.bits for register in self.registers(0))
        spare = ["s_data"] if used < self.matrix.inputs * self.matrix.source.bits else []
        for term in self.graph.outputs:
            room = self.matrix.sum_bits - term.shift if term else 0
            if term and self.bits[term.number] > room:
                spare.append(_part(self._name(term.number, self.stages), room, self.bits[term.number] - room))
        return list(dict.fromkeys(spare))

    @property
    def facts(self) -> Mapping[str, int]:
        """Bits of additions, bits of registers, and stages of registers."""
        added = registers = 0
        for place, (number, bits, needed) in enumerate(zip(self.graph.numbers, self.bits, self.needed, strict=True)):
            registers += bits * max(0, needed + 1 - self._ready(place))
            if number.terms:
                # Below the second number, the sum is the first one as it is.
                first, second = number.terms
                added += bits - (0 if first.shift else second.shift)
        return {"SUM_BITS": added, "REGISTER_BITS": registers, "STAGES": self.latency}

    def _name(self, place: int, stage: int) -> str:
        """Of a number's register in a stage; ahead of its first one, of the number itself."""
        inputs, width = self.graph.inputs, self.matrix.source.bits
        if stage < self._ready(place):
            if place < inputs:
                return _part("s_data", place * width, self.bits[place])
            return f"sum{place - inputs}"
        return f"x{place}_{stage}" if place < inputs else f"sum{place - inputs}_{stage}"

    def _sum(self, place: int) -> str:
        first, second = self.graph.numbers[place].terms
        stage, width = self._ready(place) - 1, self.bits[place]
        one, other = (self._operand(term, width, self._name(term.number, stage)) for term in (first, second))
        return f"{one} {'-' if second.negative else '+'} {other}"

    def _operand(self, term: Term, width: int, name: str) -> str:
        """A term in ``width`` bits."""
        bits = self.bits[term.number]
        above = width - bits - term.shift
        parts = [_part(name, 0, bits + above) if above < 0 else name]
        if above > 0:
            sign = f"{{{above}{{{name}[{bits - 1}]}}}}" if above > 1 else f"{name}[{bits - 1}]"
            parts.insert(0, sign if self.graph.numbers[term.number].signed else f"{above}'b0")
        if term.shift:
            parts.append(f"{term.shift}'b0")
        return f"{{{', '.join(parts)}}}" if len(parts) > 1 else parts[0]

    def _comment(self, place: int) -> str:
        """The sum in terms of the inputs."""
        items = sorted(self.graph.numbers[place].coefficients.items())
        text = ""
        for index, factor in items[:SHOWN]:
            sign = (" - " if text else "-") if factor < 0 else (" + " if text else "")
            text += f"{sign}{'' if abs(factor) == 1 else f'{abs(factor)}*'}x{index}"
        return text if len(items) <= SHOWN else f"{text} + ... ({len(items)} activations)"


def _part(name: str, low: int, bits: int) -> str:
    return f"{name}[{low + bits - 1}:{low}]"


@dataclass(frozen=True)
class Through(Timing):
    """The timing of a :class:`Matrix`, which is known when its graph is."""

    matrix: Matrix

    def __call__(self, offered: Beats) -> Beats:
        return Pipeline(self.matrix.adders.latency)(offered)


@dataclass(frozen=True, kw_only=True)
class Constants(Instance):
    """The module of a matrix."""

    template = "design/constants.v.j2"

    matrix: Matrix

    @property
    def facts(self) -> Mapping[str, ParameterValue]:
        return self.matrix.adders.facts

    @property
    def typical(self) -> Mapping[str, ParameterValue]:
        """The same of any weights as many and as wide, within a fifth for most.

        These very ones do not count: before calibration they are others, and what fits then must fit afterwards.
        """
        matrix = self.matrix
        added = round(0.18 * matrix.weights.size * matrix.weight_bits * (matrix.source.bits + 3))
        levels = (matrix.weights.shape[1] * matrix.weight_bits).bit_length()
        return {"SUM_BITS": added, "REGISTER_BITS": self.in_bits + round(0.7 * added), "STAGES": 1 + levels // LEVELS}

    @property
    def expected(self) -> Instance:
        stages = self.typical["STAGES"]
        assert isinstance(stages, int)
        return Instance(self.role, self.module, self.typical, self.in_bits, self.out_bits, Pipeline(stages))

    @classmethod
    def of(cls, matrix: Matrix) -> Constants:
        in_bits, out_bits = matrix.inputs * matrix.source.bits, matrix.weights.shape[0] * matrix.sum_bits
        return cls("constants", "constants", {}, in_bits, out_bits, Through(matrix), matrix=matrix)
