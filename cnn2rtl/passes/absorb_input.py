"""Let the first layers take what comes, pixels or numbers: the normalisation of the input goes into their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import singledispatch
from math import isfinite

import numpy as np

from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.ops import Conv2d, DepthwiseConv2d, Linear, Op, Window
from cnn2rtl.tensors import FloatArray

NORMALISE = "normalise"


def absorb_input(graph: FloatGraph, mean: Sequence[float], std: Sequence[float]) -> FloatGraph:
    """The graph on what comes that computes what ``graph`` does on what that is worth, less ``mean``, over ``std``.

    Of pictures come raw pixels ``p``, worth ``p / 255``; of numbers come codes, worth what their format says.

    ``mean`` and ``std`` hold one number for all, or one per channel of the input, or of all inputs. Runs after
    ``simplify``. Where padding surrounds the input, it becomes the mean pixel, ``255 * mean``, or ``mean``: exact
    here, to be rounded to a code by quantisation. Where a layer other than a convolution or a Linear
    takes the input, one layer ``normalise`` is put before them all. Raises :class:`UserError` for a
    wrong number of values or a ``std`` that is not positive.
    """
    channels = {name: shape[0] for name, shape in graph.inputs.items()}
    for source, numbers in normalisation(mean, std, channels, not graph.numbers).items():
        zero, unit = numbers if source in graph.numbers else (255.0 * given for given in numbers)
        consumers = graph.consumers(source)
        absorbing = all(raw.dispatch(type(node.op)) is not raw.dispatch(object) for node in consumers)
        if absorbing and consumers and source not in graph.outputs:
            graph = graph.replacing([replace(node, op=raw(node.op, zero, unit)) for node in consumers])
        else:
            graph = _with_layer(graph, source, zero, unit)
    return graph


def normalisation(
    mean: Sequence[float], std: Sequence[float], channels: Mapping[str, int], pixels: bool = True
) -> Mapping[str, tuple[FloatArray, FloatArray]]:
    """``mean`` and ``std`` of each input, by its name, each (channels,); the first input's values come first.

    They are judged as those of ``pixels`` of 0 to 1, or of any numbers.
    """
    total = sum(channels.values())
    check_normalisation(mean, std, total, pixels)
    values = [np.broadcast_to(np.asarray(given, np.float64), (total,)) for given in (mean, std)]
    ends = np.cumsum(list(channels.values()))
    means, stds = (np.split(given, ends[:-1]) for given in values)
    return dict(zip(channels, zip(means, stds, strict=True), strict=True))


def check_normalisation(
    mean: Sequence[float], std: Sequence[float], channels: int | None = None, pixels: bool = True
) -> None:
    """Raise one :class:`UserError` for all that is wrong with the values; ``channels`` of all inputs, where known.

    Values for ``pixels`` are for those of 0 to 1.
    """
    problems = []
    for name, values in (("mean", mean), ("std", std)):
        given = f"{name} {', '.join(map(str, values))}"
        if channels is not None and len(values) not in (1, channels):
            problems.append(f"{given}: one value, or one for each of the input's {channels} channels, is expected")
        if not all(isfinite(value) for value in values):
            problems.append(f"{given}: every value must be a finite number")
        elif name == "std" and min(values, default=1.0) <= 0:
            problems.append(f"{given}: every value must be greater than 0")
    if pixels and not problems:
        problems = _of_bytes(mean, std)
    if problems:
        raise UserError(problems)


def _of_bytes(mean: Sequence[float], std: Sequence[float]) -> list[str]:
    """What is wrong with values that are made for pixels of 0 to 255, and which are right; nothing with others."""
    too_large = any(abs(value) > 1 for value in mean), any(value > 1 for value in std)
    if not any(too_large):
        return []
    given = f"mean {_numbers(mean)} and std {_numbers(std)}"
    told = f"{given}: made for pixels of 0 to 255, and here it is (pixel / 255 - mean) / std with pixels of 0 to 1"
    means = [value / 255 for value in mean] if too_large[0] else mean
    stds = [value / 255 for value in std] if too_large[1] else std
    other = f"mean {_numbers(means)} and std {_numbers(stds)}"
    if all(too_large) or set(mean) == {0.0}:
        return [f"{told}; divided by 255 that is {other}"]
    if too_large[1]:
        return [f"{told}; std divided by 255, that is {other}"]
    unscaled = f"mean {_numbers(means)} and std {_numbers([value / 255 for value in std])}"
    return [f"{told}; for (pixel - mean) / std that is {unscaled}, for (pixel - mean) / 255 / std it is {other}"]


def _numbers(values: Sequence[float]) -> str:
    return ",".join(f"{value:.6g}" for value in values)


def _with_layer(graph: FloatGraph, source: str, zero: FloatArray, unit: FloatArray) -> FloatGraph:
    """The graph with a per-channel layer between the input ``source`` and all its consumers."""
    name = NORMALISE if len(graph.inputs) == 1 else f"{NORMALISE}_{source}"
    while name in graph.by_name:
        name += "_"
    op = DepthwiseConv2d((1.0 / unit).reshape(-1, 1, 1), -zero / unit, Window((1, 1)))
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes.append(replace(node, inputs=tuple(name if i == source else i for i in node.inputs)))
        if node.name == source:
            nodes.append(Node(name, op, (source,), node.shape))
    return replace(graph, nodes=tuple(nodes), outputs=tuple(name if o == source else o for o in graph.outputs))


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
