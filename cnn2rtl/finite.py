"""Every number of a network is finite: NaN and infinity have no code, and would pass for zeros in silence."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

REMEDY = "no hardware computes with these; take an earlier checkpoint, or export the network again"


def not_finite(values: Any) -> str:
    """How many of ``values``, an array or a number, are none: ``3 of 108 values are NaN or infinite``, or nothing."""
    array = np.asarray(values)
    if array.dtype.kind not in "fc":
        return ""
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    return f"{bad} of {array.size} values are NaN or infinite" if bad else ""


def flaws_of(value: Any) -> tuple[str, ...]:
    """Of each field of a dataclass that holds floats, by its name, what :func:`not_finite` says; empty if nothing."""
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    found = {name: not_finite(held) for name, held in fields.items() if isinstance(held, (np.ndarray, float, tuple))}
    return tuple(f"`{name}`: {flaw}" for name, flaw in found.items() if flaw)
