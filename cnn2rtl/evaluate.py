"""How much accuracy the integers cost: float network against golden model on images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf, log10

import numpy as np

from cnn2rtl.graph import FloatArray, FloatGraph, Node
from cnn2rtl.images import Pixels
from cnn2rtl.quant.layers import QuantGraph, QuantNode
from cnn2rtl.quant.qformat import IntArray

BATCH = 8
"""Images in memory at once."""


@dataclass(frozen=True)
class Evaluation:
    """Shares run from 0 to 1; accuracies are ``None`` without labels. ``sqnr`` is in dB, by layer.

    ``agreement`` is the share of images that both networks put into the same class.
    """

    images: int
    agreement: float
    float_accuracy: float | None
    integer_accuracy: float | None
    sqnr: Mapping[str, float]


def evaluate(
    float_graph: FloatGraph,
    graph: QuantGraph,
    images: Pixels,
    labels: tuple[int, ...] | None,
    on_image: Callable[[int], None] = lambda more: None,
) -> Evaluation:
    """Compare both networks on ``images`` (n, h, w, c), raw pixels; ``on_image`` hears how many more are done.

    What class an output stands for is its layer's to say: for most, the channel that is largest.
    SQNR of a layer = 10 log10(sum of squares of its float values / sum of squares of the difference).
    """
    signal = {node.name: 0.0 for node in graph.layers}
    noise = dict(signal)
    output = graph[graph.output].op
    votes: list[np.ndarray] = []
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        values: dict[str, FloatArray] = {}
        outputs = float_graph.forward(batch.astype(np.float64), partial(_keep, values))
        integers = graph.run(batch.astype(np.int64), partial(_compare, values, signal, noise))
        votes.append(np.stack([output.classes(outputs), output.classes(integers)]))
        on_image(len(batch))
    by_float, by_integer = np.concatenate(votes, axis=1)
    truth = None if labels is None else np.asarray(labels)
    return Evaluation(
        images=len(images),
        agreement=float(np.mean(by_float == by_integer)),
        float_accuracy=None if truth is None else float(np.mean(by_float == truth)),
        integer_accuracy=None if truth is None else float(np.mean(by_integer == truth)),
        sqnr={name: 10 * log10(signal[name] / noise[name]) if noise[name] and signal[name] else inf for name in signal},
    )


def _keep(values: dict[str, FloatArray], node: Node, x: FloatArray) -> None:
    values[node.name] = x


def _compare(
    values: dict[str, FloatArray], signal: dict[str, float], noise: dict[str, float], node: QuantNode, codes: IntArray
) -> None:
    """Add the energy of a tensor, and of its error, to the sums of its layer."""
    if node.layer is not None:
        exact = values.pop(node.name)
        signal[node.name] += float(np.square(exact).sum())
        noise[node.name] += float(np.square(exact - node.out.reals(codes)).sum())
