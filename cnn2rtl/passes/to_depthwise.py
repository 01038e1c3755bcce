"""Give layers that keep every channel to itself their own kind: depthwise convolutions and lone BatchNorms."""

from __future__ import annotations

from dataclasses import replace

from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.ops import Affine, Conv2d, DepthwiseConv2d, Window
from cnn2rtl.passes.fold_batchnorm import statistics


def to_depthwise(graph: FloatGraph) -> FloatGraph:
    """Rewrite a Conv2d with as many groups as input and output channels, and an Affine (1x1 kernels)."""
    return graph.replacing([_depthwise(node) for node in graph.nodes])


def _depthwise(node: Node) -> Node:
    match node.op:
        case Conv2d(weight=weight) as conv if conv.groups == weight.shape[0] and weight.shape[1] == 1:
            return replace(node, op=DepthwiseConv2d(weight[:, 0], conv.bias, conv.window, conv.pad_value))
        case Affine() as affine:
            op = DepthwiseConv2d(affine.scale.reshape(-1, 1, 1), affine.shift, Window((1, 1)))
            return replace(node, op=op, stats=statistics(affine))
    return node
