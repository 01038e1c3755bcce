"""How good a network is while it is trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnn2rtl.compress.training.feed import Feed
from cnn2rtl.errors import UserError
from cnn2rtl.foreign import said
from cnn2rtl.tensors import Shape


@dataclass(frozen=True)
class EpochScore:
    """What an epoch left: mean loss per image and share of right answers, while training and on the validation images
    after it; its last step size; its seconds; and whether no epoch before was as good."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    rate: float
    seconds: float
    best: bool


def scores_of(module: nn.Module, inputs: Tensor) -> Tensor:
    """A score per class, (n, classes)."""
    with torch.autocast(inputs.device.type, torch.float16, enabled=inputs.device.type == "cuda"):
        scores: Tensor = module(inputs)
    return scores.flatten(1).to(torch.float32)


def measure(module: nn.Module, feed: Feed, device: torch.device, batch: int) -> tuple[float, float]:
    """Mean cross entropy per image, and share of right answers."""
    module.eval()
    loss, right = 0.0, 0
    with torch.no_grad():
        for indices in torch.split(torch.arange(len(feed)), batch):
            part = feed.batch(feed.pixels(indices, device), indices)
            scores = scores_of(module, part.inputs)
            loss += float(F.cross_entropy(scores, part.labels, reduction="sum"))
            right += int((scores.argmax(1) == part.labels).sum())
    return loss / len(feed), right / len(feed)


def classes_of(module: nn.Module, shape: Shape, name: str) -> int:
    """How many classes ``module`` gives a score, for images of ``shape`` (c, h, w); ``name`` is what errors call it."""
    size = "x".join(map(str, shape))
    training = module.training
    try:
        with torch.no_grad():
            found = module.eval()(torch.zeros(1, *shape))
    except Exception as error:
        raise UserError(f"{name}: does not take an input of {size}, see `example=`: it {said(error)}") from None
    finally:
        module.train(training)
    if not isinstance(found, Tensor) or found.ndim < 2 or found.shape[1] != found.numel():
        what = "x".join(map(str, found.shape)) if isinstance(found, Tensor) else type(found).__name__
        raise UserError(f"{name}: one score per class is expected for an image, but its output is {what}")
    return found.numel()
