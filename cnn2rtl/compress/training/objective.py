"""What training makes small."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from torch import Tensor, nn

from cnn2rtl.compress.training.feed import Batch

Fact: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True, eq=False)
class Objective:
    """``loss`` of the scores, (n, c) or (n, c, h, w), that a network gives a batch, plus ``penalty`` on the network.

    ``about`` tells one objective from another: a run goes on only with the one it was begun with.
    """

    loss: Callable[[Tensor, Batch], Tensor]
    penalty: Callable[[nn.Module], Tensor] | None = None
    about: Mapping[str, Fact] = field(default_factory=dict)


def from_labels(smoothing: float = 0.0) -> Objective:
    """The labels alone, by the loss of the lesson."""
    return Objective(lambda scores, batch: batch.lesson.loss(scores, batch.labels, smoothing))
