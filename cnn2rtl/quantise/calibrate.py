"""What values every tensor takes: measured on images, or told by the BatchNorm statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod

import numpy as np

from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.guard import Outputs, collapsed, tell, varied
from cnn2rtl.ops import Input
from cnn2rtl.tensors import FloatArray
from cnn2rtl.threads import few_threads

BATCH = 8
"""Images in memory at once."""

AT_ONCE = 1 << 25
"""Values of the largest tensor in memory at once: of large maps, fewer images are."""

LARGEST = 2.0**60
"""Of all values in a network: what is larger comes of numbers that are none, and would leave those of 32 bits."""

BINS = 2048
"""Bins of a channel's histogram, from its smallest value to its largest."""

Progress = Callable[[str, int, int], None]
"""Hears what is being done, how much of it is done, and of how much."""


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def batch_for(graph: FloatGraph, most: int = BATCH) -> int:
    """How many images go through ``graph`` side by side: ``most``, or of large maps as many as there is room for."""
    largest = max(prod(node.shape) for node in graph.nodes)
    return max(1, min(most, AT_ONCE // largest))


@dataclass(frozen=True, eq=False)
class Seen:
    """Values of a tensor after its activation, each (channels,), or (1,) where nothing is known of channels.

    ``low`` and ``high`` are the smallest and largest, ``power`` is the mean square. ``histogram``, (channels,
    ``BINS``), counts them from ``low`` to ``high``; it is there only on request.
    """

    low: FloatArray
    high: FloatArray
    power: FloatArray
    histogram: FloatArray | None = None

    @classmethod
    def together(cls, tensors: Sequence[Seen]) -> Seen:
        """Several tensors as if they were one, of which nothing is known by channel."""
        low, high = min(float(t.low.min()) for t in tensors), max(float(t.high.max()) for t in tensors)
        power = np.concatenate([t.power for t in tensors])
        histogram = None
        if all(t.histogram is not None for t in tensors):
            histogram = np.zeros((1, BINS))
            for tensor in tensors:
                assert tensor.histogram is not None
                width = (tensor.high - tensor.low) / BINS
                values = tensor.low[:, None] + (np.arange(BINS) + 0.5) * width[:, None]
                histogram += np.histogram(values, BINS, (low, high), weights=tensor.histogram)[0]
        return cls(np.array([low]), np.array([high]), np.array([float(power.mean())]), histogram)

    @classmethod
    def between(cls, low: float, high: float) -> Seen:
        """A tensor of which only the two ends are known."""
        return cls(np.array([low]), np.array([high]), np.array([max(low * low, high * high)]))


def measure(
    graph: FloatGraph, images: np.ndarray, histograms: bool = False, progress: Progress = silent
) -> Mapping[str, Seen]:
    """What every tensor takes over ``images``, codes (n, h, w, c) as they come.

    Layers that take one value alone, and outputs that hardly change, are told (:class:`cnn2rtl.errors.Notice`).
    """
    seen: dict[str, Seen] = {}
    outputs = Outputs()
    passes, size = 2 if histograms else 1, batch_for(graph)

    def extend(node: Node, x: FloatArray) -> None:
        _extend(seen, len(images), node, x)
        if node.name in graph.outputs:
            outputs.add({node.name: x})

    for number in range(passes):
        record = partial(_count, seen) if number else extend
        for start in range(0, len(images), size):
            batch = images[start : start + size]
            with np.errstate(all="ignore"):
                graph.forward(batch, record)
            progress("calibrating", number * len(images) + start + len(batch), passes * len(images))
        _require_finite(graph, seen)
    layers = {node.name: (seen[node.name].low, seen[node.name].high) for node in graph.nodes if node.inputs}
    tell(collapsed(layers, varied(images)) or outputs.absurd(images))
    return seen


def _require_finite(graph: FloatGraph, seen: Mapping[str, Seen], on: str = "") -> None:
    """Refuse a network whose values leave all numbers: name the first layer where they do, for others follow it."""
    for node in graph.nodes:
        about = seen[node.name]
        # Written so that NaN is lost as well.
        lost = int((~(np.maximum(-about.low, about.high) < LARGEST)).sum())
        if lost:
            raise UserError(
                f"`{node.name}` ({node.op.kind}): {lost} of {about.low.size} channels become NaN, infinite or larger "
                f"than {LARGEST:.2g} while the network is calibrated{on}; clamp what the layer takes, or its weights"
            )


def _extend(seen: dict[str, Seen], images: int, node: Node, x: FloatArray) -> None:
    low, high = x.min((0, 1, 2)), x.max((0, 1, 2))
    power = np.square(x).mean((1, 2)).sum(0) / images
    before = seen.get(node.name)
    if before is not None:
        low, high, power = np.minimum(low, before.low), np.maximum(high, before.high), power + before.power
    seen[node.name] = Seen(low, high, power)


def _count(seen: dict[str, Seen], node: Node, x: FloatArray) -> None:
    about = seen[node.name]
    channels = x.shape[-1]
    width = np.maximum(about.high - about.low, 1e-300)
    index = np.minimum(((x - about.low) * (BINS / width)).astype(np.int32), BINS - 1) + np.arange(channels) * BINS
    counts = np.bincount(index.ravel(), minlength=channels * BINS).reshape(channels, BINS).astype(np.float64)
    seen[node.name] = replace(about, histogram=counts if about.histogram is None else counts + about.histogram)


@few_threads()
def seen_by_statistics(graph: FloatGraph, seed: int = 0, count: int = 4) -> Mapping[str, Seen]:
    """The ends of every tensor without any data; nothing is said of single channels.

    Noise runs through the network, and wherever a BatchNorm knows the mean and deviation that each
    channel has on the training data, the noise is shifted and stretched to just these. Layers between
    BatchNorms are thus measured on inputs of the right size; only the shape of the distributions is
    a guess (data-free calibration after Nagel et al., arXiv 1906.04721, which does the same in
    closed form).
    """
    rng, count = np.random.default_rng(seed), batch_for(graph, count)
    last_use = {name: node.name for node in graph.nodes for name in node.inputs}
    values: dict[str, FloatArray] = {}
    seen: dict[str, Seen] = {}
    for node in graph.nodes:
        if not node.inputs:
            assert isinstance(node.op, Input)
            (c, h, w), codes = node.shape, node.op.format
            noise = rng.integers(codes.lo, codes.hi + 1, (count, h, w, c))
            values[node.name] = node.op.forward([noise.astype(np.float64)])
        else:
            with np.errstate(all="ignore"):
                x = node.op.forward([values[name] for name in node.inputs])
            if node.stats is not None:
                mean, std = node.stats
                spread = x.std(axis=(0, 1, 2))
                # A channel that does not vary here (a 1x1 map, a dead filter) takes fresh noise.
                unit = np.where(spread > 1e-9, (x - x.mean(axis=(0, 1, 2))) / np.maximum(spread, 1e-9), 0.0)
                unit = np.where(spread > 1e-9, unit, rng.standard_normal(x.shape))
                x = unit * std + mean
            values[node.name] = node.clamp(x)
        seen[node.name] = Seen.between(float(values[node.name].min()), float(values[node.name].max()))
        for name in node.inputs:
            if last_use[name] == node.name:
                values.pop(name, None)
    _require_finite(graph, seen, " on noise in place of images, which `calibration=` gives")
    return seen
