"""How much accuracy the integers cost: float network against golden model on images, each output by its task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import inf, log10, prod
from typing import TypeVar

import numpy as np

from cnn2rtl.graph import FloatGraph, Node, QuantGraph, QuantNode
from cnn2rtl.guard import Outputs, tell
from cnn2rtl.quant.qformat import IntArray, signed_bits
from cnn2rtl.quantise.calibrate import Progress, batch_for, silent
from cnn2rtl.tasks import Choice, Judgement, choose
from cnn2rtl.tasks.base import Score
from cnn2rtl.tasks.wording import summary
from cnn2rtl.tensors import BATCH as IN_CACHE
from cnn2rtl.tensors import Codes, FloatArray
from cnn2rtl.threads import side_by_side

BATCH = 8
"""Images in memory at once."""

MOST_KEPT = 1 << 25
"""Values of outputs that are kept to be compared with again."""

Values = TypeVar("Values", FloatArray, IntArray)


@dataclass(frozen=True)
class LayerFigures:
    """One layer's tensor, compared. ``format`` is its codes'; ``sqnr`` is in dB; shares run from 0 to 1.

    ``clipped`` is the share of the values that lie beyond the format's ends, ``used`` the share of its codes between
    the smallest and the largest that occurred. The accumulator's sums needed ``needed_bits`` of the ``acc_bits`` that
    no input whatever can exceed; both are 0 where there is none.
    """

    format: str
    sqnr: float
    clipped: float
    used: float
    needed_bits: int
    acc_bits: int


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """What was found on so many ``images``, of the outputs, in their order, and of the ``layers``, by their names."""

    images: int
    judgements: tuple[Judgement, ...]
    layers: Mapping[str, LayerFigures]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(judgement.name for judgement in self.judgements)

    @property
    def agreement(self) -> float | None:
        """Share of the first output's decisions that both networks make alike, 0 to 1; none where it makes none."""
        return self.judgements[0].agreement

    @property
    def float_accuracy(self) -> float | None:
        """Share of the first output's decisions that are right, 0 to 1; none without labels."""
        return self.judgements[0].float_accuracy

    @property
    def integer_accuracy(self) -> float | None:
        """The same of the hardware."""
        return self.judgements[0].integer_accuracy

    def __repr__(self) -> str:
        return f"<Evaluation on {self.images:,} images: {'; '.join(map(summary, self.judgements))}>"


@dataclass
class _Tally:
    """Sums over the images so far, of one layer's tensor."""

    signal: float = 0.0
    noise: float = 0.0
    values: int = 0
    clipped: int = 0
    codes: tuple[int, int] = (1 << 16, -(1 << 16))
    sums: tuple[int, int] | None = None

    def add(self, node: QuantNode, exact: FloatArray, codes: IntArray, sums: FloatArray | IntArray | None) -> None:
        q = node.out
        self.signal += float(np.square(exact).sum())
        self.noise += float(np.square(exact - q.reals(codes)).sum())
        self.values += exact.size
        # Half a step beyond the last code still rounds to it.
        self.clipped += int(((exact > q.reals(q.hi + 0.5)) | (exact < q.reals(q.lo - 0.5))).sum())
        self.codes = _wider(self.codes, codes)
        if sums is not None:
            self.sums = _wider(self.sums or (0, 0), sums)

    def figures(self, node: QuantNode) -> LayerFigures:
        assert node.layer is not None
        sqnr = 10 * log10(self.signal / self.noise) if self.noise and self.signal else inf
        span = max(node.out.hi - node.out.lo, 1)
        return LayerFigures(
            format=str(node.out),
            sqnr=sqnr,
            clipped=self.clipped / max(self.values, 1),
            used=(self.codes[1] - self.codes[0]) / span,
            needed_bits=signed_bits(*self.sums) if self.sums else 0,
            acc_bits=node.layer.acc_bits if self.sums else 0,
        )


def _wider(ends: tuple[int, int], values: np.ndarray) -> tuple[int, int]:
    return min(ends[0], int(values.min())), max(ends[1], int(values.max()))


def compare(
    float_graph: FloatGraph,
    graph: QuantGraph,
    images: Codes,
    choices: Sequence[Choice] | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Compare both networks on ``images`` (n, h, w, c), raw pixels; ``progress`` hears how many are done.

    ``choices`` say how each output is judged, if not as it looks.
    Outputs that hardly change over the images are told (:class:`cnn2rtl.errors.Notice`).
    SQNR of a layer = 10 log10(sum of squares of its float values / sum of squares of the difference).
    """
    choices = choose(float_graph) if choices is None else choices
    tallies = {node.name: _Tally() for node in graph.layers}
    scores, outputs = [Score() for _ in choices], Outputs()
    size = batch_for(float_graph, BATCH)
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        values: dict[str, FloatArray] = {}
        codes: dict[str, IntArray] = {}
        float_graph.forward(batch, partial(_keep, values))
        exact = {name: values[name] for name in graph.outputs}
        outputs.add(exact)
        graph.run(batch, partial(_compare, values, codes, tallies))
        scores = [
            score + judged(choice, graph, exact, codes, slice(start, start + len(batch)))
            for score, choice in zip(scores, choices, strict=True)
        ]
        progress("evaluating", start + len(batch), len(images))
    tell(outputs.absurd(images))
    return Evaluation(
        images=len(images),
        judgements=tuple(map(Judgement, choices, scores)),
        layers={node.name: tallies[node.name].figures(node) for node in graph.layers},
    )


def judged(
    choice: Choice, graph: QuantGraph, exact: Mapping[str, FloatArray], codes: Mapping[str, IntArray], part: slice
) -> Score:
    """Of the ``part`` of all images whose outputs are ``exact`` in floats, and ``codes`` in ``graph``."""
    name = choice.task.output.name
    truth = None if choice.truth is None else choice.truth[part]
    return choice.task.score(exact[name], graph[name].out.reals(codes[name]), truth)


@dataclass(frozen=True, eq=False)
class Judge:
    """Judges networks in integers, one after the other, against ``floats`` on ``images``, raw pixels (n, h, w, c)."""

    floats: FloatGraph
    choices: Sequence[Choice]
    images: Codes

    def lost(self, graph: QuantGraph) -> float:
        """What ``graph`` costs, in points, at the output that loses most: see :attr:`cnn2rtl.tasks.base.Score.lost`."""
        scores = [Score() for _ in self.choices]
        for found in side_by_side(partial(self._batch, graph), range(0, len(self.images), IN_CACHE)):
            scores = [score + more for score, more in zip(scores, found, strict=True)]
        return max(score.lost for score in scores)

    def _batch(self, graph: QuantGraph, start: int) -> list[Score]:
        part = slice(start, start + IN_CACHE)
        codes: dict[str, IntArray] = {}
        graph.run(self.images[part], partial(_keep, codes))
        exact = self._exact[start] if self._exact else self._floats(start)
        return [judged(choice, graph, exact, codes, part) for choice in self.choices]

    @cached_property
    def _exact(self) -> Mapping[int, Mapping[str, FloatArray]]:
        """The float network's outputs, by the first image of each batch, where there is room for them all."""
        values = len(self.images) * sum(prod(self.floats[name].shape) for name in self.floats.outputs)
        starts = range(0, len(self.images), IN_CACHE) if values <= MOST_KEPT else ()
        return dict(zip(starts, side_by_side(self._floats, starts), strict=True))

    def _floats(self, start: int) -> Mapping[str, FloatArray]:
        values: dict[str, FloatArray] = {}
        self.floats.forward(self.images[start : start + IN_CACHE], partial(_keep, values))
        return {name: values[name] for name in self.floats.outputs}


def _keep(values: dict[str, Values], node: Node | QuantNode, x: Values) -> None:
    values[node.name] = x


def _compare(
    values: dict[str, FloatArray],
    tensors: dict[str, IntArray],
    tallies: dict[str, _Tally],
    node: QuantNode,
    codes: IntArray,
) -> None:
    """Add a tensor to the tally of its layer; ``tensors`` are the codes of this batch so far."""
    if node.layer is not None:
        sums = node.op.sums([tensors[name] for name in node.inputs], node.layer)
        tallies[node.name].add(node, values.pop(node.name), codes, sums)
    tensors[node.name] = codes
