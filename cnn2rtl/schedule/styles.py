"""What multiplies in each layer: DSP blocks, two products to a block, or logic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cnn2rtl.graph import QuantGraph, QuantNode
from cnn2rtl.hardware.unit import Folding, Style


def in_logic(node: QuantNode, folding: Folding) -> Folding:
    """What multiplies where no DSP block does; weights that are all used in every beat need no multiplier."""
    constant = folding.multipliers == node.op.weights
    return replace(folding, style=Style.CONSTANT if constant else Style.LOGIC)


def choices(node: QuantNode, folding: Folding) -> tuple[Folding, ...]:
    """The same folding with everything that may multiply there, DSP blocks first."""
    if not folding.multipliers:
        return (folding,)
    paired = (replace(folding, style=Style.PAIR),) if can_pair(node, folding) else ()
    return (folding, *paired, in_logic(node, folding))


def can_pair(node: QuantNode, folding: Folding) -> bool:
    """Whether a DSP block may take the products of two PEs; how many bits it has is another question."""
    return bool(node.op.weights) and folding.shared and folding.pe > 1


def fewest_tables(options: Sequence[Sequence[tuple[int, float]]], blocks: int) -> list[int]:
    """Which of the ``options`` of each layer, (DSP blocks, look-up tables), take the fewest tables in all.

    They take ``blocks`` at most, if that is possible; otherwise as few as they can. The first one of equals.
    """
    least = sum(min(dsps for dsps, _ in ways) for ways in options)
    room = max(blocks, least)
    best = np.zeros(room + 1)  # tables, by the blocks that may be taken
    chosen = np.zeros((len(options), room + 1), np.int64)
    for layer, ways in enumerate(options):
        tables = np.full((len(ways), room + 1), np.inf)
        for number, (dsps, luts) in enumerate(ways):
            if dsps <= room:
                tables[number, dsps:] = best[: room + 1 - dsps] + luts
        chosen[layer] = tables.argmin(0)
        best = tables.min(0)
    found = []
    for layer in reversed(range(len(options))):
        found.append(int(chosen[layer, room]))
        room -= options[layer][found[-1]][0]
    return found[::-1]


def busiest(graph: QuantGraph, foldings: Mapping[str, Folding], dsps: int) -> dict[str, Folding]:
    """The foldings with at most ``dsps`` DSP blocks for products of weights and activations, one for each.

    As long as blocks are missing, layers multiply in logic, those first that would leave theirs idle: what is left is
    busy, whichever device it is.
    """
    result = dict(foldings)
    interval = max(folding.cycles for folding in foldings.values())
    layers = [node for node in graph.layers if foldings[node.name].multipliers]
    share = {
        node.name: node.op.macs(graph.shapes(node)) / (interval * foldings[node.name].multipliers) for node in layers
    }
    missing = sum(folding.blocks for folding in result.values()) - dsps
    for node in sorted(layers, key=lambda node: share[node.name]):
        if missing <= 0:
            break
        missing -= result[node.name].blocks
        result[node.name] = in_logic(node, foldings[node.name])
    return result
