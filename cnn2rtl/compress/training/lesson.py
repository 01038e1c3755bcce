"""What is learnt of an output, by its task: the loss that training makes small, and the measure that it is judged by.

Scores are what a network makes, (n, c, h, w), or (n, c) without a map; the right answers are those of
:meth:`cnn2rtl.tasks.base.Task.truth`, as tensors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import singledispatch
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from cnn2rtl.tasks.base import Decisions, Task
from cnn2rtl.tasks.classification import Classification
from cnn2rtl.tasks.multilabel import Multilabel
from cnn2rtl.tasks.regression import Regression
from cnn2rtl.tasks.segmentation import Segmentation
from cnn2rtl.tasks.wording import number

UNJUDGED = -1
"""The label of a pixel that is not learnt from."""

SURE = 1e-6
"""Probabilities are no nearer to 0 and 1: the logarithm of the hardware's 0 is no number."""


class Lesson(ABC):
    """Losses are means over a batch."""

    measured: ClassVar[str] = "accuracy"
    """What is measured, as the log calls it."""

    smooth: ClassVar[bool] = False
    """Whether labels can be smoothed."""

    @abstractmethod
    def loss(self, scores: Tensor, right: Tensor, smoothing: float = 0.0) -> Tensor:
        """What is small where ``scores`` say what is ``right``."""

    @abstractmethod
    def taught(self, scores: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """What is small where ``scores`` are like those of a ``teacher``."""

    @abstractmethod
    def answers(self, scores: Tensor) -> Tensor:
        """What ``scores`` say, as right answers are given."""

    def good(self, scores: Tensor, right: Tensor) -> tuple[float, int]:
        """How many decisions are right, and of how many; such pairs add up."""
        same = self.answers(scores) == right
        return int(same.sum()), int((right != UNJUDGED).sum())

    def measure(self, good: float, count: int) -> float:
        """The measure, from such a sum."""
        return good / max(count, 1)

    def key(self, measure: float) -> float:
        """The larger, the better."""
        return measure

    def words(self, measure: float) -> str:
        return f"{measure:.1%} right"


@dataclass(frozen=True)
class Classes(Lesson):
    """A class for an image: cross entropy. Of maps, the mean counts."""

    smooth: ClassVar[bool] = True

    def loss(self, scores: Tensor, right: Tensor, smoothing: float = 0.0) -> Tensor:
        return F.cross_entropy(_flat(scores), right, label_smoothing=smoothing)

    def taught(self, scores: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        student, taught = (F.log_softmax(_flat(values) / temperature, 1) for values in (scores, teacher))
        return temperature**2 * F.kl_div(student, taught, log_target=True, reduction="batchmean")

    def answers(self, scores: Tensor) -> Tensor:
        return _flat(scores).argmax(1)


@dataclass(frozen=True)
class Pixels(Lesson):
    """A class for each pixel: cross entropy, the mean over all that are judged; labels may be finer than the map."""

    smooth: ClassVar[bool] = True

    def loss(self, scores: Tensor, right: Tensor, smoothing: float = 0.0) -> Tensor:
        fine = _as_fine(_maps(scores), right)
        if not (right != UNJUDGED).any():
            return 0.0 * scores.sum()
        return F.cross_entropy(fine, right, label_smoothing=smoothing, ignore_index=UNJUDGED)

    def taught(self, scores: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        student, taught = (F.log_softmax(_maps(values) / temperature, 1) for values in (scores, teacher))
        return temperature**2 * F.kl_div(student, taught, log_target=True, reduction="none").sum(1).mean()

    def answers(self, scores: Tensor) -> Tensor:
        return _maps(scores).argmax(1)

    def good(self, scores: Tensor, right: Tensor) -> tuple[float, int]:
        return super().good(_as_fine(_maps(scores), right), right)


@dataclass(frozen=True)
class YesOrNo(Lesson):
    """Each value says yes or no: binary cross entropy, of what is a ``probability`` or a logit.

    ``axes`` are those of the scores that right answers have: ``nhwc`` of several labels, ``nhw`` of one channel's map,
    ``n`` of one value.
    """

    probability: bool
    axes: str

    def loss(self, scores: Tensor, right: Tensor, smoothing: float = 0.0) -> Tensor:
        values = self._values(scores, right)
        judged = right != UNJUDGED
        if not judged.any():
            return 0.0 * scores.sum()
        return self._cross_entropy(values[judged], right[judged].to(values.dtype))

    def taught(self, scores: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        return self._cross_entropy(scores, teacher if self.probability else torch.sigmoid(teacher))

    def answers(self, scores: Tensor) -> Tensor:
        return (self._values(scores) > (0.5 if self.probability else 0.0)).long()

    def good(self, scores: Tensor, right: Tensor) -> tuple[float, int]:
        fine = _as_fine(_maps(scores), right) if self.axes == "nhw" else scores
        return super().good(fine, right)

    def _cross_entropy(self, values: Tensor, right: Tensor) -> Tensor:
        if self.probability:
            return F.binary_cross_entropy(values.clamp(SURE, 1 - SURE), right)
        return F.binary_cross_entropy_with_logits(values, right)

    def _values(self, scores: Tensor, right: Tensor | None = None) -> Tensor:
        maps = _maps(scores)
        if self.axes == "nhw":
            return (maps if right is None else _as_fine(maps, right))[:, 0]
        return maps.mean((1, 2, 3)) if self.axes == "n" else maps.permute(0, 2, 3, 1)


@dataclass(frozen=True)
class Values(Lesson):
    """Values: the mean square error, and as measure its root, in the output's own units."""

    measured: ClassVar[str] = "rms_error"

    def loss(self, scores: Tensor, right: Tensor, smoothing: float = 0.0) -> Tensor:
        return F.mse_loss(self.answers(scores), right.to(scores.dtype))

    def taught(self, scores: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        return F.mse_loss(scores, teacher)

    def answers(self, scores: Tensor) -> Tensor:
        return _maps(scores).permute(0, 2, 3, 1)

    def good(self, scores: Tensor, right: Tensor) -> tuple[float, int]:
        return float((self.answers(scores) - right).square().sum()), right.numel()

    def measure(self, good: float, count: int) -> float:
        return sqrt(good / max(count, 1))

    def key(self, measure: float) -> float:
        return -measure

    def words(self, measure: float) -> str:
        return f"rms error {number(measure)}"


CLASSES = Classes()


@singledispatch
def lesson_of(task: Task) -> Lesson:
    """What is learnt for a task."""
    raise NotImplementedError(task.kind)


@lesson_of.register
def _(task: Classification) -> Lesson:
    return _decided(task, CLASSES, "n")


@lesson_of.register
def _(task: Segmentation) -> Lesson:
    return _decided(task, Pixels(), "nhw")


@lesson_of.register
def _(task: Multilabel) -> Lesson:
    return YesOrNo(task.output.is_probability, "nhwc")


@lesson_of.register
def _(task: Regression) -> Lesson:
    return Values()


def _decided(task: Decisions, among: Lesson, axes: str) -> Lesson:
    """A decision between the channels or, of one, yes and no."""
    return among if task.output.classes > 1 else YesOrNo(task.output.is_probability, axes)


def _maps(scores: Tensor) -> Tensor:
    """(n, c, h, w)."""
    return scores if scores.ndim == 4 else scores.reshape(*scores.shape, 1, 1)


def _flat(scores: Tensor) -> Tensor:
    """(n, c)."""
    return scores if scores.ndim == 2 else scores.mean((2, 3))


def _as_fine(maps: Tensor, right: Tensor) -> Tensor:
    """Every score as often as there are labels for it, (n, h, w)."""
    factors = [of // own for of, own in zip(right.shape[1:], maps.shape[2:], strict=True)]
    return maps.repeat_interleave(factors[0], 2).repeat_interleave(factors[1], 3) if factors != [1, 1] else maps
