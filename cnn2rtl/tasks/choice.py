"""Which task each output is for: what the user says, else what the labels are, else what the output looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np

from cnn2rtl.errors import Problems, UserError
from cnn2rtl.graph import FloatGraph
from cnn2rtl.labels import Labels
from cnn2rtl.tasks.base import Further, Score, Task
from cnn2rtl.tasks.classification import Classification
from cnn2rtl.tasks.figures import Confusion
from cnn2rtl.tasks.multilabel import Multilabel
from cnn2rtl.tasks.output import Output, outputs_of
from cnn2rtl.tasks.regression import Regression
from cnn2rtl.tasks.segmentation import Segmentation

KINDS: Mapping[str, type[Task]] = {cls.kind: cls for cls in (Classification, Segmentation, Multilabel, Regression)}
"""Every kind, by its name; the first one that claims an output has it."""

Wanted: TypeAlias = str | Mapping[str, str] | None
"""The kind of all outputs, or of some, by their names; none where the outputs are to tell."""


@dataclass(frozen=True, eq=False)
class Choice:
    """A ``task`` and, in words, ``why`` it is this one. ``truth`` are the right answers where the labels tell them, of
    classes with ``class_names`` where folders do; ``flaw`` says why they cannot. Where nobody and no label said which
    task it is, ``doubt`` says which other one it may be."""

    task: Task
    why: str
    doubt: str = ""
    truth: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    flaw: str = ""


def check_tasks(wanted: Wanted, names: Sequence[str] | None = None) -> None:
    """Raise one :class:`UserError` for kinds that there are not, and outputs, of which ``names`` are there if known."""
    problems = []
    pairs = wanted.items() if isinstance(wanted, Mapping) else [("", wanted)] if wanted is not None else []
    for name, kind in pairs:
        given = f"`task={name}={kind}`" if name else f"`task={kind}`"
        if kind not in KINDS:
            problems.append(f"{given}: one of {', '.join(KINDS)} is expected")
        if name and names is not None and name not in names:
            problems.append(f"{given}: no such output; there are {', '.join(names)}")
    if problems:
        raise UserError(problems)


def choose(graph: FloatGraph, wanted: Wanted = None, labels: Mapping[str, Labels] | None = None) -> tuple[Choice, ...]:
    """How each output of ``graph`` is judged, in their order; ``labels`` go by the names of the outputs.

    Raises :class:`UserError` for what is ``wanted`` and cannot be.
    """
    check_tasks(wanted, graph.outputs)
    found, problems = [], Problems()
    for output in outputs_of(graph):
        with problems.gather():
            found.append(choose_for(output, wanted, (labels or {}).get(output.name)))
    problems.check()
    return tuple(found)


def choose_for(output: Output, wanted: Wanted = None, labels: Labels | None = None) -> Choice:
    """As :func:`choose`, of one output."""
    kind = wanted.get(output.name) if isinstance(wanted, Mapping) else wanted
    if kind is not None:
        obstacle = KINDS[kind].obstacle(output)
        if obstacle:
            raise UserError(f"`task={output.name}={kind}`: the output {obstacle}")
        return _with_truth(KINDS[kind](output), "as was asked for", labels)
    likely = next(cls for cls in KINDS.values() if cls.claims(output))
    first = _with_truth(likely(output), f"as the output is {output.what}", labels)
    if labels is None:
        return replace(first, doubt=likely.doubt(output))
    if not first.flaw:
        return first
    others = (cls(output) for cls in KINDS.values() if cls is not likely and not cls.obstacle(output))
    why = f"as there {'is' if labels.size == 'one number' else 'are'} {labels.size} as the label of an image"
    tried = (_with_truth(task, why, labels) for task in others)
    return next((choice for choice in tried if not choice.flaw), first)


def _with_truth(task: Task, why: str, labels: Labels | None) -> Choice:
    if labels is None:
        return Choice(task, why)
    try:
        if labels.flaw:
            raise ValueError(f"the labels {labels.flaw}")
        return Choice(task, why, truth=task.truth(labels), class_names=labels.class_names)
    except ValueError as error:
        return Choice(task, why, flaw=str(error))


@dataclass(frozen=True, eq=False)
class Judgement:
    """What was found of one output on all images."""

    choice: Choice
    score: Score

    @property
    def name(self) -> str:
        """Of the output."""
        return self.choice.task.output.name

    @property
    def kind(self) -> str:
        """Of its task."""
        return self.choice.task.kind

    @property
    def agreement(self) -> float | None:
        """Share of decisions that are the same in both networks; none where nothing is decided."""
        found = self.score.decided
        return None if found is None else found.agreed / max(found.count, 1)

    @property
    def float_accuracy(self) -> float | None:
        """Share of the labelled decisions that are right; none without labels."""
        found = self.score.decided
        return found.float_right / found.judged if found is not None and found.judged else None

    @property
    def integer_accuracy(self) -> float | None:
        """The same of the hardware."""
        found = self.score.decided
        return found.integer_right / found.judged if found is not None and found.judged else None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the classes that its confusion matrix is of, where they have names."""
        return self.choice.class_names

    @cached_property
    def confusions(self) -> tuple[Confusion, ...]:
        """Rows are the labels or, without, what the float network decides; columns are what the hardware decides."""
        return self.choice.task.confusions(self.score)

    @cached_property
    def float_confusions(self) -> tuple[Confusion, ...]:
        """The same, where there are labels, with columns that are what the float network decides."""
        return self.choice.task.confusions(self.score, of_floats=True) if self.float_accuracy is not None else ()

    @property
    def further(self) -> tuple[Further, ...]:
        """Other figures that are usual for such decisions."""
        return self.choice.task.further(self.float_confusions, self.confusions)
