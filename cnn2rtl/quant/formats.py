"""Which format a tensor gets: how far it reaches, and where a channel may have a scale of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cnn2rtl.graph import FloatArray, FloatGraph, Node
from cnn2rtl.ops.weighted import Weighted
from cnn2rtl.quant.calibrate import BINS, Seen
from cnn2rtl.quant.qformat import QFormat, Scheme, power_of_two_at_least

Ranges = Literal["minmax", "percentile", "mse"]

PERCENTILE = 99.99
"""Share of the values, in percent, that ``percentile`` keeps on either side of zero."""

LEANINGS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far equalisation goes from one scale for all channels (0) to each channel's own (1)."""


@dataclass(frozen=True)
class Taker:
    """A layer that reads a tensor, perhaps through poolings that pass its codes on, and the width of its weights."""

    node: Node
    weight_bits: int


def takers(graph: FloatGraph, name: str) -> tuple[Node, ...] | None:
    """The layers that turn the codes of tensor ``name`` into others; ``None`` where they are an output as well."""
    if name == graph.output:
        return None
    found: list[Node] = []
    for node in graph.consumers(name):
        behind = takers(graph, node.name) if node.op.keeps_format(node.clamp) else (node,)
        if behind is None:
            return None
        found += behind
    return tuple(found)


def choose(
    node: Node, seen: Seen, bits: int, scheme: Scheme, ranges: Ranges, readers: tuple[Taker, ...] | None
) -> QFormat:
    """The format of the tensor that ``node`` makes.

    Each channel gets the finest scale that its values need where all ``readers`` keep the channels apart
    (depthwise, pooling), which costs nothing: the requantisation has a shift and a multiplier per channel
    anyway, and the readers absorb the scales in theirs. Where readers mix channels, their weights absorb
    the scales, and :func:`equalised` weighs what the activations gain against what the weights lose.
    """
    low, high = np.minimum(seen.low, 0.0), np.maximum(seen.high, 0.0)
    whole = QFormat.covering(float(low.min()), float(high.max()), bits, scheme)
    whole = replace(whole, scale=float(_narrowed(seen, whole, np.array([whole.coarsest]), scheme, ranges, True)[0]))
    whole = whole.clamped(node.clamp.lo, node.clamp.hi)
    if not readers or not all(reader.node.op.takes_scales for reader in readers) or seen.low.size == 1:
        return whole
    cover = np.maximum(high / max(whole.hi, 1), low / min(whole.lo, -1) if whole.signed else 0.0)
    cover = np.minimum(np.maximum(cover, whole.coarsest * 2.0**-bits), whole.coarsest)
    cover = _narrowed(seen, whole, _allowed(cover, scheme), scheme, ranges, False)
    if all(reader.node.op.channelwise for reader in readers):
        return whole.refined(cover, scheme)
    mixing = [(r.node.op, r.weight_bits) for r in readers if isinstance(r.node.op, Weighted)]
    if len(mixing) < len(readers):
        return whole
    return whole.refined(equalised(mixing, whole.coarsest, cover, seen.power, scheme), scheme)


def equalised(
    mixing: list[tuple[Weighted, int]], coarsest: float, cover: FloatArray, power: FloatArray, scheme: Scheme
) -> FloatArray:
    """Scales between ``coarsest`` and ``cover``, (channels,), with the least noise at the outputs of ``mixing``.

    Cross-layer equalisation (Nagel et al., arXiv 1906.04721), with the scale moved into the format instead
    of into the layer before, whose weights have a scale per channel anyway. A finer channel has less
    rounding noise, scale**2 / 12, but larger codes, which multiply the rounding noise of the weights.
    ``power`` is the mean square of each channel.
    """

    def noise(scales: FloatArray) -> float:
        total = 0.0
        for op, bits in mixing:
            weight = op.weight.reshape(op.groups, op.weight.shape[0] // op.groups, -1, op.taps)
            per_input = (op.groups, 1, weight.shape[2], 1)
            s, p = scales.reshape(per_input), power.reshape(per_input)
            step = np.abs(weight * s).max((2, 3)) / ((1 << (bits - 1)) - 1)
            rounding = np.square(weight * s).sum((2, 3)) + np.square(step) * (p / np.square(s)).sum((2, 3)) * op.taps
            signal = (np.square(weight) * p).sum((2, 3))
            total += float((rounding / np.maximum(signal, 1e-30)).mean())
        return total

    # At equal noise the simpler format is the better one.
    candidates = [_allowed(np.maximum(coarsest * (cover / coarsest) ** lean, cover), scheme) for lean in LEANINGS]
    return min(candidates, key=noise)


def _allowed(scales: FloatArray, scheme: Scheme) -> FloatArray:
    return scales if scheme == "scale" else np.array([power_of_two_at_least(float(s)) for s in scales])


def _narrowed(
    seen: Seen, whole: QFormat, scales: FloatArray, scheme: Scheme, ranges: Ranges, together: bool
) -> FloatArray:
    """``scales``, (channels,) or (1,) for all channels ``together``, made finer where little is cut off by it."""
    if ranges == "minmax" or seen.histogram is None:
        return scales
    counts = seen.histogram
    values = seen.low[:, None] + (np.arange(BINS) + 0.5) * ((seen.high - seen.low) / BINS)[:, None]
    if together:
        counts, values = counts.reshape(1, -1), values.reshape(1, -1)
    best, least = scales, np.full(scales.shape, np.inf)
    for factor in (1.0, 0.5, 0.25) if scheme == "pow2" else np.linspace(1.0, 0.3, 15):
        finer = scales * factor
        if ranges == "mse":
            codes = np.clip(np.floor(values / finer[:, None] + 0.5), whole.lo, whole.hi)
            loss = (counts * np.square(values - codes * finer[:, None])).sum(1)
        else:
            outside = (values > whole.hi * finer[:, None]) | (values < whole.lo * finer[:, None])
            loss = np.where((counts * outside).sum(1) <= counts.sum(1) * (1 - PERCENTILE / 100), -1 / factor, np.inf)
        better = loss < least
        best, least = np.where(better, finer, best), np.where(better, loss, least)
    return best
