"""What training makes small."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional as F

from cnn2rtl.compress.training.feed import Batch

Fact: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True, eq=False)
class Objective:
    """``loss`` of the scores (n, classes) that a network gives a batch, plus ``penalty`` on the network itself.

    ``about`` tells one objective from another: a run goes on only with the one it was begun with.
    """

    loss: Callable[[Tensor, Batch], Tensor]
    penalty: Callable[[nn.Module], Tensor] | None = None
    about: Mapping[str, Fact] = field(default_factory=dict)


def cross_entropy(smoothing: float = 0.0) -> Objective:
    """The labels alone."""
    return Objective(lambda scores, batch: F.cross_entropy(scores, batch.labels, label_smoothing=smoothing))
