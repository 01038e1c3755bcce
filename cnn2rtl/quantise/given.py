"""A network whose integers came with it, so that nothing is left to calibrate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnn2rtl.graph import FloatGraph, QuantGraph, QuantNode
from cnn2rtl.ops import Input
from cnn2rtl.quant.layers import QuantLayer


@dataclass(frozen=True, eq=False)
class GivenNetwork:
    """``graph`` on raw pixels, its weights in reals, and the integers of each of its layers by the layer's name.

    ``notes`` tell what is not exactly as it came.
    """

    graph: FloatGraph
    layers: Mapping[str, QuantLayer]
    notes: tuple[str, ...] = ()

    def integers(self) -> QuantGraph:
        nodes = []
        for node in self.graph.nodes:
            layer = self.layers.get(node.name)
            out = node.op.format if isinstance(node.op, Input) else self.layers[node.name].out
            nodes.append(QuantNode(node.name, node.op, node.inputs, node.shape, out, layer))
        return QuantGraph(self.graph.name, tuple(nodes), self.graph.outputs)
