"""Features of memories that are logic."""

from __future__ import annotations

from math import exp

from cnn2rtl.hardware.parts import Features


def rom_features(width: int, depth: int) -> Features:
    """A ROM in logic. A column of few words is one of few functions: many columns share one."""
    functions = 2.0 ** min(depth, 30)
    columns = functions * (1 - exp(-width / functions)) if depth > 1 else 0.0
    return {
        "columns of 8": columns if 2 < depth <= 8 else 0.0,
        "columns": columns if depth > 8 else 0.0,
        "16 to 64 words": columns * min(max(depth - 16, 0), 48),
        "64 words on": columns * max(depth - 64, 0),
        "words": max(depth - 16, 0),
        "data": width if depth > 1 else 0.0,
    }


def ram_features(width: int, depth: int, segments: int, logic: bool) -> Features:
    """Registers as memory, or blocks and tables that are chosen among by address."""
    if logic:
        return {"cells": width * depth, "cell choice": width * (depth - 1), "words": depth, "data": width}
    return {"segment choice": width * (segments - 1), "segments": segments - 1}
