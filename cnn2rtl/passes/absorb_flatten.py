"""Remove Flatten: a Linear takes a whole feature map, so its weights are put in the map's order instead."""

from __future__ import annotations

from dataclasses import replace

from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph, Node, Shape
from cnn2rtl.ops import Flatten, Linear


def absorb_flatten(graph: FloatGraph) -> FloatGraph:
    """The graph without any Flatten.

    One of a (c, 1, 1) map just goes. One of a larger map may feed nothing but Linear layers; whatever
    else it feeds, and a Flatten that is the output, is listed in one :class:`UserError`: the map leaves
    the hardware pixel by pixel, and PyTorch's flat order would need it all in memory.
    """
    problems = []
    for name in [node.name for node in graph.nodes if isinstance(node.op, Flatten)]:
        node = graph[name]
        shape = graph[node.inputs[0]].shape
        flat = shape[1:] == (1, 1)
        for consumer in graph.consumers(name):
            if isinstance(consumer.op, Linear):
                graph = graph.replacing([_over_map(consumer, consumer.op, shape)])
            elif not flat and not isinstance(consumer.op, Flatten):
                problems.append(_refusal(name, shape, f"feeds `{consumer.name}` ({consumer.op.kind})"))
        if graph.output == name and not flat:
            problems.append(_refusal(name, shape, "is the model's output"))
        graph = graph.without(name)
    if problems:
        raise UserError(problems)
    return graph


def _over_map(node: Node, op: Linear, shape: Shape) -> Node:
    """``node`` with its flat weights as (outputs, c, h, w)."""
    return replace(node, op=replace(op, weight=op.weight.reshape(op.weight.shape[0], *shape)))


def _refusal(name: str, shape: Shape, use: str) -> str:
    c, h, w = shape
    return (
        f"`{name}` flattens a {c}x{h}x{w} map and {use}; only a Linear can follow the Flatten of a map larger than "
        "1x1: pool the map first, for instance with AdaptiveAvgPool2d(1), or leave the Flatten out"
    )
