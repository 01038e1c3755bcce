"""The float graph and its ranges made into the integer graph."""

from __future__ import annotations

from collections.abc import Mapping

from cnn2rtl.graph import FloatGraph
from cnn2rtl.quant.calibrate import Range
from cnn2rtl.quant.layers import QuantGraph, QuantNode, QuantOptions
from cnn2rtl.quant.qformat import PIXEL, QFormat, Scheme


def quantise(
    graph: FloatGraph,
    ranges: Mapping[str, Range],
    *,
    weight_bits: int,
    activation_bits: int,
    output_bits: int,
    scheme: Scheme,
    scores: str | None = None,
) -> QuantGraph:
    """Integers for every layer.

    The tensor ``scores``, by default the output, has ``output_bits``, all others ``activation_bits``; each 2 to 16.
    """
    options = QuantOptions(weight_bits, scheme)
    nodes: list[QuantNode] = []
    formats: dict[str, QFormat] = {}
    for node in graph.nodes:
        if not node.inputs:
            nodes.append(QuantNode(node.name, node.op, (), node.shape, PIXEL))
            formats[node.name] = PIXEL
            continue
        bits = output_bits if node.name == (scores or graph.output) else activation_bits
        reach = ranges[node.name]
        wish = QFormat.covering(min(reach.low, 0.0), max(reach.high, 0.0), bits, scheme)
        layer = node.op.quantise([formats[name] for name in node.inputs], wish, node.clamp, options)
        nodes.append(QuantNode(node.name, node.op, node.inputs, node.shape, layer.out, layer))
        formats[node.name] = layer.out
    return QuantGraph(graph.name, tuple(nodes), graph.output)
