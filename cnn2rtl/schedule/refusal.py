"""Why there is no design for a target, as numbers; ``cnn2rtl/wording.py`` puts them into words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cnn2rtl.schedule.target import Target


class Resource(Enum):
    """What there may be too little of."""

    CYCLES = "cycles per frame"
    MULTIPLIERS = "multipliers"
    MEMORY = "bits of memory"
    DSPS = "DSP blocks"
    BLOCK_RAMS = "block RAMs"
    LUTS = "look-up tables"
    FLIP_FLOPS = "flip-flops"
    CELLS = "logic cells"


@dataclass(frozen=True)
class Shortfall:
    """So much is ``needed`` of a resource, of which so much is ``there``: of look-up tables, what may be used of them.

    ``layer`` is the one that needs it, where that is a single one.
    """

    resource: Resource
    needed: float
    there: float
    layer: str = ""

    @property
    def times(self) -> float:
        return self.needed / self.there if self.there else float("inf")


@dataclass(frozen=True)
class Nearest:
    """What would work in place of what was asked for, each by itself; ``None`` where it would not, or nobody asked.

    The frames per second, where some were asked for; the width of all weights and activations; how many ``weights`` a
    pruned network may have, about, and which ``share`` that is; the name of the smallest device, of the same family if
    one of those does.
    """

    fps: float | None = None
    bits: int | None = None
    weights: int | None = None
    share: float | None = None
    device: str | None = None


@dataclass(frozen=True)
class Refusal:
    """The ``shortfalls`` of the design that comes nearest to ``target``, and whether it is the ``smallest`` of all.

    Where block RAMs are short, and memories that are moved into look-up tables take too many of those, ``moved`` tells
    how many of them. ``weight_bits`` is how many bits the weights have. ``nearest`` is ``None`` where nobody asked.
    """

    target: Target
    shortfalls: tuple[Shortfall, ...]
    smallest: bool
    moved: Shortfall | None = None
    weight_bits: int = 0
    nearest: Nearest | None = None
