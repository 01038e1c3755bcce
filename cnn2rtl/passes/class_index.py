"""The index of the largest output, as a layer."""

from __future__ import annotations

from dataclasses import replace

from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.ops import ArgMax


def with_class_index(graph: FloatGraph) -> FloatGraph:
    """The graph with one more layer, which tells the index of the largest output, unless it has one.

    Raises :class:`UserError` where there are several outputs.
    """
    if len(graph.outputs) > 1:
        raise UserError(
            f"`class_index=True`: the network has {len(graph.outputs)} outputs; let the model take the argmax of those "
            "that are scores of classes"
        )
    if isinstance(graph[graph.output].op, ArgMax):
        return graph
    name = "class_index"
    while name in graph.by_name:
        name += "_"
    op = ArgMax()
    node = Node(name, op, (graph.output,), op.out_shape([graph[graph.output].shape]))
    return replace(graph, nodes=(*graph.nodes, node), outputs=(name,), restored=())


def scores_of(graph: FloatGraph) -> tuple[str, ...]:
    """The tensors of scores: the outputs, or what their index is taken of, unless layers go on with them."""
    ends = [graph[name] for name in graph.outputs]
    found = dict.fromkeys(node.inputs[0] if isinstance(node.op, ArgMax) else node.name for node in ends)
    return tuple(name for name in found if all(isinstance(node.op, ArgMax) for node in graph.consumers(name)))
