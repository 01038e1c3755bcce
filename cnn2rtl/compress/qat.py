"""Quantisation-aware training: the integers themselves are trained, by gradients that look past every rounding.

The forward pass is the golden model's, in torch (:mod:`cnn2rtl.compress.network`), so the accuracy that training sees
is that of the hardware. Backwards, a rounding counts as the identity and a clamp as what it is (Bengio et al., arXiv
1308.3432; Jacob et al., arXiv 1712.05877). Formats and scales stay those of the post-training quantisation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cnn2rtl.compress.network import Network, as_maps
from cnn2rtl.compress.training.lesson import CLASSES, Lesson
from cnn2rtl.graph import FloatGraph, QuantGraph
from cnn2rtl.quantise.calibrate import BATCH as FLOAT_BATCH
from cnn2rtl.quantise.calibrate import Progress, silent
from cnn2rtl.tensors import Codes

CHECKED = 4
"""Images on which the golden model confirms what was trained, after every epoch."""


@dataclass(frozen=True)
class Training:
    """``rate`` is the first step size of Adam, a share of the range of a layer's weights; it falls to 0 in a cosine.

    ``batch`` are images per step, ``seed`` decides the order of the images.
    """

    epochs: int = 10
    batch: int = 32
    rate: float = 0.002
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Epoch:
    """What an epoch left: the mean ``loss`` per image, the lesson's ``measure`` meanwhile, such as the share of right
    answers, the integers after it.

    Without labels, right is what the float network answers.
    """

    number: int
    loss: float
    measure: float
    graph: QuantGraph


def train(
    float_graph: FloatGraph,
    graph: QuantGraph,
    images: Codes,
    truth: Sequence[int] | np.ndarray | None,
    training: Training,
    progress: Progress = silent,
    lesson: Lesson = CLASSES,
) -> Iterator[Epoch]:
    """Train ``graph``, the integers of ``float_graph``, on ``images`` (n, h, w, c), codes; yields every epoch.

    With the right answers, ``truth`` (n, ...), the loss is the lesson's, such as their cross entropy; without, it is
    the divergence from what the float network says (distillation, Hinton et al., arXiv 1503.02531). Raises
    :class:`cnn2rtl.UserError` for a network that cannot be trained.
    """
    network = Network(float_graph, graph)
    inputs = as_maps(images)
    taught = truth is None
    wanted = _teacher(float_graph, images, progress) if taught else torch.from_numpy(np.asarray(truth))
    learn = lesson.taught if taught else lesson.loss
    order = torch.Generator().manual_seed(training.seed)
    optimiser = torch.optim.Adam(network.parameters(), training.rate)
    steps = training.epochs * -(-len(inputs) // training.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for epoch in range(1, training.epochs + 1):
        loss_sum, good, count, seen = 0.0, 0.0, 0, 0
        shuffled = torch.randperm(len(inputs), generator=order)
        for start in range(0, len(inputs), training.batch):
            batch = shuffled[start : start + training.batch]
            scores, part = network.scores(inputs[batch]), wanted[batch]
            loss = learn(scores, part)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            network.keep_within()
            loss_sum += float(loss.detach()) * len(batch)
            right, of = lesson.good(scores.detach(), lesson.answers(part) if taught else part)
            good, count, seen = good + right, count + of, seen + len(batch)
            measured = lesson.words(lesson.measure(good, count))
            progress(f"epoch {epoch}/{training.epochs}: loss {loss_sum / seen:.4f}, {measured}", seen, len(inputs))
        trained = network.trained()
        _confirm(network, trained, images[:CHECKED])
        yield Epoch(epoch, loss_sum / seen, lesson.measure(good, count), trained)


def _teacher(float_graph: FloatGraph, images: Codes, progress: Progress) -> Tensor:
    """What the float network says, (n, c, h, w)."""
    scores = []
    for start in range(0, len(images), FLOAT_BATCH):
        batch = images[start : start + FLOAT_BATCH]
        scores.append(float_graph.forward(batch.astype(np.float64)).astype(np.float32))
        progress("asking the float network", start + len(batch), len(images))
    return torch.from_numpy(np.concatenate(scores).transpose(0, 3, 1, 2))


def _confirm(network: Network, trained: QuantGraph, images: Codes) -> None:
    """Hold torch to the golden model: a convolution of its that were not exact must not go unnoticed."""
    with torch.no_grad():
        found = network(as_maps(images)).permute(0, 2, 3, 1).numpy()
    if not np.array_equal(found, trained.run(images.astype(np.int32))):
        raise RuntimeError("what torch computed in training is not what the golden model computes")
