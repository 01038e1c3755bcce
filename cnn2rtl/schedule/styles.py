"""What multiplies in each layer: DSP blocks for those that keep them busy, logic for the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cnn2rtl.graph import QuantGraph, QuantNode
from cnn2rtl.hardware.unit import Folding, Style

IDLE = 0.9
"""A layer that keeps its multipliers less busy than this is the first to give up its DSP blocks."""


def busy(graph: QuantGraph, node: QuantNode, folding: Folding, interval: int) -> float:
    """The share of its multipliers' cycles that a layer uses."""
    return node.op.macs(graph.shapes(node)) / (interval * folding.multipliers) if folding.multipliers else 0.0


def with_styles(
    graph: QuantGraph, foldings: Mapping[str, Folding], dsps: int | None, block: tuple[int, int] | None = None
) -> dict[str, Folding]:
    """The foldings with at most ``dsps`` DSP blocks for products of weights and activations; ``None`` is no limit.

    A DSP block multiplies ``block`` bits, if that is known: where two products fit, they may share one. In turn, as
    long as blocks are missing: layers that would leave theirs idle multiply in logic, the idlest first; layers whose
    products can share blocks do, the largest first; and the others multiply in logic.
    """
    result = dict(foldings)
    if dsps is None:
        return result
    interval = max(folding.cycles for folding in foldings.values())
    layers = [node for node in graph.layers if foldings[node.name].multipliers]
    share = {node.name: busy(graph, node, foldings[node.name], interval) for node in layers}
    by_share = sorted(layers, key=lambda node: share[node.name])
    steps = [(node, in_logic(node, foldings[node.name])) for node in by_share if share[node.name] < IDLE]
    if block is not None:
        largest = sorted(layers, key=lambda node: -foldings[node.name].multipliers)
        steps += [(node, Style.PAIR) for node in largest if can_pair(node, foldings[node.name], block)]
    steps += [(node, in_logic(node, foldings[node.name])) for node in by_share]
    missing = sum(folding.blocks for folding in result.values()) - dsps
    for node, style in steps:
        if missing <= 0:
            break
        before = result[node.name]
        after = replace(before, style=style)
        if after.blocks < before.blocks:
            result[node.name] = after
            missing -= before.blocks - after.blocks
    return result


def in_logic(node: QuantNode, folding: Folding) -> Style:
    """What multiplies where no DSP block does; weights that are all used in every beat need no multiplier."""
    return Style.CONSTANT if folding.multipliers == node.op.weights else Style.LOGIC


def can_pair(node: QuantNode, folding: Folding, block: tuple[int, int]) -> bool:
    """Whether two products of the layer fit one DSP block of so many bits, as ``multiply_pair`` lays them out."""
    layer = node.layer
    if layer is None or not folding.shared or folding.pe == 1:
        return False
    activation = layer.source.bits + (not layer.source.signed)
    both = layer.source.bits + 2 * layer.weight_bits + 1
    return both <= max(block) and activation <= min(block)
