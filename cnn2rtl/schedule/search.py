"""The cheapest folding of every layer that meets a target, by search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnn2rtl.errors import UserError
from cnn2rtl.ops.hardware import Folding
from cnn2rtl.quant.layers import QuantGraph, QuantNode


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


@dataclass(frozen=True)
class Edge:
    """A stream from one layer to the next: ``depth`` beats of FIFO, ``lanes_out`` made into ``lanes_in``."""

    source: str
    sink: str | None
    depth: int


@dataclass(frozen=True)
class Schedule:
    """A folding per layer. ``interval`` is the cycles from one frame to the next under continuous input."""

    foldings: Mapping[str, Folding]
    edges: tuple[Edge, ...]
    interval: int

    @property
    def multipliers(self) -> int:
        return sum(folding.multipliers for folding in self.foldings.values())

    def mac_efficiency(self, macs: int) -> float:
        """Network MACs / (frame interval x multipliers instantiated)."""
        return macs / (self.interval * self.multipliers) if self.multipliers else 0.0


def schedule(graph: QuantGraph, target: Target) -> Schedule:
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
    foldings = pick(interval)
    edges = tuple(_edge(graph, node, foldings) for node in graph.nodes)
    return Schedule(foldings, edges, max(f.cycles for f in foldings.values()))


def _edge(graph: QuantGraph, node: QuantNode, foldings: Mapping[str, Folding]) -> Edge:
    """The stream behind ``node``. One that delivers rows in one go has room for a row."""
    sinks = [other.name for other in graph.layers if node.name in other.inputs]
    if len(sinks) > 1 or (sinks and node.name == graph.output):
        raise UserError(f"{node.name} feeds {len(sinks)} layers; branches are not supported yet: give it one consumer")
    depth = 2
    if node.layer is not None and not foldings[node.name].even:
        channels, _, width = node.shape
        depth = max(depth, width * -(-channels // foldings[node.name].lanes_out))
    return Edge(node.name, sinks[0] if sinks else None, depth)
