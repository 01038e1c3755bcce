"""Number formats and the one definition of requantisation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

IntArray = np.ndarray[tuple[int, ...], np.dtype[np.signedinteger]]
Scheme = Literal["pow2", "scale"]

MULTIPLIER_BITS = 16
"""Width of the multiplier in the ``scale`` scheme: a relative error of at most 2**-16."""

STEEPEST = 16
"""Largest useful ratio of an accumulator's unit to its output's, as a power of two."""

SHIFT_LIMIT = 24
"""Largest useful gap, in bits, between an accumulator's resolution and its output's."""


@dataclass(frozen=True)
class QFormat:
    """Codes of ``bits`` bits, two's complement if ``signed``; a code ``q`` means ``(q - zero) * scale``.

    ``scale`` is one number, or one per channel. ``lo`` and ``hi`` are the smallest and largest code
    that occur, in any channel: a clamp may leave some unused, and accumulators are sized by what is left.
    ``zero``, the zero point, is the code that means 0, whether it occurs or not.
    """

    bits: int
    signed: bool
    scale: float | tuple[float, ...]
    lo: int
    hi: int
    zero: int = 0

    @classmethod
    def full(cls, bits: int, signed: bool, scale: float | tuple[float, ...]) -> QFormat:
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
        """This format with its codes limited to the reals from ``low`` to ``high`` (either may be infinite).

        They are the bounds' codes in the coarsest channel; for the others see :meth:`refined`.
        """
        coarsest = replace(self, scale=self.coarsest)
        lo = self.lo if math.isinf(low) else int(coarsest.codes(np.array(low)))
        hi = self.hi if math.isinf(high) else int(coarsest.codes(np.array(high)))
        return replace(self, lo=max(self.lo, min(lo, self.hi)), hi=min(self.hi, max(hi, self.lo)))

    def refined(self, scales: np.ndarray, scheme: Scheme) -> QFormat:
        """This format with a scale per channel: that of ``scales``, (channels,), where it is finer.

        The codes stay from ``lo`` to ``hi``. A channel whose values need one of these bounds, such as the
        6 of a ReLU6, must keep the scale that makes it a bound: ``scales`` may be no finer than cover them.
        Where zero is no code, no bound could move, and the format stays as it is.
        """
        if not self.lo <= self.zero <= self.hi:
            return self
        finer = np.clip(scales, 2.0**-SHIFT_LIMIT, self.coarsest)
        if scheme == "pow2":
            finer = np.array([power_of_two_at_least(float(s)) for s in finer])
        return self if np.all(finer == self.scale) else replace(self, scale=tuple(finer.tolist()))

    @cached_property
    def scales(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """The scale as an array, () or (channels,)."""
        return np.asarray(self.scale, np.float64)

    @property
    def coarsest(self) -> float:
        """The largest scale of any channel."""
        return float(self.scales.max())

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest real value of any channel."""
        return (self.lo - self.zero) * self.coarsest, (self.hi - self.zero) * self.coarsest

    @property
    def per_channel(self) -> bool:
        return isinstance(self.scale, tuple)

    @property
    def frac(self) -> int | None:
        """Fractional bits, ``None`` if the scale is no power of two or not the same for all channels."""
        if isinstance(self.scale, tuple):
            return None
        mantissa, exponent = math.frexp(self.scale)
        return 1 - exponent if mantissa == 0.5 else None

    def codes(self, reals: np.ndarray) -> IntArray:
        """Nearest codes, half up, saturated at ``lo`` and ``hi``; the last axis is the channels, if it matters."""
        steps = np.floor(np.asarray(reals) / self.scales + 0.5)
        codes: IntArray = np.clip(steps + self.zero, self.lo, self.hi).astype(np.int64)
        return codes

    def reals(self, codes: np.ndarray | float) -> np.ndarray:
        return (np.asarray(codes) - self.zero) * self.scales

    def __str__(self) -> str:
        sign = "s" if self.signed else "u"
        ends = [replace(self, scale=scale) for scale in (self.coarsest, float(self.scales.min()))]
        zero = f"@{self.zero}" if self.zero else ""
        if all(end.frac is not None for end in ends):
            return f"{sign}{self.bits}." + "..".join(dict.fromkeys(str(end.frac) for end in ends)) + zero
        return f"{sign}{self.bits}*" + "..".join(dict.fromkeys(f"{end.coarsest:.3g}" for end in ends)) + zero


PIXEL = QFormat.full(8, False, 1.0)
"""Raw camera pixels, 0 to 255."""


def power_of_two_at_least(x: float) -> float:
    """The smallest power of two that is not below ``x`` > 0."""
    mantissa, exponent = math.frexp(x)
    return math.ldexp(1.0, exponent - 1 if mantissa == 0.5 else exponent)


@dataclass(frozen=True, eq=False)
class Requant:
    """``q = clamp(((acc * multiplier + half) >> shift) + zero, lo, hi)``; ``half = 1 << (shift - 1)``, 0 if shift is 0.

    ``multiplier`` and ``shift`` are (channels,). In the ``pow2`` scheme the multiplier is one power of
    two for all channels, a left shift by ``pre_shift``; ``multiplier_bits`` is 0 then. ``zero`` is
    the output's zero point.
    """

    multiplier: IntArray
    shift: IntArray
    lo: int
    hi: int
    multiplier_bits: int
    zero: int = 0

    @property
    def pre_shift(self) -> int:
        """Left shift that stands for the multiplier in the ``pow2`` scheme, in bits."""
        return int(self.multiplier.max()).bit_length() - 1 if self.multiplier_bits == 0 else 0

    @classmethod
    def between(cls, acc_scale: np.ndarray, out: QFormat, scheme: Scheme) -> Requant:
        """From accumulators worth ``acc_scale`` per unit, (channels,), to ``out``."""
        # One or two units of so coarse an accumulator fill an output of 16 bits: steeper makes no difference.
        ratio = np.minimum(acc_scale / out.scales, 1 << STEEPEST)
        if scheme == "pow2":
            # Free scales are meant to differ by powers of two, and do but for the last bit of a float.
            nearest = np.exp2(np.round(np.log2(ratio)))
            ratio = np.where(np.abs(ratio / nearest - 1) < 1e-9, nearest, ratio)
        mantissa, exponent = np.frexp(ratio)
        if scheme == "pow2" and np.all(mantissa == 0.5):
            shift = 1 - exponent.astype(np.int64)
            left = max(0, -int(shift.min()))
            return cls(np.full(shift.shape, 1 << left, np.int64), shift + left, out.lo, out.hi, 0, out.zero)
        multiplier = np.floor(mantissa * (1 << MULTIPLIER_BITS) + 0.5).astype(np.int64)
        shift = MULTIPLIER_BITS - exponent.astype(np.int64)
        overflow = multiplier >> MULTIPLIER_BITS  # a mantissa that rounded up to 1
        multiplier, shift = multiplier >> overflow, shift - overflow
        steep = shift < 1
        multiplier, shift = np.where(steep, (1 << MULTIPLIER_BITS) - 1, multiplier), np.where(steep, 1, shift)
        return cls(multiplier, shift, out.lo, out.hi, MULTIPLIER_BITS, out.zero)

    def __call__(self, total: np.ndarray, reach: int | None = None) -> IntArray:
        """Requantise integers, perhaps held by floats, whose last axis is the channels. Exact for any width.

        ``reach`` bounds their size, where that is known.
        """
        if reach is None:
            reach = int(np.abs(total).max(initial=0))
        exact = float_type((reach * int(self.multiplier.max()) + ((1 << int(self.shift.max())) >> 1)).bit_length())
        scaled: np.ndarray
        if exact is None:  # Python's own integers
            multiplier, shift = self.multiplier.astype(object), self.shift.astype(object)
            scaled = (total.astype(np.int64).astype(object) * multiplier + ((1 << shift) >> 1)) >> shift
            return np.asarray(np.clip(scaled + self.zero, self.lo, self.hi), np.int32)
        # The product is an integer that the float holds, the division by a power of two and the half are exact.
        scaled = total * np.ldexp(self.multiplier.astype(exact), -self.shift.astype(np.int32))
        scaled += exact(0.5)
        np.floor(scaled, out=scaled)
        if self.zero:
            scaled += exact(self.zero)
        return np.asarray(np.clip(scaled, self.lo, self.hi, out=scaled), np.int32)


def float_type(bits: int) -> type[np.float32] | type[np.float64] | None:
    """The fastest floating point type that holds every integer of ``bits`` bits and a sign, if any does."""
    return np.float32 if bits <= 24 else np.float64 if bits <= 53 else None


def signed_bits(lo: int, hi: int) -> int:
    """Bits of the narrowest two's complement number that holds every integer from ``lo`` to ``hi``."""
    return max((~lo if lo < 0 else lo).bit_length(), (~hi if hi < 0 else hi).bit_length()) + 1
