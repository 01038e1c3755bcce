"""What is found of an output: decisions that are the same or right, and errors in the output's own units.

Scores are sums over images: those of two batches add up to those of both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, log10, sqrt

import numpy as np

from cnn2rtl.tensors import FloatArray


@dataclass(frozen=True)
class Confusion:
    """How often ``counts[row, column]`` decisions that should be ``row`` are ``column`` in hardware; others are 0.

    What they should be are the labels where there are any, else what the float network decides. There are ``classes``.
    """

    counts: Mapping[tuple[int, int], int]
    classes: int

    @property
    def mean_iou(self) -> float:
        """Mean intersection over union, of the classes that occur at all."""
        rows, columns = np.zeros(self.classes), np.zeros(self.classes)
        both = np.zeros(self.classes)
        for (row, column), count in self.counts.items():
            rows[row] += count
            columns[column] += count
            both[row] += count * (row == column)
        union = rows + columns - both
        there = union > 0
        return float((both[there] / union[there]).mean()) if there.any() else 1.0

    @property
    def f1(self) -> float:
        """Of the yeses, class 1: the harmonic mean of precision and recall; 1 where there is none to find."""
        right = self.counts.get((1, 1), 0)
        wrong = self.counts.get((0, 1), 0) + self.counts.get((1, 0), 0)
        return 2 * right / (2 * right + wrong) if right + wrong else 1.0


@dataclass(frozen=True)
class Decided:
    """Decisions of both networks, counted; those that labels judge are ``judged``.

    ``pairs`` count, by (matrix, row, column), how often which decision should be which and is which in hardware;
    ``float_pairs`` the same of the float network, where there are labels.
    """

    count: int = 0
    agreed: int = 0
    judged: int = 0
    float_right: int = 0
    integer_right: int = 0
    pairs: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    float_pairs: Counter[tuple[int, int, int]] = field(default_factory=Counter)

    def __add__(self, other: Decided) -> Decided:
        return Decided(
            self.count + other.count, self.agreed + other.agreed, self.judged + other.judged,
            self.float_right + other.float_right, self.integer_right + other.integer_right,
            self.pairs + other.pairs, self.float_pairs + other.float_pairs,
        )  # fmt: skip

    @property
    def lost(self) -> float:
        """Points: right decisions that the integers cost or, without labels, decisions that they change."""
        if self.judged:
            # Of counts: a difference of shares would be a rounding error off a limit that it meets.
            return 100 * (self.float_right - self.integer_right) / self.judged
        return 100 * (self.count - self.agreed) / max(self.count, 1)

    def confusions(self, matrices: int, classes: int, of_floats: bool = False) -> tuple[Confusion, ...]:
        """So many, each of so many ``classes``."""
        found: list[dict[tuple[int, int], int]] = [{} for _ in range(matrices)]
        for (matrix, row, column), count in sorted((self.float_pairs if of_floats else self.pairs).items()):
            found[matrix][row, column] = count
        return tuple(Confusion(counts, classes) for counts in found)


def counted(should: np.ndarray, found: np.ndarray, classes: int, matrices: int = 1) -> Counter[tuple[int, int, int]]:
    """How often ``found`` is which class where it ``should`` be which; negative ones are not judged.

    The last axis numbers the ``matrices``, where there are several.
    """
    matrix = np.broadcast_to(np.arange(matrices), should.shape) if matrices > 1 else np.zeros(should.shape, int)
    known = should >= 0
    codes = (matrix[known] * classes + should[known]) * classes + found[known]
    values, counts = np.unique(codes, return_counts=True)
    return Counter(
        {
            (code // classes // classes, code // classes % classes, code % classes): count
            for code, count in zip(values.tolist(), counts.tolist(), strict=True)
        }
    )


@dataclass(frozen=True)
class Errors:
    """Differences in the output's own units: their mean size, their root mean square, the largest."""

    mean: float
    rms: float
    largest: float


@dataclass(frozen=True, eq=False)
class Differences:
    """Sums of so many (``count``) differences per channel, each array (c,), and of the values that they are told of."""

    count: int
    sizes: FloatArray
    squares: FloatArray
    largest: FloatArray
    values: FloatArray
    powers: FloatArray

    @classmethod
    def of(cls, found: FloatArray, exact: FloatArray) -> Differences:
        """Of batches (n, h, w, c)."""
        error, axes = found - exact, (0, 1, 2)
        return cls(
            int(np.prod(exact.shape[:-1])), np.abs(error).sum(axes), np.square(error).sum(axes),
            np.abs(error).max(axes, initial=0.0), exact.sum(axes), np.square(exact).sum(axes),
        )  # fmt: skip

    def __add__(self, other: Differences) -> Differences:
        return Differences(
            self.count + other.count, self.sizes + other.sizes, self.squares + other.squares,
            np.maximum(self.largest, other.largest), self.values + other.values, self.powers + other.powers,
        )  # fmt: skip

    @property
    def errors(self) -> Errors:
        """Of all channels together."""
        every = self.count * len(self.sizes)
        return Errors(
            float(self.sizes.sum() / every), sqrt(float(self.squares.sum() / every)), float(self.largest.max())
        )

    @property
    def by_channel(self) -> tuple[Errors, ...]:
        rows = zip(self.sizes / self.count, np.sqrt(self.squares / self.count), self.largest, strict=True)
        return tuple(Errors(float(mean), float(rms), float(largest)) for mean, rms, largest in rows)

    @property
    def sqnr(self) -> float:
        """In dB, of all channels together: infinite where nothing differs."""
        signal, noise = float(self.powers.sum()), float(self.squares.sum())
        return 10 * log10(signal / noise) if noise and signal else inf

    @property
    def spread(self) -> FloatArray:
        """The standard deviation of each channel's values, (c,), or, of one that never varies, their size."""
        mean, power = self.values / self.count, self.powers / self.count
        variance = power - np.square(mean)
        # What is left of a difference of equals is rounding.
        varies = variance > 1e-12 * power
        found = np.sqrt(np.where(varies, variance, power))
        return np.where(found > 0, found, found.max() or 1.0)

    @property
    def relative(self) -> float:
        """The root mean square error, each channel's as a share of its :attr:`spread`."""
        return sqrt(float(np.square(np.sqrt(self.squares / self.count) / self.spread).mean()))


@dataclass(frozen=True, eq=False)
class Valued:
    """Differences of the values: integers from floats and, where there are labels, of each of both from these."""

    between: Differences
    of_floats: Differences | None = None
    of_integers: Differences | None = None

    def __add__(self, other: Valued) -> Valued:
        return Valued(
            self.between + other.between, _both(self.of_floats, other.of_floats),
            _both(self.of_integers, other.of_integers),
        )  # fmt: skip

    @property
    def lost(self) -> float:
        """Points: hundredths of a :attr:`~Differences.spread` by which the root mean square error from the labels grows
        or, without labels, which it is from the float network."""
        if self.of_floats is None or self.of_integers is None:
            return 100 * self.between.relative
        return 100 * (self.of_integers.relative - self.of_floats.relative)


def _both(one: Differences | None, other: Differences | None) -> Differences | None:
    return None if one is None or other is None else one + other
