"""Arrays of numbers that are no pictures, as the codes that the network takes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, log10
from pathlib import Path
from typing import Any

import numpy as np

from cnn2rtl.errors import Notice, Problems, UserError
from cnn2rtl.finite import not_finite
from cnn2rtl.limits import too_many
from cnn2rtl.quant.inputs import AUTO, InputFormat
from cnn2rtl.quant.qformat import QFormat, Scheme
from cnn2rtl.tensors import Codes, code_type

BEYOND = 0.1
"""Share of the values that may lie beyond all codes: where more do, the scale is not that of the data."""

COARSE, ROUGH = 12.0, 30.0
"""Variance of the values to that of what rounding does to them, in dB: with less than the first, too little is left of
them; with less than the second, that is told.
"""

FEW_BITS = 4
"""So few bits may be meant to leave little of the values."""


def codes_of(name: Path | str, array: np.ndarray[Any, Any], numbers: QFormat) -> Codes:
    """The codes of ``array`` in the format ``numbers``: integers are codes, floats are what codes are worth.

    Floats become the nearest codes, and the last ones where they lie beyond (which is told). Raises
    :class:`UserError` for integers that are no codes, and for floats of which little would be left.
    """
    if array.dtype.kind not in "biuf":
        raise UserError(f"{name}: the values are of type {array.dtype}; numbers are expected")
    excess = too_many(len(array), array.shape[1:])
    if excess:
        raise UserError(f"{name}: {excess}")
    if array.dtype.kind == "f":
        return _rounded(name, array, numbers)
    lo, hi = int(array.min()), int(array.max())
    if lo < numbers.lo or hi > numbers.hi:
        raise UserError(
            f"{name}: the integers go from {lo} to {hi}, and an input {_short(numbers)} has codes from {numbers.lo} to "
            f'{numbers.hi}; say what they are, like `input_format="{_holding(lo, hi)}"`'
        )
    return array.astype(code_type(numbers.lo, numbers.hi), copy=False)


def with_scales(
    formats: Sequence[InputFormat], arrays: Mapping[str, np.ndarray[Any, Any]], scheme: Scheme
) -> tuple[InputFormat, ...]:
    """The format of each input, of which there are ``arrays`` by its name, with a scale wherever one was to be found.

    That is the finest with which all values have codes, in the ``pow2`` scheme of the powers of two. Raises
    :class:`UserError` for values that tell none, and for floats of which nobody said what a code is worth.
    """
    problems, found = Problems(), []
    for number, (name, array) in enumerate(arrays.items()):
        wanted = formats[number % len(formats)]  # of one, always this
        with problems.gather():
            if wanted.scale == AUTO:
                wanted = replace(wanted, scale=_scale(name, array, wanted, scheme))
            elif wanted.scale is None and not wanted.picture:
                _check_whole(name, array)
            found.append(wanted)
    problems.check()
    return tuple(found)


def _check_whole(name: str, array: np.ndarray[Any, Any]) -> None:
    if array.dtype.kind == "f" and not_finite(array) == "" and not all(np.all(part == np.rint(part)) for part in array):
        raise UserError(
            f"`input_scale=`: the values of {name} are no whole numbers, {float(array.min()):g} to "
            f"{float(array.max()):g}; say what a code is worth, or have it found: `input_scale=auto`"
        )


def _scale(name: str, array: np.ndarray[Any, Any], wanted: InputFormat, scheme: Scheme) -> float:
    if array.dtype.kind != "f":
        raise UserError(
            f"`input_scale=auto`: the values of {name} are {array.dtype}, which are codes already; say what one is "
            "worth, or leave it out"
        )
    flaw = not_finite(array)
    if flaw:
        raise UserError(f"`input_scale=auto`: {name}: {flaw}")
    low, high = float(array.min()), float(array.max())
    if low < 0 and not wanted.signed:
        raise UserError(
            f"`input_format={wanted}`: has no codes below 0, and the values of {name} go down to {low:g}; use "
            f"s{max(wanted.bits, 2)}"
        )
    covering = QFormat.covering(min(low, -high) if wanted.signed else 0.0, max(high, 0.0), wanted.bits, scheme)
    return covering.coarsest


def _rounded(name: Path | str, array: np.ndarray[Any, Any], numbers: QFormat) -> Codes:
    flaw = not_finite(array)
    if flaw:
        raise UserError(f"{name}: {flaw}; numbers are expected")
    codes = np.empty(array.shape, code_type(numbers.lo, numbers.hi))
    lo, hi = numbers.reals(numbers.lo - 0.5), numbers.reals(numbers.hi + 0.5)
    beyond, lost, power, total = 0, 0.0, 0.0, 0.0
    # One at a time: of all of them, what is made on the way would take eight times as much.
    for sample, values in zip(codes, array, strict=True):
        reals = values.astype(np.float64)
        sample[:] = numbers.codes(reals)
        beyond += int(((reals < lo) | (reals >= hi)).sum())
        lost += float(np.square(np.clip(reals, lo, hi) - numbers.reals(sample)).sum())
        power += float(np.square(reals).sum())
        total += float(reals.sum())
    low, high = float(array.min()), float(array.max())
    ends = f"from {float(numbers.reals(numbers.lo)):g} to {float(numbers.reals(numbers.hi)):g}"
    found = f"{name}: the values go from {low:g} to {high:g}, and the codes of an input {numbers} {ends}"
    remedy = "make the design with what a code is worth, `input_scale=`, or have it found: `input_scale=auto`"
    if beyond > BEYOND * array.size:
        raise UserError(f"{found}; {100 * beyond / array.size:.1f} % of the values lie beyond: {remedy}")
    variance = power - total * total / array.size
    left = 10 * log10(variance / lost) if lost > 0 and variance > 0 and numbers.bits > FEW_BITS else inf
    if left < COARSE:
        raise UserError(f"{found} in steps of {numbers.coarsest:g}, which leave little of the values: {remedy}")
    if beyond:
        told = f"{beyond:,} of {array.size:,} values lie beyond and take the last one"
        warnings.warn(Notice(f"{found}; {told}"), stacklevel=2)
    if left < ROUGH:
        told = f"in steps of {numbers.coarsest:g}, whose rounding is but {left:.0f} dB below the values"
        warnings.warn(Notice(f"{found} {told}"), stacklevel=2)
    return codes


def _short(numbers: QFormat) -> str:
    return f"{'s' if numbers.signed else 'u'}{numbers.bits}"


def _holding(lo: int, hi: int) -> str:
    """The narrowest usual format that has these codes."""
    signed = lo < 0
    bits = next((bits for bits in (8, 10, 12, 14) if QFormat.full(bits, signed, 1.0).hi >= max(hi, ~lo)), 16)
    return f"{'s' if signed else 'u'}{bits}"
