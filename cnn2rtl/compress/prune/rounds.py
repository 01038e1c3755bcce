"""Removing channels little by little, with training in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from cnn2rtl.compress.prune.channels import Channels, found_again, without
from cnn2rtl.compress.prune.ranking import Scores
from cnn2rtl.compress.prune.widths import Widths, towards
from cnn2rtl.tensors import Shape

Rank = Callable[[nn.Module, Sequence[Channels]], Scores]
Train = Callable[[nn.Module, int], nn.Module]
"""From a network and the number of the round to the network that was trained."""


@dataclass(frozen=True, eq=False)
class Round:
    """What round ``number``, counted from 1, left: the network, and the widths that it has now."""

    number: int
    module: nn.Module
    widths: Widths


def prune(
    module: nn.Module,
    shape: Shape,
    channels: Sequence[Channels],
    widths: Widths,
    rank: Rank,
    fine_tune: Train = lambda module, number: module,
    rounds: int = 1,
) -> Iterator[Round]:
    """Bring ``module``, which takes images of ``shape`` (c, h, w), to ``widths``, in steps of equal factors.

    In every round the remaining channels are ranked anew, the last ones removed, and the rest trained by ``fine_tune``.
    ``module`` itself stays as it is.
    """
    for number in range(1, rounds + 1):
        present = found_again(module, shape, channels)
        aim = towards(channels, widths, number / rounds)
        scores = rank(module, present)
        kept = {c.name: c.best(scores[c.name], aim[c.name]) for c in present if c.name in aim and c.name in scores}
        module = fine_tune(without(module, shape, kept), number)
        yield Round(number, module, {name: len(numbers) for name, numbers in kept.items()})
