"""Where a network is to end, by the names of its layers or tensors: ``outputs=``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TypeVar

from cnn2rtl.errors import UserError

End = TypeVar("End")


def chosen(names: Sequence[str], ends: Mapping[str, End]) -> list[End]:
    """What is called each of these ``names``; raises one :class:`UserError` for all that nothing is called."""
    problems = []
    for name in dict.fromkeys(names):
        if name not in ends:
            near = difflib.get_close_matches(name, ends, 3, 0.5) or [*[*ends][-3:]]
            problems.append(f"`outputs={name}`: no layer or tensor is called so; there are {', '.join(near)}, ...")
    if problems:
        raise UserError(problems)
    return [ends[name] for name in dict.fromkeys(names)]
