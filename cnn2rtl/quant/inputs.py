"""How the network's input comes: pictures, or numbers in codes of any width."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, Literal

from cnn2rtl.errors import Problems, UserError
from cnn2rtl.quant.qformat import QFormat

AUTO: Final = "auto"
"""A scale that calibration finds: the finest with which all values have codes."""

SPELLING = "u1 to u16, or s2 to s16 for two's complement"

Scale = float | Literal["auto"] | None


@dataclass(frozen=True)
class InputFormat:
    """Codes of ``bits`` bits, two's complement if ``signed``, each worth ``scale``: a number, ``auto`` or ``None``.

    Of ``u8`` without a scale the codes are pixels, worth 1/255; of any other they are worth 1 then.
    """

    bits: int = 8
    signed: bool = False
    scale: Scale = None

    @property
    def picture(self) -> bool:
        """Whether codes are pixels."""
        return self == InputFormat()

    @property
    def unsaid(self) -> bool:
        """Whether nobody said what a code is worth that is no pixel."""
        return self.scale == AUTO or (self.scale is None and not self.picture)

    @property
    def numbers(self) -> QFormat | None:
        """The format of codes that are no pixels."""
        assert self.scale != AUTO
        return None if self.picture else QFormat.full(self.bits, self.signed, 1.0 if self.scale is None else self.scale)

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.bits}"


def parse_format(text: str) -> tuple[int, bool]:
    """Width and sign of a format as the user writes it; raises :class:`UserError` for what is none."""
    found = re.fullmatch(r"([us])([1-9]\d?)", text.strip().lower()) if isinstance(text, str) else None
    bits, signed = (int(found[2]), found[1] == "s") if found else (0, False)
    if not (2 if signed else 1) <= bits <= 16:
        raise UserError(f"`input_format={text}`: {SPELLING}, is expected")
    return bits, signed


def parse_scale(scale: float | str | None) -> Scale:
    """What a code is worth, as the user says it, perhaps as 1/4096; raises :class:`UserError` for what is no scale."""
    if scale is None:
        return None
    if scale == AUTO:
        return AUTO
    try:
        top, _, bottom = str(scale).partition("/")
        value = float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError):
        value = 0.0
    if not 0 < value < inf:
        raise UserError(f"`input_scale={scale}`: a number greater than 0, or auto, is expected")
    return value


def input_formats(formats: Sequence[str], scales: Sequence[float | str | None]) -> tuple[InputFormat, ...]:
    """How each input comes, from one format and scale for all or one for each; none at all where all are pictures.

    Raises one :class:`UserError` for all that cannot be meant.
    """
    problems = Problems()
    kinds: list[tuple[int, bool]] = []
    worth: list[Scale] = []
    for text in formats:
        with problems.gather():
            kinds.append(parse_format(text))
    for scale in scales:
        with problems.gather():
            worth.append(parse_scale(scale))
    problems.check()
    count = max(len(kinds), len(worth))
    if {len(kinds), len(worth)} - {1, count}:
        raise UserError(
            f"`input_format=` has {len(kinds)} formats and `input_scale=` {len(worth)}; one for all inputs, or one for "
            "each, is expected"
        )
    found = tuple(
        InputFormat(*kinds[number % len(kinds)], worth[number % len(worth)])  # of one, always this
        for number in range(count)
    )
    return () if all(each.picture for each in found) else found
