"""What every kind of task answers: whether an output is of it, what labels of it are, and how good answers are.

A kind is one file in this package, and one of :data:`~cnn2rtl.tasks.choice.KINDS`; no other code asks which kind a task
is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cnn2rtl.labels import Labels
from cnn2rtl.tasks.figures import Confusion, Decided, Differences, Valued, counted
from cnn2rtl.tasks.output import Output
from cnn2rtl.tensors import FloatArray


@dataclass(frozen=True)
class Score:
    """What was found on some images: ``decided`` where there are decisions, ``valued`` where values mean something."""

    decided: Decided | None = None
    valued: Valued | None = None

    def __add__(self, other: Score) -> Score:
        if self == Score():
            return other
        decided = None if self.decided is None or other.decided is None else self.decided + other.decided
        valued = None if self.valued is None or other.valued is None else self.valued + other.valued
        return Score(decided, valued)

    @property
    def lost(self) -> float:
        """What the integers cost, in points: of the decisions where there are any, else of the values."""
        measured = self.valued if self.decided is None else self.decided
        return 0.0 if measured is None else measured.lost


@dataclass(frozen=True)
class Further:
    """A figure with a name, 0 to 1: the float network's, where there are labels, and the hardware's; without labels,
    what the float network decides counts as right."""

    name: str
    floats: float | None
    integers: float

    @classmethod
    def mean(
        cls,
        name: str,
        of: Callable[[Confusion], float],
        floats: Sequence[Confusion],
        integers: Sequence[Confusion],
    ) -> Further:
        """The mean of a figure ``of`` every matrix."""
        exact, found = (float(np.mean([*map(of, matrices)])) if matrices else None for matrices in (floats, integers))
        assert found is not None
        return cls(name, exact, found)


@dataclass(frozen=True)
class Task(ABC):
    """How one ``output`` is judged."""

    kind: ClassVar[str]
    output: Output

    @classmethod
    @abstractmethod
    def claims(cls, output: Output) -> bool:
        """Whether an output like this one is most likely meant for it."""

    @classmethod
    @abstractmethod
    def obstacle(cls, output: Output) -> str:
        """Why an output cannot be judged so, in words; empty if it can."""

    @classmethod
    def doubt(cls, output: Output) -> str:
        """What an output that it claims may be meant for after all, and how to say so; empty if nothing likely."""
        return ""

    @abstractmethod
    def truth(self, labels: Labels) -> np.ndarray:
        """The right answers, (n, ...), as :meth:`score` takes them; raises ``ValueError`` for other kinds of labels."""

    @abstractmethod
    def score(self, exact: FloatArray, integer: FloatArray, truth: np.ndarray | None) -> Score:
        """Of a batch: the float network's output and the hardware's, in the same units, both (n, h, w, c)."""

    @property
    def unit(self) -> str:
        """What is decided about, in the plural; empty where nothing is."""
        return ""

    @property
    def measure(self) -> str:
        """What comes before *agreement*."""
        return self.unit.removesuffix("s")

    def confusions(self, score: Score, of_floats: bool = False) -> tuple[Confusion, ...]:
        """Which decisions should be which, and are."""
        return ()

    def further(self, floats: Sequence[Confusion], integers: Sequence[Confusion]) -> tuple[Further, ...]:
        """What is usual to tell besides of such decisions; ``floats`` are none without labels."""
        return ()


@dataclass(frozen=True)
class Decisions(Task):
    """A task whose answers are decisions among :attr:`classes`."""

    @property
    def classes(self) -> int:
        """Among how many a decision is."""
        return self.output.classes

    @property
    def matrices(self) -> int:
        """Kinds of decisions, along the last axis of the answers, each with a confusion matrix of its own."""
        return 1

    @abstractmethod
    def answers(self, values: FloatArray) -> np.ndarray:
        """The decisions that outputs (n, h, w, c) stand for, numbers of classes (n, ...)."""

    def confusions(self, score: Score, of_floats: bool = False) -> tuple[Confusion, ...]:
        return () if score.decided is None else score.decided.confusions(self.matrices, self.classes, of_floats)

    def score(self, exact: FloatArray, integer: FloatArray, truth: np.ndarray | None) -> Score:
        values = None if self.output.is_index else Valued(Differences.of(integer, exact))
        return Score(self._decided(self.answers(exact), self.answers(integer), truth), values)

    def _decided(self, exact: np.ndarray, integer: np.ndarray, truth: np.ndarray | None) -> Decided:
        agreed = int((exact == integer).sum())
        if truth is None:
            pairs = counted(exact, integer, self.classes, self.matrices)
            return Decided(exact.size, agreed, pairs=pairs)
        count = exact.size
        exact, integer = (_as_fine(answers, truth) for answers in (exact, integer))
        return Decided(
            count, agreed, int((truth >= 0).sum()), int((exact == truth).sum()), int((integer == truth).sum()),
            counted(truth, integer, self.classes, self.matrices), counted(truth, exact, self.classes, self.matrices),
        )  # fmt: skip


@dataclass(frozen=True)
class OneClass(Decisions):
    """One of the classes that the channels are scores of, or a yes or no where there is but one channel."""

    @classmethod
    def obstacle(cls, output: Output) -> str:
        return ""

    @classmethod
    def doubt(cls, output: Output) -> str:
        return "" if output.ending or output.classes == 1 else "`task=regression` if the channels are values"

    @property
    def classes(self) -> int:
        return max(self.output.classes, 2)


def _as_fine(answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Answers (n, h, w) as often as there are labels for each of them."""
    for axis in range(1, truth.ndim):
        answers = answers.repeat(truth.shape[axis] // answers.shape[axis], axis)
    return answers


def chosen(values: FloatArray, output: Output) -> np.ndarray:
    """The largest channel, the last axis of ``values``; of one channel, whether it says yes."""
    found: np.ndarray = values.argmax(-1) if output.classes > 1 else values[..., 0] > output.threshold
    return found.astype(np.int64)


def classes_in(labels: Labels, classes: int, ignored: tuple[int, ...] = ()) -> np.ndarray:
    """Labels as numbers of classes, -1 where they are ``ignored``; raises ``ValueError`` for anything else."""
    if labels.class_names and len(labels.class_names) != classes:
        raise ValueError(
            f"{len(labels.class_names)} class folders, but the network has {classes} outputs: "
            "folder names cannot be matched to outputs"
        )
    if not labels.whole:
        raise ValueError("the labels are no whole numbers, as those of classes are")
    values = labels.values.astype(np.int64)
    values = np.where(np.isin(values, [i for i in ignored if not 0 <= i < classes]), -1, values)
    wrong = values[(values < -1 if ignored else values < 0) | (values >= classes)]
    if wrong.size:
        raise ValueError(f"label {wrong.flat[0]} is none of the network's outputs, 0 to {classes - 1}")
    return values
