"""How good a network is while it is trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnn2rtl.compress.training.feed import Feed
from cnn2rtl.errors import UserError
from cnn2rtl.foreign import said
from cnn2rtl.tasks.output import Output, outputs_of
from cnn2rtl.tensors import Shape


@dataclass(frozen=True)
class EpochScore:
    """What an epoch left: mean loss per image and the lesson's measure (the share of right answers or, of values, the
    rms error), while training and on the validation images after it; its last step size; its seconds; and whether no
    epoch before was as good."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    rate: float
    seconds: float
    best: bool


def scores_of(module: nn.Module, inputs: Tensor) -> Tensor:
    """A score per class, (n, classes), or a map of scores, (n, c, h, w)."""
    with torch.autocast(inputs.device.type, torch.float16, enabled=inputs.device.type == "cuda"):
        scores: Tensor = module(inputs)
    flat = scores.shape[1] == scores[0].numel()
    return (scores.flatten(1) if flat else scores).to(torch.float32)


def measure(module: nn.Module, feed: Feed, device: torch.device, batch: int) -> tuple[float, float]:
    """Mean loss per image, and the measure of the feed's lesson."""
    module.eval()
    loss, good, count = 0.0, 0.0, 0
    with torch.no_grad():
        for indices in torch.split(torch.arange(len(feed)), batch):
            part = feed.batch(feed.pixels(indices, device), indices)
            scores = scores_of(module, part.inputs)
            loss += float(feed.lesson.loss(scores, part.labels)) * len(indices)
            right, of = feed.lesson.good(scores, part.labels)
            good, count = good + right, count + of
    return loss / len(feed), feed.lesson.measure(good, count)


def output_of(module: nn.Module, shape: Shape, name: str) -> Output:
    """What ``module`` gives for images of ``shape`` (c, h, w), as far as it shows; ``name`` is what errors call it."""
    size = "x".join(map(str, shape))
    training = module.training
    try:
        with torch.no_grad():
            found = module.eval()(torch.zeros(1, *shape))
    except Exception as error:
        raise UserError(f"{name}: does not take an input of {size}, see `example=`: it {said(error)}") from None
    finally:
        module.train(training)
    flat = isinstance(found, Tensor) and found.ndim > 1 and found.shape[1] == found.numel()
    if not isinstance(found, Tensor) or not (flat or (found.ndim == 4 and len(found) == 1)):
        what = "x".join(map(str, found.shape)) if isinstance(found, Tensor) else type(found).__name__
        raise UserError(
            f"{name}: scores (n, c) or a map of them (n, c, h, w) are expected for an image, but its output is {what}"
        )
    # What it ends with takes seconds to find out, and matters for some labels alone.
    _, c, h, w = (*found.shape[:2], 1, 1) if flat else found.shape
    return Output("output", (c, h, w), "", c, shape[1:])


def ending_of(module: nn.Module, shape: Shape) -> str:
    """What the network ends with, see :class:`cnn2rtl.tasks.output.Output`, where that can be told."""
    from cnn2rtl.frontend import capture
    from cnn2rtl.passes import as_trained

    training = module.training
    try:
        (found,) = outputs_of(as_trained(capture(module.eval(), shape, "network")))
        return found.ending
    except (UserError, ValueError):
        return ""
    finally:
        module.train(training)
