"""The cheapest folding of every layer that meets a target, by search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf

from cnn2rtl.devices import DEFAULT_CLOCK, Device, clock_words
from cnn2rtl.errors import UserError
from cnn2rtl.graph import QuantGraph
from cnn2rtl.hardware.block import Places
from cnn2rtl.hardware.unit import Folding
from cnn2rtl.schedule.budget import Budget
from cnn2rtl.schedule.styles import with_styles


@dataclass(frozen=True)
class Target:
    """What is asked for, any of it: ``fps`` frames per second at ``clock_mhz``; at most ``multipliers``, whatever they
    are made of; at most ``dsps`` DSP blocks for them, more being made in logic; to fit ``device``.

    Without ``fps`` the design is the fastest that the rest allows. Where neither it nor ``multipliers`` nor a device
    sets a limit, there are ``DEFAULT_MULTIPLIERS`` of them, or as many as ``dsps`` or layers where those are more.
    """

    fps: float | None = None
    clock_mhz: float = DEFAULT_CLOCK
    multipliers: int | None = None
    dsps: int | None = None
    device: Device | None = None

    @property
    def wanted(self) -> str:
        clock = clock_words(self.clock_mhz, self.device.family if self.device else None)
        return f"{self.fps:g} frames/s at {clock}{',' if ',' in clock else ''}"

    @property
    def cycles(self) -> int | None:
        """Of a frame at most."""
        # Frames per second that were worked out from cycles give these cycles again.
        return None if self.fps is None else int(self.clock_mhz * 1e6 / self.fps * (1 + 1e-12))


DEFAULT_MULTIPLIERS = 64


@dataclass(frozen=True, eq=False)
class Choice:
    """A folding per layer, and where memories lie that are not left to the tool."""

    foldings: Mapping[str, Folding]
    places: Places


def search(graph: QuantGraph, target: Target) -> Choice:
    """Find the smallest frame interval within the budget, or the cheapest design for the wanted one.

    Layers are independent given the interval: each takes its cheapest folding that is fast enough.
    So the total cost only falls as the interval grows, and a binary search over the intervals that
    some layer can attain finds the optimum exactly. On a device, where a slower design may take more of
    something (other lanes, other adapters between layers), the intervals are tried in turn.
    """
    choices = {
        node.name: node.op.foldings(node.layer, graph.shapes(node)) for node in graph.layers if node.layer is not None
    }
    _check(graph, choices, target)
    floor = max(options[0].cycles for options in choices.values())
    budget = Budget(graph, target.device)
    block = max((tuple(m[:2]) for m in target.device.multipliers), default=None) if target.device else None

    @cache
    def pick(interval: float) -> dict[str, Folding]:
        chosen = {name: [f for f in options if f.cycles <= interval][-1] for name, options in choices.items()}
        limits = [limit for limit in (target.dsps, budget.free_dsps(chosen)) if limit is not None]
        return with_styles(graph, chosen, min(limits, default=None), block)  # type: ignore[arg-type]

    def too_much(interval: float) -> tuple[str, ...]:
        foldings = pick(interval)
        multipliers, allowed = sum(folding.multipliers for folding in foldings.values()), target.multipliers
        if allowed is None and target.fps is None and target.device is None:
            allowed = max(DEFAULT_MULTIPLIERS, target.dsps or 0, _least(choices))
        if allowed is not None and multipliers > allowed:
            problem = f"{multipliers} multipliers, {multipliers - allowed} more than the {allowed} allowed"
            return (f"{problem}; lower --fps, raise --multipliers or prune the network",)
        return budget.fit(foldings).excess

    def choice(interval: float) -> Choice:
        return Choice(pick(interval), budget.fit(pick(interval)).places)

    intervals = sorted({f.cycles for options in choices.values() for f in options if f.cycles >= floor})
    limit = target.cycles
    if limit is not None:
        problems = too_much(limit)
        if not problems:
            return choice(limit)
        faster = [interval for interval in reversed(intervals) if interval < limit]
        for interval in faster if target.device is not None else ():
            if not too_much(interval):
                return choice(interval)
        raise UserError([f"{target.wanted} take {problem}" for problem in problems])
    if target.device is not None:
        for interval in intervals:
            if not too_much(interval):
                return choice(interval)
    slowest = too_much(intervals[-1])
    if slowest:
        raise UserError([f"even the slowest design takes {problem}" for problem in slowest])
    return choice(_first(intervals, lambda interval: not too_much(interval)))


def _first(values: Sequence[int], good: Callable[[int], bool]) -> int:
    """The first of ``values`` that is good, if all behind a good one are; the last one is."""
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        if good(values[middle]):
            high = middle
        else:
            low = middle + 1
    return values[low]


def _least(choices: Mapping[str, Sequence[Folding]]) -> int:
    return sum(min(f.multipliers for f in options) for options in choices.values())


def _check(graph: QuantGraph, choices: Mapping[str, Sequence[Folding]], target: Target) -> None:
    """Raise :class:`UserError` for what no folding can change."""
    problems = []
    limit = inf if target.cycles is None else target.cycles
    slowest = max(choices, key=lambda name: choices[name][0].cycles)
    floor = choices[slowest][0].cycles
    if limit < floor:
        problems.append(
            f"{target.wanted} leave {limit} cycles per frame, but {slowest} takes {floor} even fully parallel; ask for "
            f"at most {target.clock_mhz * 1e6 / floor:.1f} frames/s, a faster clock or a smaller input"
        )
    least = _least(choices)
    if target.multipliers is not None and target.multipliers < least:
        problems.append(
            f"{target.multipliers} multipliers are too few: every layer that multiplies needs one of its own, "
            f"{least} in all; give at least that many or use fewer layers"
        )
    if problems:
        raise UserError(problems)
