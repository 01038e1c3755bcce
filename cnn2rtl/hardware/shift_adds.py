"""Constants times a vector, as shifts and additions: as few of them as a greedy search finds.

Each constant is written in canonical signed digits, of which as few as possible are not zero; so an output is a sum of
shifted inputs, each added or subtracted. Where a pair of such terms occurs more than once, in whichever outputs and
however far both are shifted, it becomes a number of its own, which takes the pair's place everywhere; and so on with
the numbers that there are then, always with the pair that saves most (Hartley: *Subexpression sharing in filters using
canonic signed digit multipliers*, IEEE TCAS-II 43, 1996; Potkonjak, Srivastava, Chandrakasan: *Multiple constant
multiplications*, IEEE TCAD 15, 1996; for layers of neural networks da4ml, arXiv 2507.04535). What is left of an output
is summed as a tree, in which those terms meet first that are there first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np

from cnn2rtl.quant.qformat import IntArray, signed_bits

MOST_PAIRS = 1 << 21
"""How many pairs of terms a search looks at, which takes some seconds."""


@dataclass(frozen=True)
class Term:
    """A number of a graph, by its place there, shifted to the left and, if ``negative``, subtracted."""

    number: int
    shift: int = 0
    negative: bool = False


@dataclass(frozen=True)
class Number:
    """An input, or the sum of two ``terms``, the first of which is not negative, ``level`` additions after the inputs.

    It is the sum of the inputs times their ``coefficients``, which lack those that are zero, and lies between ``lo``
    and ``hi``.
    """

    coefficients: dict[int, int]
    lo: int
    hi: int
    level: int = 0
    terms: tuple[Term, ...] = ()

    @property
    def signed(self) -> bool:
        return self.lo < 0

    @property
    def bits(self) -> int:
        """The fewest that hold every value: two's complement if ``signed``, else unsigned."""
        return signed_bits(self.lo, self.hi) if self.signed else max(1, self.hi.bit_length())


@dataclass(frozen=True, eq=False)
class Graph:
    """The ``inputs`` and then the sums, each after those it is made of; ``None`` is an output that is always zero.

    No output is negative.
    """

    inputs: int
    numbers: tuple[Number, ...]
    outputs: tuple[Term | None, ...]

    @property
    def adders(self) -> int:
        return len(self.numbers) - self.inputs


def signed_digits(constants: IntArray) -> tuple[IntArray, IntArray]:
    """The canonical signed digits of integers: masks of the bits where the digit is 1, and where it is -1."""
    triple = 3 * constants
    return (triple & ~constants) >> 1, (constants & ~triple) >> 1


def shift_adds(matrix: IntArray, lo: int, hi: int) -> Graph:
    """The graph of ``matrix`` (outputs, inputs) times inputs from ``lo`` to ``hi``, which lie around zero."""
    inputs = matrix.shape[1]
    builder = _Builder(inputs, lo, hi)
    # Inputs that are always zero have nothing to add.
    rows = [_digits(row) for row in (matrix if lo < hi else np.zeros_like(matrix))]
    # In a large matrix, only inputs of the same part are paired. With p parts, there are p times fewer pairs.
    pairs = sum(len(row) ** 2 // 2 for row in rows)
    parts = min(inputs, 1 + pairs // MOST_PAIRS)
    terms: list[list[Term]] = [[] for _ in rows]
    for part in range(parts):
        within = range(part * inputs // parts, (part + 1) * inputs // parts)
        some = [{code: negative for code, negative in row.items() if code & _MASK in within} for row in rows]
        _Sharing(builder, some).run()
        for output, row in zip(terms, some, strict=True):
            output += [_term(code, negative) for code, negative in row.items()]
    outputs = tuple(builder.tree(output) for output in terms)
    return Graph(inputs, tuple(builder.numbers), outputs)


class _Builder:
    """The numbers so far."""

    def __init__(self, inputs: int, lo: int, hi: int) -> None:
        self.lo, self.hi = lo, hi
        self.numbers = [Number({index: 1}, lo, hi) for index in range(inputs)]
        self.bits = [number.bits for number in self.numbers]

    def add(self, first: Term, second: Term) -> int:
        """One more sum: its place."""
        coefficients: dict[int, int] = {}
        for term in (first, second):
            factor = (-1 if term.negative else 1) << term.shift
            for index, value in self.numbers[term.number].coefficients.items():
                coefficients[index] = coefficients.get(index, 0) + factor * value
        up = sum(value for value in coefficients.values() if value > 0)
        down = sum(value for value in coefficients.values() if value < 0)
        level = 1 + max(self.numbers[term.number].level for term in (first, second))
        lo, hi = up * self.lo + down * self.hi, up * self.hi + down * self.lo
        self.numbers.append(Number(coefficients, lo, hi, level, (first, second)))
        self.bits.append(self.numbers[-1].bits)
        return len(self.numbers) - 1

    def tree(self, terms: list[Term]) -> Term | None:
        """The sum of ``terms``: those of the lowest level first, and of these the smallest."""
        heap = [(*self._order(term), term) for term in terms]
        heapify(heap)
        while len(heap) > 1:
            first, second = sorted((heappop(heap)[-1], heappop(heap)[-1]), key=lambda term: term.shift)
            # Below the higher one's last bit, the sum is the lower one as it is, if that is not subtracted. But the
            # last sum must not be a negative one.
            if first.negative and not second.negative and not heap:
                first, second = second, first
            shift, negative = min(first.shift, second.shift), first.negative
            number = self.add(
                Term(first.number, first.shift - shift),
                Term(second.number, second.shift - shift, second.negative != negative),
            )
            term = Term(number, shift, negative)
            heappush(heap, (*self._order(term), term))
        if not heap:
            return None
        last = heap[0][-1]
        # -x = x - 2x
        return Term(self.add(Term(last.number), Term(last.number, 1, True)), last.shift) if last.negative else last

    def _order(self, term: Term) -> tuple[int, int, int, int]:
        number = self.numbers[term.number]
        return number.level, term.shift + self.bits[term.number], term.shift, term.number


# In the search a term is one integer, its shift above the place of its number, and a row maps those of an output to
# whether they are negative. A pair is an integer, too: how much farther the higher term is shifted, that term's number,
# the lower one's, and whether just one of the two is negative.
_PLACE = 24
_MASK = (1 << _PLACE) - 1
_Row = dict[int, bool]


def _digits(row: IntArray) -> _Row:
    """The terms of an output."""
    return {
        shift << _PLACE | index: negative
        for negative, masks in zip((False, True), signed_digits(row), strict=True)
        for index, mask in enumerate(masks.tolist())
        for shift in range(mask.bit_length())
        if mask >> shift & 1
    }


def _term(code: int, negative: bool) -> Term:
    return Term(code & _MASK, code >> _PLACE, negative)


def _pair(one: int, other: int, differ: bool) -> int:
    low, high = (one, other) if one < other else (other, one)
    place = low & _MASK
    return (high - low + place << _PLACE | place) << 1 | differ


class _Sharing:
    """The search for pairs. No pair becomes more frequent, but for those with the newest number."""

    def __init__(self, builder: _Builder, rows: list[_Row]) -> None:
        self.builder, self.rows = builder, rows
        self.counts: dict[int, int] = {}
        self.heap: list[tuple[int, int, int, int]] = []
        self.top = max((code >> _PLACE for row in rows for code in row), default=0)

    def run(self) -> None:
        """Replace pairs as long as one occurs twice."""
        for pair, count in zip(*(found.tolist() for found in self._all_pairs()), strict=True):
            self._offer(pair, count)
        while self.heap:
            _, _, known, pair = heappop(self.heap)
            count = self.counts.pop(pair, 0)
            if count == known:
                self._replace(pair)
            else:
                self._offer(pair, count)

    def _all_pairs(self) -> tuple[IntArray, IntArray]:
        """Every pair, and how often it occurs."""
        found = [np.zeros(0, np.int64)]
        for row in self.rows:
            codes = np.array(sorted(row), np.int64)
            negative = np.array([row[code] for code in codes.tolist()], bool)
            low, high = np.triu_indices(codes.size, 1)
            place = codes[low] & _MASK
            pairs = (codes[high] - codes[low] + place << _PLACE | place) << 1
            found.append(pairs | (negative[low] != negative[high]))
        pairs, counts = np.unique(np.concatenate(found), return_counts=True)
        return pairs, counts

    def _offer(self, pair: int, count: int) -> None:
        if count < 2:
            return
        self.counts[pair] = count
        high, low = pair >> 1 + _PLACE, pair >> 1 & _MASK
        apart, bits, numbers = high >> _PLACE, self.builder.bits, self.builder.numbers
        # Where the two overlap, there is something to add: that is what the other occurrences save.
        overlap = min(bits[low] - apart, bits[high & _MASK])
        level = max(numbers[low].level, numbers[high & _MASK].level)
        heappush(self.heap, (-(count - 1) * max(1, overlap), level, count, pair))

    def _replace(self, pair: int) -> None:
        """Make a number of the pair, and put it in the place of each occurrence."""
        high, low, differ = pair >> 1 + _PLACE, pair >> 1 & _MASK, bool(pair & 1)
        found = [(row, shift) for row in self.rows for shift in self._occurrences(row, low, high, differ)]
        if len(found) < 2:  # counted were some that overlap
            return
        new = self.builder.add(Term(low), Term(high & _MASK, high >> _PLACE, differ))
        fresh: Counter[int] = Counter()
        removed = [self._remove(row, low + shift) for row, shift in found]
        for row, shift in found:
            self._remove(row, high + shift)
        for (row, shift), negative in zip(found, removed, strict=True):
            fresh.update(_pair(new + shift, code, negative != other) for code, other in row.items())
            row[new + shift] = negative
        for pair, count in fresh.items():
            self._offer(pair, count)

    def _occurrences(self, row: _Row, low: int, high: int, differ: bool) -> list[int]:
        """The shifts, in a term's place, of which no two share a term."""
        found: list[int] = []
        taken: set[int] = set()
        for shift in range(0, self.top + 1 << _PLACE, 1 << _PLACE):
            one, other = low + shift, high + shift
            if one in row and other in row and (row[one] != row[other]) == differ and one not in taken:
                taken.add(other)
                found.append(shift)
        return found

    def _remove(self, row: _Row, code: int) -> bool:
        """Whether the term was negative."""
        negative, counts = row.pop(code), self.counts
        for other, sign in row.items():
            pair = _pair(code, other, negative != sign)
            if pair in counts:
                counts[pair] -= 1
        return negative
