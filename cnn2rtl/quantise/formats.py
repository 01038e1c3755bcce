"""Which format a tensor gets: how far it reaches, and where its scale is free or each channel has its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.ops.weighted import Weighted
from cnn2rtl.quant.qformat import QFormat, Scheme, power_of_two_at_least
from cnn2rtl.quantise.calibrate import BINS, Seen
from cnn2rtl.tensors import Clamp, FloatArray

Ranges = Literal["minmax", "percentile", "mse"]

PERCENTILE = 99.99
"""Share of the values, in percent, that ``percentile`` keeps on either side of zero."""


ANYTHING = Clamp()

HEAD_ROOM = 2
"""Bits of an output beyond what was seen: other images reach further, and classes that saturate are all alike."""

SPARE = 8
"""So many bits of an output are never head room: rounding would cost more than a rare saturation."""


def readers_of(graph: FloatGraph, name: str) -> tuple[Node, ...]:
    """The layers that turn the codes of tensor ``name`` into others, past those that pass codes on.

    None at all where the codes are, somewhere, an output of the network.
    """
    found: list[Node] = []
    for node in graph.consumers(name):
        behind = readers_of(graph, node.name) if node.op.keeps_format(node.clamp) else (node,)
        if not behind:
            return ()
        found += behind
    return () if name in graph.outputs else tuple(found)


def channels_stay(graph: FloatGraph, name: str) -> bool:
    """Whether the codes of tensor ``name`` keep their channels up to those readers."""
    return all(
        node.op.keeps_channels and channels_stay(graph, node.name)
        for node in graph.consumers(name)
        if node.op.keeps_format(node.clamp)
    )


def tied(graph: FloatGraph) -> Mapping[str, tuple[Node, ...]]:
    """Layers whose tensors must have one format, as some layer takes their codes side by side, by the name of each."""
    groups: dict[str, tuple[Node, ...]] = {}
    for node in graph.nodes:
        if node.op.ties_inputs:
            makers = {maker.name: maker for name in node.inputs for maker in makers_of(graph, name)}
            for maker in tuple(makers):
                makers |= {other.name: other for other in groups.get(maker, ())}
            groups |= dict.fromkeys(makers, tuple(makers.values()))
    return groups


def makers_of(graph: FloatGraph, name: str) -> tuple[Node, ...]:
    """The layers that make the codes of tensor ``name``, before those that pass codes on."""
    node = graph[name]
    if not node.op.keeps_format(node.clamp):
        return (node,)
    return tuple(maker for source in node.inputs for maker in makers_of(graph, source))


def choose(
    nodes: Sequence[Node],
    seen: Seen,
    bits: int,
    scheme: Scheme,
    ranges: Ranges,
    readers: tuple[Node, ...],
    in_place: bool = True,
    limits: Clamp = ANYTHING,
) -> QFormat:
    """The format of the tensor that ``nodes[0]`` makes for ``readers`` (none: an output of the network).

    The tensors of all ``nodes`` get the same one but for their clamps; ``seen`` and ``readers`` are those of all.
    ``in_place`` says that channels are what they were when the readers get them. ``limits`` hold for whatever values
    the tensors may take, seen or not.

    An output has head room: as far as there are more than ``SPARE`` bits and as the limits reach.

    Where all readers keep the channels apart (depthwise, pooling), each channel gets the finest scale that
    its values need. That costs nothing: the requantisation has a shift and a multiplier per channel anyway,
    and the readers absorb the scales in theirs. It is cross-layer equalisation (Nagel et al., arXiv
    1906.04721) with the factors in the format instead of in the layer before, whose weights have a scale
    per channel already.

    In the ``pow2`` scheme it is the ratios of scales that must be powers of two. Between layers with weights,
    whose scales make up for any factor, a tensor's own scale is therefore free.
    """
    free = readers and all(isinstance(node.op, Weighted) for node in (*nodes, *readers))
    grid: Scheme = "scale" if free else scheme
    low, high = np.minimum(seen.low, 0.0), np.maximum(seen.high, 0.0)
    whole = QFormat.covering(float(low.min()), float(high.max()), bits, grid)
    whole = replace(whole, scale=float(_narrowed(seen, whole, np.array([whole.coarsest]), grid, ranges)[0]))
    if not readers:
        whole = _with_head_room(whole, limits, scheme)
    whole = whole.clamped(nodes[0].clamp.lo, nodes[0].clamp.hi)
    apart = in_place and len(nodes) == 1 and all(reader.op.channelwise for reader in readers)
    if not readers or not apart or seen.low.size == 1:
        return whole
    cover = np.maximum(high / max(whole.hi, 1), low / min(whole.lo, -1))
    finest = whole.coarsest * 2.0**-bits
    cover = _allowed(np.clip(cover, finest, whole.coarsest), grid)
    return whole.refined(_narrowed(seen, whole, cover, grid, ranges), grid)


def _with_head_room(out: QFormat, limits: Clamp, scheme: Scheme) -> QFormat:
    """``out`` in larger steps, and with a sign, where that makes room for values that were not seen."""
    room = min(HEAD_ROOM, max(0, out.bits - SPARE))
    if not room:
        return out
    if not out.signed and limits.lo < 0:
        out = QFormat.full(out.bits, True, 2 * out.coarsest)
    scale = out.coarsest * 2**room
    if np.isfinite([limits.lo, limits.hi]).all():
        whole = QFormat.covering(min(limits.lo, 0.0), max(limits.hi, 0.0), out.bits, scheme).coarsest
        scale = min(scale, max(whole, out.coarsest))
    return replace(out, scale=scale)


def _allowed(scales: FloatArray, scheme: Scheme) -> FloatArray:
    return scales if scheme == "scale" else np.array([power_of_two_at_least(float(s)) for s in scales])


def _narrowed(seen: Seen, whole: QFormat, scales: FloatArray, scheme: Scheme, ranges: Ranges) -> FloatArray:
    """``scales``, (channels,) or (1,) for all channels together, made finer where little is lost by it."""
    if ranges == "minmax" or seen.histogram is None:
        return scales
    counts = seen.histogram
    values = seen.low[:, None] + (np.arange(BINS) + 0.5) * ((seen.high - seen.low) / BINS)[:, None]
    if scales.size == 1:
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
