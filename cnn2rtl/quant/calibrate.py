"""Ranges of every tensor: measured on images, or told by the BatchNorm statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from cnn2rtl.graph import FloatArray, FloatGraph, Node

BATCH = 8
"""Images in memory at once."""


@dataclass(frozen=True)
class Range:
    """Smallest and largest value of a tensor, after its activation."""

    low: float
    high: float


def measure_ranges(
    graph: FloatGraph, images: np.ndarray, on_image: Callable[[int], None] | None = None
) -> Mapping[str, Range]:
    """Min-max of every tensor over ``images``, raw pixels (n, h, w, c); ``on_image`` hears how many are done."""
    ranges: dict[str, Range] = {}

    def record(node: Node, x: FloatArray) -> None:
        seen = ranges.get(node.name, Range(np.inf, -np.inf))
        ranges[node.name] = Range(min(seen.low, float(x.min())), max(seen.high, float(x.max())))

    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        graph.forward(batch.astype(np.float64), record)
        if on_image is not None:
            on_image(len(batch))
    return ranges


def ranges_from_statistics(graph: FloatGraph, seed: int = 0, count: int = 4) -> Mapping[str, Range]:
    """Min-max of every tensor without any data.

    Noise runs through the network, and wherever a BatchNorm knows the mean and deviation that each
    channel has on the training data, the noise is shifted and stretched to just these. Layers between
    BatchNorms are thus measured on inputs of the right size; only the shape of the distributions is
    a guess (data-free calibration after Nagel et al., arXiv 1906.04721, which does the same in
    closed form).
    """
    rng = np.random.default_rng(seed)
    values: dict[str, FloatArray] = {}
    ranges: dict[str, Range] = {}
    for node in graph.nodes:
        if not node.inputs:
            c, h, w = node.shape
            values[node.name] = rng.integers(0, 256, (count, h, w, c)).astype(np.float64)
        else:
            x = node.op.forward([values[name] for name in node.inputs])
            if node.stats is not None:
                mean, std = node.stats
                spread = x.std(axis=(0, 1, 2))
                # A channel that does not vary here (a 1x1 map, a dead filter) takes fresh noise.
                unit = np.where(spread > 1e-9, (x - x.mean(axis=(0, 1, 2))) / np.maximum(spread, 1e-9), 0.0)
                unit = np.where(spread > 1e-9, unit, rng.standard_normal(x.shape))
                x = unit * std + mean
            values[node.name] = node.clamp(x)
        ranges[node.name] = Range(float(values[node.name].min()), float(values[node.name].max()))
    return ranges
