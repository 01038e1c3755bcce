"""How much each channel matters: a score per channel, the higher the more, by three measures of the literature.

Scores of different layers can be compared with each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from cnn2rtl.compress.prune.channels import Channels, Part
from cnn2rtl.compress.training.feed import Batch, Feed
from cnn2rtl.compress.training.score import scores_of
from cnn2rtl.errors import UserError

Scores = Mapping[str, np.ndarray]
"""By the name of a :class:`Channels`: one number per channel, (width,)."""

TAYLOR_IMAGES = 1024
"""So many images tell what a channel is good for; more would take longer."""


def slimming(module: nn.Module, channels: Sequence[Channels]) -> Scores:
    """``|gamma|`` of the BatchNorm on the channel's way, their mean where there are several (Liu et al.: *Learning
    Efficient Convolutional Networks through Network Slimming*, ICCV 2017).

    Channels that no BatchNorm scales have no score: they stay. Raises :class:`UserError` where that holds for all.
    """
    scores = {c.name: _mean(module, c.scales, c.width, _gamma) for c in channels if c.scales}
    if not scores:
        raise UserError(
            "`by=slimming` ranks channels by the scales of BatchNorm, which the network, or what was chosen of it, has "
            "none of; use `by=magnitude`, or `by=taylor`"
        )
    return scores


def magnitude(module: nn.Module, channels: Sequence[Channels]) -> Scores:
    """The L1 norm of the channel's filter (Li et al.: *Pruning Filters for Efficient ConvNets*, ICLR 2017).

    It is taken relative to the mean of its layer, as layers differ in scale, and averaged over the layers that have a
    filter for the channel.
    """
    return {c.name: _mean(module, c.makers, c.width, _relative_norms) for c in channels}


def taylor(module: nn.Module, channels: Sequence[Channels], batches: Iterable[Batch]) -> Scores:
    """By how much the loss would change without the channel, to first order and squared (Molchanov et al.: *Importance
    Estimation for Neural Network Pruning*, CVPR 2019).

    That is ``(sum of gradient * weight)^2`` over what a layer has for the channel, the mean over ``batches`` and the
    sum over the layers. The loss is that of the lesson. The network is in evaluation mode meanwhile, and keeps no
    gradients.
    """
    training, scores, count = module.training, {c.name: np.zeros(c.width) for c in channels}, 0
    module.eval()
    for batch in batches:
        module.zero_grad()
        batch.lesson.loss(scores_of(module, batch.inputs), batch.labels).backward()  # type: ignore[no-untyped-call]
        for c in channels:
            for part in (*c.makers, *c.scales):
                np.add.at(
                    scores[c.name], list(part.channels), _changes(module.get_submodule(part.layer))[[*part.places]]
                )
        count += 1
    module.zero_grad()
    module.train(training)
    if not count:
        raise UserError("`by=taylor` ranks channels by their effect on images, and there are none")
    return {name: total / count for name, total in scores.items()}


def some_batches(feed: Feed, size: int, device: torch.device) -> Iterator[Batch]:
    """Up to ``TAYLOR_IMAGES`` images of ``feed``, spread over all of it, ``size`` at once."""
    count = min(len(feed), TAYLOR_IMAGES)
    for indices in torch.split(torch.linspace(0, len(feed) - 1, count).round().long(), size):
        yield feed.batch(feed.pixels(indices, device), indices)


def _mean(
    module: nn.Module, parts: Sequence[Part], width: int, measure: Callable[[nn.Module], np.ndarray]
) -> np.ndarray:
    """The mean of a ``measure`` of layers, per channel, over the ``parts`` that have it."""
    total, count = np.zeros(width), np.zeros(width)
    for part in parts:
        np.add.at(total, list(part.channels), measure(module.get_submodule(part.layer))[list(part.places)])
        np.add.at(count, list(part.channels), 1)
    return total / np.maximum(count, 1)


def _gamma(layer: Any) -> np.ndarray:
    # Without scales of its own (affine=False) they are all 1.
    gamma = torch.ones(layer.num_features) if layer.weight is None else layer.weight
    scales: np.ndarray = np.abs(_array(gamma))
    return scales


def _relative_norms(layer: nn.Module) -> np.ndarray:
    filters = _array(layer.weight)
    norms: np.ndarray = np.abs(filters).reshape(len(filters), -1).sum(1)
    relative: np.ndarray = norms / max(norms.mean(), 1e-30)
    return relative


def _changes(layer: nn.Module) -> np.ndarray:
    products = [
        (parameter.grad * parameter).reshape(len(parameter), -1).sum(1)
        for parameter in layer.parameters(recurse=False)
        if parameter.grad is not None
    ]
    return _array(torch.stack(products).sum(0)) ** 2 if products else np.zeros(1)


def _array(tensor: object) -> np.ndarray:
    assert isinstance(tensor, torch.Tensor)
    values: np.ndarray = tensor.detach().cpu().double().numpy()
    return values
