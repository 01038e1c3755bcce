"""What is right: labels of any kind, one for each image, as they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cnn2rtl.finite import not_finite
from cnn2rtl.tensors import times


@dataclass(frozen=True, eq=False)
class Labels:
    """``values``, (n, ...), numbers of any kind; ``class_names`` where folders name the classes that they number.

    Of pictures, ``white`` is the largest value that a pixel can have; it is 0 for all else.
    """

    values: np.ndarray
    class_names: tuple[str, ...] = ()
    white: float = 0.0

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def flaw(self) -> str:
        """Why nothing can be judged by them, in words; empty if something can."""
        if self.values.dtype.kind not in "biuf":
            return f"are of type {self.values.dtype}; numbers are expected"
        flaw = not_finite(self.values)
        return f"are no numbers everywhere: {flaw}" if flaw else ""

    @cached_property
    def whole(self) -> bool:
        """Whether they are whole numbers, of whatever type."""
        return self.values.dtype.kind in "biu" or bool((self.values == np.rint(self.values)).all())

    @property
    def size(self) -> str:
        """Of one of them, as people write it."""
        return times(self.values.shape[1:]) or "one number"

    def take(self, indices: Sequence[int]) -> Labels:
        """Those with these numbers."""
        return replace(self, values=self.values[list(indices)])
