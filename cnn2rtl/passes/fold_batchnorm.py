"""Fold a BatchNorm into the weights of the layer before it."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch

import numpy as np

from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.ops import Affine, Conv2d, DepthwiseConv2d, Linear, Op
from cnn2rtl.tensors import Clamp, FloatArray


def fold_batchnorm(graph: FloatGraph) -> FloatGraph:
    """Fold every :class:`Affine` into its producer, if that has weights, no activation and no other consumer.

    The layer keeps its name, takes over the affine's activation, and learns the statistics of its
    output from a BatchNorm.
    """
    for name in [node.name for node in graph.nodes if isinstance(node.op, Affine)]:
        node = graph[name]
        producer = graph[node.inputs[0]]
        affine = node.op
        assert isinstance(affine, Affine)
        foldable = scaled.dispatch(type(producer.op)) is not scaled.dispatch(object)
        alone = producer.name not in graph.outputs and len(graph.consumers(producer.name)) == 1
        if foldable and alone and producer.clamp == Clamp():
            folded = replace(
                producer,
                op=scaled(producer.op, affine),
                clamp=node.clamp,
                stats=statistics(affine, producer),
            )
            graph = graph.without(name).replacing([folded])
    return graph


def statistics(affine: Affine, producer: Node | None = None) -> tuple[FloatArray, FloatArray] | None:
    """Mean and standard deviation, each (c,), of an affine's output: a BatchNorm's own, else from its producer's."""
    if affine.mean_out is not None and affine.std_out is not None:
        return affine.mean_out, affine.std_out
    if producer is not None and producer.stats is not None:
        mean, std = producer.stats
        return mean * affine.scale + affine.shift, std * np.abs(affine.scale)
    return None


@singledispatch
def scaled(op: Op, affine: Affine) -> Op:
    """``op`` followed by ``affine``, as one layer of the same kind."""
    raise TypeError(f"a {op.kind} layer has no weights to scale")


@scaled.register
def _(op: Conv2d, affine: Affine) -> Op:
    return replace(op, weight=_rows(op.weight, affine), bias=op.bias * affine.scale + affine.shift, biased=True)


@scaled.register
def _(op: DepthwiseConv2d, affine: Affine) -> Op:
    return replace(op, weight=_rows(op.weight, affine), bias=op.bias * affine.scale + affine.shift, biased=True)


@scaled.register
def _(op: Linear, affine: Affine) -> Op:
    return replace(op, weight=_rows(op.weight, affine), bias=op.bias * affine.scale + affine.shift, biased=True)


@scaled.register
def _(op: Affine, affine: Affine) -> Op:
    mean, std = (affine.mean_out, affine.std_out)
    if mean is None and op.mean_out is not None and op.std_out is not None:
        mean, std = op.mean_out * affine.scale + affine.shift, op.std_out * np.abs(affine.scale)
    return Affine(
        op.scale * affine.scale, op.shift * affine.scale + affine.shift, mean, std, op.trained + affine.trained
    )


def _rows(weight: FloatArray, affine: Affine) -> FloatArray:
    """``weight`` (c_out, ...) with each output's part scaled."""
    return weight * affine.scale.reshape(-1, *(1,) * (weight.ndim - 1))
