"""Distillation: a small network learns what a large one answers, not only what is right.

Hinton, Vinyals, Dean, *Distilling the Knowledge in a Neural Network*, arXiv 1503.02531.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from cnn2rtl.compress.training.checkpoint import digest, read_tensors, write_tensors
from cnn2rtl.compress.training.device import choose
from cnn2rtl.compress.training.feed import Batch, Feed
from cnn2rtl.compress.training.folder import TEACHER
from cnn2rtl.compress.training.lesson import CLASSES, Lesson
from cnn2rtl.compress.training.objective import Fact, Objective
from cnn2rtl.compress.training.recipe import Recipe, check_distillation
from cnn2rtl.compress.training.score import scores_of
from cnn2rtl.errors import UserError
from cnn2rtl.quantise.calibrate import Progress, silent

Sees: TypeAlias = Literal["augmented", "original"]
Answers: TypeAlias = Callable[[Batch], Tensor]
"""The teacher's scores, (n, classes) or (n, c, h, w)."""


def distillation_loss(
    scores: Tensor,
    taught: Tensor,
    labels: Tensor,
    alpha: float,
    temperature: float,
    smoothing: float = 0.0,
    lesson: Lesson = CLASSES,
) -> Tensor:
    """``alpha T^2 KL(teacher / T || student / T) + (1 - alpha) CE``, the mean over the batch.

    ``scores`` are the student's, ``taught`` the teacher's, (n, classes) each. The factor T^2 keeps the gradient's
    size, of which the temperature takes that much (section 2 of the paper). Other lessons than that of classes have
    losses of their own in place of the two.
    """
    return alpha * lesson.taught(scores, taught, temperature) + (1 - alpha) * lesson.loss(scores, labels, smoothing)


def renormalised(teacher: nn.Module, feed: Feed, own: tuple[Sequence[float], Sequence[float]]) -> nn.Module:
    """``teacher``, which learned with a mean and standard deviation of its ``own``, for the images of ``feed``."""
    mean, std, own_mean, own_std = (torch.tensor(v).reshape(-1, 1, 1) for v in (feed.mean, feed.std, *own))
    return _Renormalised(teacher, std / own_std, (mean - own_mean) / own_std)


class _Renormalised(nn.Module):
    scale: Tensor
    offset: Tensor

    def __init__(self, teacher: nn.Module, scale: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.teacher = teacher
        self.register_buffer("scale", scale)
        self.register_buffer("offset", offset)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.teacher(x * self.scale + self.offset)
        return result


def distillation(
    teacher: nn.Module,
    feed: Feed,
    recipe: Recipe,
    folder: Path,
    alpha: float = 0.7,
    temperature: float = 4.0,
    sees: Sees = "augmented",
    progress: Progress = silent,
) -> Objective:
    """What to train a student for on ``feed``, the feed that it is trained on.

    Where the teacher sees the same image every time, it is asked once, and its answers are kept in the ``folder`` of
    the run. That is so if the recipe does not augment, or if it ``sees`` the original images; otherwise it answers in
    every step for the very pixels that the student sees, which teaches better (Beyer et al., arXiv 2106.05237) and
    takes longer. Raises :class:`UserError` for numbers that make no sense.
    """
    check_distillation(alpha, temperature)
    if sees == "original" or not recipe.augments:
        answers = _remembered(teacher_scores(teacher, feed, recipe, folder / TEACHER, progress))
    else:
        answers = _asked(teacher.to(choose(recipe.device)).eval())

    def loss(scores: Tensor, batch: Batch) -> Tensor:
        right, taught = batch.labels, answers(batch)
        return distillation_loss(scores, taught, right, alpha, temperature, recipe.smoothing, batch.lesson)

    about: dict[str, Fact] = {
        "alpha": alpha,
        "temperature": temperature,
        "teacher": digest(teacher),
        "teacher_sees": sees,
    }
    return Objective(loss, about=about)


def _asked(teacher: nn.Module) -> Answers:
    def answers(batch: Batch) -> Tensor:
        with torch.no_grad():
            return scores_of(teacher, batch.inputs)

    return answers


def _remembered(scores: Tensor) -> Answers:
    return lambda batch: scores[batch.indices].to(batch.inputs.device)


def teacher_scores(teacher: nn.Module, feed: Feed, recipe: Recipe, file: Path, progress: Progress = silent) -> Tensor:
    """What ``teacher`` answers for the images of ``feed`` as they are, (n, classes) or (n, c, h, w).

    Kept in ``file``, and taken from there as long as teacher and images are the same.
    """
    key = f"{digest(teacher)} {feed.digest()}"
    try:
        found = read_tensors(file)
    except UserError:
        # As good as none: it is written anew.
        found = None
    if found is not None and found.get("key") == key:
        known: Tensor = found["scores"]
        return known
    device = choose(recipe.device)
    teacher = teacher.to(device).eval()
    parts = []
    with torch.no_grad():
        for indices in torch.split(torch.arange(len(feed)), recipe.batch):
            parts.append(scores_of(teacher, feed.batch(feed.pixels(indices, device), indices).inputs).cpu())
            progress("asking the teacher", int(indices[-1]) + 1, len(feed))
    scores = torch.cat(parts)
    write_tensors(file, {"key": key, "scores": scores})
    return scores
