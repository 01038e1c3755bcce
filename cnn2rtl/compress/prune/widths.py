"""How many channels stay, and by which steps to get there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

from cnn2rtl.compress.prune.channels import Channels
from cnn2rtl.compress.prune.ranking import Scores

Widths = Mapping[str, int]
"""By the name of a :class:`Channels`: how many of them stay."""
Scope: TypeAlias = Literal["layer", "global"]
"""Whether every layer keeps the same share, or channels of all layers compete."""


def keep_share(channels: Sequence[Channels], scores: Scores, keep: float, scope: Scope, step: int = 1) -> Widths:
    """The widths with a share ``keep`` of all channels that have scores, at least one of each layer.

    They are rounded to multiples of ``step``; layers that are narrower than that stay as they are.
    """
    ranked = [c for c in channels if c.name in scores]
    if scope == "layer":
        wanted = [keep * c.width for c in ranked]
    else:
        layer = np.concatenate([np.full(c.width, number) for number, c in enumerate(ranked)])
        order = np.argsort(-np.concatenate([scores[c.name] for c in ranked]), kind="stable")
        wanted = np.bincount(layer[order[: round(keep * len(order))]], minlength=len(ranked)).tolist()
    return {c.name: _rounded(width, step, c.width) for c, width in zip(ranked, wanted, strict=True)}


def _rounded(width: float, step: int, most: int) -> int:
    """The multiple of ``step`` next to ``width``, from the first one to the last one within ``most``."""
    return most if most < step else step * min(max(round(width / step), 1), most // step)


def towards(channels: Sequence[Channels], widths: Widths, done: float) -> Widths:
    """The widths when a share ``done`` of the rounds is behind: the same factor in each of them."""
    start = {c.name: c.width for c in channels}
    return {name: round(start[name] * (width / start[name]) ** done) for name, width in widths.items()}
