"""Give convolutions that keep every channel to itself their own kind."""

from __future__ import annotations

from dataclasses import replace

from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.ops import Conv2d, DepthwiseConv2d


def to_depthwise(graph: FloatGraph) -> FloatGraph:
    """Rewrite every Conv2d with as many groups as input and output channels."""
    return graph.replacing([_depthwise(node) for node in graph.nodes])


def _depthwise(node: Node) -> Node:
    match node.op:
        case Conv2d(weight=weight) as conv if conv.groups == weight.shape[0] and weight.shape[1] == 1:
            op = DepthwiseConv2d(weight[:, 0], conv.bias, conv.window, conv.pad_value, biased=conv.biased)
            return replace(node, op=op)
    return node
