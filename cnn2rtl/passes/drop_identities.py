"""Remove what computes nothing: Dropout, Identity, clone, a squeeze of ones."""

from __future__ import annotations

from cnn2rtl.graph import FloatGraph
from cnn2rtl.ops import Identity
from cnn2rtl.tensors import Clamp


def drop_identities(graph: FloatGraph) -> FloatGraph:
    """Bypass every :class:`Identity` that carries no activation."""
    for node in graph.nodes:
        if isinstance(node.op, Identity) and node.clamp == Clamp():
            graph = graph.without(node.name)
    return graph
