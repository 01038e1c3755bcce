"""Let the first layers take raw pixels: the normalisation of the input goes into their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import singledispatch
from math import isfinite

import numpy as np

from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatArray, FloatGraph, Node
from cnn2rtl.ops import Conv2d, DepthwiseConv2d, Linear, Op, Window

NORMALISE = "normalise"


def absorb_input(graph: FloatGraph, mean: Sequence[float], std: Sequence[float]) -> FloatGraph:
    """The graph on raw pixels ``p`` that computes what ``graph`` does on ``(p / 255 - mean) / std``.

    ``mean`` and ``std`` hold one number per channel of the input, or one for all. Runs after
    ``simplify``. Where padding surrounds the input, it becomes the mean pixel, ``255 * mean``: exact
    here, to be rounded to a pixel by quantisation. Where a layer other than a convolution or a Linear
    takes the input, one layer ``normalise`` is put before them all. Raises :class:`UserError` for a
    wrong number of values or a ``std`` that is not positive.
    """
    channels = graph.input.shape[0]
    check_normalisation(mean, std, channels)
    zero, unit = (255.0 * np.broadcast_to(np.asarray(given, np.float64), (channels,)) for given in (mean, std))
    consumers = graph.consumers(graph.input.name)
    absorbing = all(raw.dispatch(type(node.op)) is not raw.dispatch(object) for node in consumers)
    if absorbing and consumers and graph.output != graph.input.name:
        return graph.replacing([replace(node, op=raw(node.op, zero, unit)) for node in consumers])
    return _with_layer(graph, zero, unit)


def check_normalisation(mean: Sequence[float], std: Sequence[float], channels: int | None = None) -> None:
    """Raise one :class:`UserError` for all that is wrong with the values; ``channels`` of the input, where known."""
    problems = []
    for name, values in (("mean", mean), ("std", std)):
        given = f"{name} {', '.join(map(str, values))}"
        if channels is not None and len(values) not in (1, channels):
            problems.append(f"{given}: one value, or one for each of the input's {channels} channels, is expected")
        if not all(isfinite(value) for value in values):
            problems.append(f"{given}: every value must be a finite number")
        elif name == "std" and min(values, default=1.0) <= 0:
            problems.append(f"{given}: every value must be greater than 0")
    if problems:
        raise UserError(problems)


def _with_layer(graph: FloatGraph, zero: FloatArray, unit: FloatArray) -> FloatGraph:
    """The graph with a per-channel layer between the input and all its consumers."""
    source = graph.input
    name = NORMALISE
    while name in graph.by_name:
        name += "_"
    op = DepthwiseConv2d((1.0 / unit).reshape(-1, 1, 1), -zero / unit, Window((1, 1)))
    rewired = [
        replace(node, inputs=tuple(name if i == source.name else i for i in node.inputs)) for node in graph.nodes[1:]
    ]
    nodes = (source, Node(name, op, (source.name,), source.shape), *rewired)
    return replace(graph, nodes=nodes, output=name if graph.output == source.name else graph.output)


@singledispatch
def raw(op: Op, zero: FloatArray, unit: FloatArray) -> Op:
    """``op`` for an input ``p`` where it had ``(p - zero) / unit``; both are (c_in,)."""
    raise TypeError(f"a {op.kind} layer has no weights to absorb the input's normalisation")


@raw.register
def _(op: Conv2d, zero: FloatArray, unit: FloatArray) -> Op:
    c_out, c_group = op.weight.shape[:2]
    # Which input channel each weight meets, (c_out, c_in / groups): a group's outputs share its inputs.
    group = np.arange(c_out) // (c_out // op.groups)
    channel = group[:, None] * c_group + np.arange(c_group)
    weight = op.weight / unit[channel][:, :, None, None]
    bias = op.bias - (weight * zero[channel][:, :, None, None]).sum(axis=(1, 2, 3))
    return replace(op, weight=weight, bias=bias, biased=True, pad_value=op.pad_value * unit + zero)


@raw.register
def _(op: DepthwiseConv2d, zero: FloatArray, unit: FloatArray) -> Op:
    weight = op.weight / unit[:, None, None]
    bias = op.bias - weight.sum(axis=(1, 2)) * zero
    return replace(op, weight=weight, bias=bias, biased=True, pad_value=op.pad_value * unit + zero)


@raw.register
def _(op: Linear, zero: FloatArray, unit: FloatArray) -> Op:
    weight = op.weight / unit[:, None, None]
    return replace(op, weight=weight, bias=op.bias - (weight.sum(axis=(2, 3)) @ zero), biased=True)
