"""Blocks: the hardware of layers at their foldings, as it stands in the design."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from cnn2rtl.graph import QuantGraph, QuantNode
from cnn2rtl.hardware import units
from cnn2rtl.hardware.block import Block, Streaming
from cnn2rtl.hardware.unit import Folding, Unit, ceil_div


def lanes_of(graph: QuantGraph, node: QuantNode, foldings: Mapping[str, Folding]) -> int:
    """Channels per beat of the node's stream; the input has those of the first layer."""
    if node.layer is not None:
        return foldings[node.name].lanes_out
    return next(foldings[other.name].lanes_in for other in graph.layers if node.name in other.inputs)


def lanes_into(graph: QuantGraph, node: QuantNode, foldings: Mapping[str, Folding]) -> tuple[int, ...]:
    """Channels per beat of the streams that the layer takes."""
    return tuple(lanes_of(graph, graph[name], foldings) for name in node.inputs)


def foldings_of(blocks: Iterable[Block]) -> Mapping[str, Folding]:
    """How each layer is folded that ``blocks`` carry out, by its name."""
    return {name: folding for block in blocks for name, folding in block.foldings.items()}


def frame_beats(graph: QuantGraph, node: QuantNode, foldings: Mapping[str, Folding]) -> int:
    """Beats of the node's stream for one frame."""
    channels, height, width = node.shape
    return height * width * ceil_div(channels, lanes_of(graph, node, foldings))


def blocks_of(graph: QuantGraph, foldings: Mapping[str, Folding]) -> tuple[Block, ...]:
    """The blocks of a design, in the order of the data."""

    def streaming(node: QuantNode) -> Block:
        folding = foldings[node.name]
        unit = build(graph, node, folding, lanes_into(graph, node, foldings))
        return Streaming.of(node.name, node.inputs, folding, unit)

    return tuple(map(streaming, graph.layers))


def build(graph: QuantGraph, node: QuantNode, folding: Folding, lanes: Sequence[int]) -> Unit:
    """The layer's units, with an adapter from ``lanes``, one per input, to its own where it needs one.

    Where inputs meet, beats wait for each other in a FIFO behind the adapter: an adapter that waits takes none, and
    falls behind.
    """
    assert node.layer is not None
    unit = node.op.unit(node.layer, graph.shapes(node), folding)
    several = len(node.inputs) > 1
    adapters = []
    for number, (name, before) in enumerate(zip(node.inputs, lanes, strict=True)):
        source, role = graph[name], f"adapt{number}" if several else "adapt"
        gearbox = units.gearbox(role, source.out.bits, source.shape[0], before, folding.lanes_in)
        waiting = (units.fifo(f"wait{number}", gearbox[0].out_bits),) if several and gearbox else ()
        adapters.append((*gearbox, *waiting))
    if several:
        return replace(unit, adapters=tuple(adapters))
    return replace(unit, chain=(*adapters[0], *unit.chain))
