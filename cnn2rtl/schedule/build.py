"""The units of a layer at a folding, as they stand in the design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cnn2rtl.ops import units
from cnn2rtl.ops.hardware import Folding, Unit
from cnn2rtl.quant.layers import QuantGraph, QuantNode


def lanes_of(graph: QuantGraph, node: QuantNode, foldings: Mapping[str, Folding]) -> int:
    """Channels per beat of the node's stream; the input has those of the first layer."""
    if node.layer is not None:
        return foldings[node.name].lanes_out
    return next(foldings[other.name].lanes_in for other in graph.layers if node.name in other.inputs)


def build(graph: QuantGraph, node: QuantNode, folding: Folding, lanes: int) -> Unit:
    """The layer's units, with an adapter from ``lanes`` to its own before them where it needs one."""
    assert node.layer is not None
    source = graph[node.inputs[0]]
    unit = node.op.unit(node.layer, graph.shapes(node), folding)
    adapter = units.gearbox("adapt", source.out.bits, source.shape[0], lanes, folding.lanes_in)
    return replace(unit, chain=(*adapter, *unit.chain))
