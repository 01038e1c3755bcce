"""How much accuracy the integers cost: float network against golden model on images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import inf, log10

import numpy as np

from cnn2rtl.graph import FloatGraph, Node, QuantGraph, QuantNode
from cnn2rtl.quant.qformat import IntArray, signed_bits
from cnn2rtl.quantise.calibrate import Progress, batch_for, silent
from cnn2rtl.tensors import Codes, FloatArray

BATCH = 8
"""Images in memory at once."""


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


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Shares run from 0 to 1; accuracies are ``None`` without labels. ``layers`` go by name.

    ``agreement`` is the share of images that both networks put into the same class. Of several ``outputs``, both are
    told of the first.
    """

    images: int
    agreement: float
    float_accuracy: float | None
    integer_accuracy: float | None
    layers: Mapping[str, LayerFigures]
    outputs: tuple[str, ...]

    def __repr__(self) -> str:
        right = (
            ""
            if self.integer_accuracy is None or self.float_accuracy is None
            else f", {self.integer_accuracy:.1%} right in integers, {self.float_accuracy:.1%} in floats"
        )
        return f"<Evaluation on {self.images:,} images: {self.agreement:.1%} top-1 agreement{right}>"


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
    labels: tuple[int, ...] | None,
    progress: Progress = silent,
) -> Evaluation:
    """Compare both networks on ``images`` (n, h, w, c), raw pixels; ``progress`` hears how many are done.

    What class an output stands for is its layer's to say: for most, the channel that is largest.
    SQNR of a layer = 10 log10(sum of squares of its float values / sum of squares of the difference).
    """
    tallies = {node.name: _Tally() for node in graph.layers}
    output = graph[graph.output].op
    votes: list[np.ndarray] = []
    size = batch_for(float_graph, BATCH)
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        values: dict[str, FloatArray] = {}
        outputs = float_graph.forward(batch, partial(_keep, values))
        integers = graph.run(batch, partial(_compare, values, {}, tallies))
        votes.append(np.stack([output.classes(outputs), output.classes(integers)]))
        progress("evaluating", start + len(batch), len(images))
    by_float, by_integer = np.concatenate(votes, axis=1)
    truth = None if labels is None else np.asarray(labels)
    return Evaluation(
        images=len(images),
        agreement=float(np.mean(by_float == by_integer)),
        float_accuracy=None if truth is None else float(np.mean(by_float == truth)),
        integer_accuracy=None if truth is None else float(np.mean(by_integer == truth)),
        layers={node.name: tallies[node.name].figures(node) for node in graph.layers},
        outputs=graph.outputs,
    )


def _keep(values: dict[str, FloatArray], node: Node, x: FloatArray) -> None:
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
