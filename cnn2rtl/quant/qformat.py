"""Number formats and the one definition of requantisation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

IntArray = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Scheme = Literal["pow2", "scale"]

MULTIPLIER_BITS = 16
"""Width of the multiplier in the ``scale`` scheme: a relative error of at most 2**-16."""

STEEPEST = 16
"""Largest useful ratio of an accumulator's unit to its output's, as a power of two."""

SHIFT_LIMIT = 24
"""Largest useful gap, in bits, between an accumulator's resolution and its output's."""


@dataclass(frozen=True)
class QFormat:
    """Codes of ``bits`` bits, two's complement if ``signed``; a code ``q`` means ``q * scale``.

    ``lo`` and ``hi`` are the smallest and largest code that occur: a clamp may leave some unused,
    and accumulators are sized by what is left.
    """

    bits: int
    signed: bool
    scale: float
    lo: int
    hi: int

    @classmethod
    def full(cls, bits: int, signed: bool, scale: float) -> QFormat:
        """The format with every code in use."""
        if signed:
            return cls(bits, signed, scale, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        return cls(bits, signed, scale, 0, (1 << bits) - 1)

    @classmethod
    def covering(cls, low: float, high: float, bits: int, scheme: Scheme) -> QFormat:
        """The finest format whose codes reach from ``low`` to ``high``; unsigned if ``low`` is not negative."""
        signed = low < 0
        whole = cls.full(bits, signed, 1.0)
        scale = max(low / whole.lo if signed else 0.0, high / whole.hi, 2.0**-SHIFT_LIMIT)
        return replace(whole, scale=power_of_two_at_least(scale) if scheme == "pow2" else scale)

    def clamped(self, low: float, high: float) -> QFormat:
        """This format with its codes limited to the reals from ``low`` to ``high`` (either may be infinite)."""
        lo = self.lo if math.isinf(low) else int(self.codes(np.array(low)))
        hi = self.hi if math.isinf(high) else int(self.codes(np.array(high)))
        return replace(self, lo=max(self.lo, min(lo, self.hi)), hi=min(self.hi, max(hi, self.lo)))

    @property
    def frac(self) -> int | None:
        """Fractional bits, ``None`` if the scale is no power of two."""
        mantissa, exponent = math.frexp(self.scale)
        return 1 - exponent if mantissa == 0.5 else None

    def codes(self, reals: np.ndarray) -> IntArray:
        """Nearest codes, half up, saturated at ``lo`` and ``hi``."""
        return np.clip(np.floor(np.asarray(reals) / self.scale + 0.5), self.lo, self.hi).astype(np.int64)

    def reals(self, codes: np.ndarray) -> np.ndarray:
        return np.asarray(codes) * self.scale

    def __str__(self) -> str:
        sign = "s" if self.signed else "u"
        return f"{sign}{self.bits}.{self.frac}" if self.frac is not None else f"{sign}{self.bits}*{self.scale:.3g}"


PIXEL = QFormat.full(8, False, 1.0)
"""Raw camera pixels, 0 to 255."""


def power_of_two_at_least(x: float) -> float:
    """The smallest power of two that is not below ``x`` > 0."""
    mantissa, exponent = math.frexp(x)
    return math.ldexp(1.0, exponent - 1 if mantissa == 0.5 else exponent)


@dataclass(frozen=True, eq=False)
class Requant:
    """``q = clamp((acc * multiplier + half) >> shift, lo, hi)``, ``half = 1 << (shift - 1)`` (0 if shift is 0).

    ``multiplier`` and ``shift`` are (channels,). In the ``pow2`` scheme the multiplier is one power of
    two for all channels, a left shift by ``pre_shift``; ``multiplier_bits`` is 0 then.
    """

    multiplier: IntArray
    shift: IntArray
    lo: int
    hi: int
    multiplier_bits: int

    @property
    def pre_shift(self) -> int:
        """Left shift that stands for the multiplier in the ``pow2`` scheme, in bits."""
        return int(self.multiplier.max()).bit_length() - 1 if self.multiplier_bits == 0 else 0

    @classmethod
    def between(cls, acc_scale: np.ndarray, out: QFormat, scheme: Scheme) -> Requant:
        """From accumulators worth ``acc_scale`` per unit, (channels,), to ``out``."""
        # One or two units of so coarse an accumulator fill an output of 16 bits: steeper makes no difference.
        ratio = np.minimum(acc_scale / out.scale, 1 << STEEPEST)
        mantissa, exponent = np.frexp(ratio)
        if scheme == "pow2" and np.all(mantissa == 0.5):
            shift = 1 - exponent.astype(np.int64)
            left = max(0, -int(shift.min()))
            return cls(np.full(shift.shape, 1 << left, np.int64), shift + left, out.lo, out.hi, 0)
        multiplier = np.floor(mantissa * (1 << MULTIPLIER_BITS) + 0.5).astype(np.int64)
        shift = MULTIPLIER_BITS - exponent.astype(np.int64)
        overflow = multiplier >> MULTIPLIER_BITS  # a mantissa that rounded up to 1
        multiplier, shift = multiplier >> overflow, shift - overflow
        steep = shift < 1
        multiplier, shift = np.where(steep, (1 << MULTIPLIER_BITS) - 1, multiplier), np.where(steep, 1, shift)
        return cls(multiplier, shift, out.lo, out.hi, MULTIPLIER_BITS)

    def __call__(self, acc: IntArray) -> IntArray:
        """Requantise accumulators whose last axis is the channels. Exact for any width."""
        widest = int(np.abs(acc).max(initial=0)).bit_length() + int(self.multiplier.max()).bit_length()
        numbers: list[np.ndarray] = [acc, self.multiplier, self.shift]
        if max(widest, int(self.shift.max())) > 61:
            numbers = [values.astype(object) for values in numbers]  # Python's own integers
        acc, multiplier, shift = numbers
        codes = np.clip((acc * multiplier + ((1 << shift) >> 1)) >> shift, self.lo, self.hi)
        return np.asarray(codes, np.int64)


def signed_bits(lo: int, hi: int) -> int:
    """Bits of the narrowest two's complement number that holds every integer from ``lo`` to ``hi``."""
    return max((~lo if lo < 0 else lo).bit_length(), (~hi if hi < 0 else hi).bit_length()) + 1
