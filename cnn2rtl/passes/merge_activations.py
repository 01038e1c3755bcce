"""Let the layer before an activation apply it: its requantisation clamps anyway, so it costs nothing."""

from __future__ import annotations

from dataclasses import replace

from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.ops import Identity, Input, MaxPool2d, Rescale
from cnn2rtl.tensors import Clamp


def merge_activations(graph: FloatGraph) -> FloatGraph:
    """Merge every bare activation into its producer; one that cannot becomes a :class:`Rescale`.

    An activation first moves ahead of a MaxPool2d (the largest of some clamped values is their clamped largest) where
    the layer before the pool can take it.
    """
    for name in [node.name for node in graph.nodes if isinstance(node.op, Identity)]:
        activation = graph[name]
        host = _host(graph, activation)
        if host is not None:
            graph = graph.without(name).replacing([replace(host, clamp=host.clamp.then(activation.clamp))])
        else:
            graph = graph.replacing([replace(activation, op=Rescale())])
    return graph


def _only_consumer(graph: FloatGraph, producer: str) -> bool:
    return producer not in graph.outputs and len(graph.consumers(producer)) == 1


def _host(graph: FloatGraph, activation: Node) -> Node | None:
    """The layer that can apply ``activation``: the producer, or one before it past pools."""
    found = None
    (source,) = activation.inputs
    while _only_consumer(graph, source):
        node = graph[source]
        if isinstance(node.op, Input):
            break
        found = node
        # A clamp that a pool carries already stays between the layer ahead and this activation.
        if not isinstance(node.op, MaxPool2d) or node.clamp != Clamp():
            break
        (source,) = node.inputs
    return found
