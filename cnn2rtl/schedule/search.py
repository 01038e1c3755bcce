"""The cheapest folding of every layer that meets a target, by search."""

from __future__ import annotations

from dataclasses import dataclass

from cnn2rtl.errors import UserError
from cnn2rtl.ops.hardware import Folding
from cnn2rtl.quant.layers import QuantGraph


@dataclass(frozen=True)
class Target:
    """What is asked for: ``fps`` frames per second at ``clock_mhz``, at most ``multipliers``, or both.

    With neither, the fastest design of ``DEFAULT_MULTIPLIERS`` multipliers, or of one per layer where
    the network has more layers than that.
    """

    fps: float | None = None
    clock_mhz: float = 100.0
    multipliers: int | None = None


DEFAULT_MULTIPLIERS = 64


def search(graph: QuantGraph, target: Target) -> dict[str, Folding]:
    """Find the smallest frame interval within the budget, or the cheapest design for the wanted one.

    Layers are independent given the interval: each takes its cheapest folding that is fast enough.
    So the total cost only falls as the interval grows, and a binary search over the intervals that
    some layer can attain finds the optimum exactly.
    """
    choices = {
        node.name: node.op.foldings(node.layer, graph.shapes(node)) for node in graph.layers if node.layer is not None
    }
    floor = max(options[0].cycles for options in choices.values())
    least = sum(min(f.multipliers for f in options) for options in choices.values())
    problems = []
    limit: float = float("inf")
    if target.fps is not None:
        limit = int(target.clock_mhz * 1e6 / target.fps)
        if limit < floor:
            slowest = max(choices, key=lambda name: choices[name][0].cycles)
            problems.append(
                f"{target.fps:g} frames/s at {target.clock_mhz:g} MHz leave {limit} cycles per frame, but {slowest} "
                f"takes {floor} even fully parallel; ask for at most {target.clock_mhz * 1e6 / floor:.1f} frames/s, "
                f"a faster clock or a smaller input"
            )
    if target.multipliers is not None and target.multipliers < least:
        problems.append(
            f"{target.multipliers} multipliers are too few: every layer with weights needs one of its own, "
            f"{least} in all; give at least that many or use fewer layers"
        )
    if problems:
        raise UserError(problems)

    def pick(interval: float) -> dict[str, Folding]:
        return {name: [f for f in options if f.cycles <= interval][-1] for name, options in choices.items()}

    def multipliers(interval: float) -> int:
        return sum(folding.multipliers for folding in pick(interval).values())

    interval = limit
    if target.fps is None:
        budget = max(DEFAULT_MULTIPLIERS, least) if target.multipliers is None else target.multipliers
        intervals = sorted({f.cycles for options in choices.values() for f in options if f.cycles >= floor})
        low, high = 0, len(intervals) - 1
        while low < high:
            middle = (low + high) // 2
            if multipliers(intervals[middle]) <= budget:
                high = middle
            else:
                low = middle + 1
        interval = intervals[low]
    elif target.multipliers is not None and multipliers(limit) > target.multipliers:
        raise UserError(
            f"{target.fps:g} frames/s at {target.clock_mhz:g} MHz take {multipliers(limit)} multipliers, "
            f"{multipliers(limit) - target.multipliers} more than the {target.multipliers} allowed; "
            f"lower --fps, raise --multipliers or prune the network"
        )
    for node in graph.nodes:
        sinks = sum(node.name in other.inputs for other in graph.layers)
        if sinks > 1 or (sinks and node.name == graph.output):
            raise UserError(f"{node.name} feeds {sinks} layers; branches are not supported yet: give it one consumer")
    return pick(interval)
