"""The cheapest folding of every layer that meets a target, by search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from math import inf

from cnn2rtl.graph import QuantGraph
from cnn2rtl.hardware.block import Block, Places
from cnn2rtl.hardware.unit import Folding, Style
from cnn2rtl.schedule.budget import Budget, Fit
from cnn2rtl.schedule.build import lanes_into
from cnn2rtl.schedule.refusal import Refusal, Resource, Shortfall
from cnn2rtl.schedule.styles import busiest, choices, fewest_tables
from cnn2rtl.schedule.target import DEFAULT_MULTIPLIERS, Target

WASTE = 2.0
"""So many times the look-up tables for the same are out of proportion."""
SHARES = 128
"""The share of weights that fits is found to this fraction."""


@dataclass(frozen=True, eq=False)
class Choice:
    """A folding per layer, and where memories lie that are not left to the tool."""

    foldings: Mapping[str, Folding]
    places: Places


def search(graph: QuantGraph, target: Target) -> Choice | Refusal:
    """The smallest frame interval within the budget, or the cheapest design for the wanted one.

    What its buffers take is not known yet: see :class:`Search`.
    """
    return Search(graph, target).next()


class Search:
    """The designs for a target, the best one first.

    Layers are independent given the interval: each takes its cheapest folding that is fast enough.
    So the total cost only falls as the interval grows, and a binary search over the intervals that
    some layer can attain finds the optimum exactly. On a device, where a slower design may take more of
    something (other lanes, other adapters between layers), the intervals are tried in turn.

    On a device, what a design takes depends on how deep its buffers are as well, which its timetable tells. Whoever has
    made that has it judged, and the next design is one that fits as far as is known by then.

    In a ``hasty`` search only the first interval counts.
    """

    def __init__(self, graph: QuantGraph, target: Target, hasty: bool = False) -> None:
        self.graph, self.target = graph, target
        self.budget = Budget(graph, target.device)
        self.options: dict[str, Sequence[Folding]] = {
            node.name: node.op.foldings(node.layer, graph.shapes(node))
            for node in graph.layers
            if node.layer is not None
        }
        self.refusal = self._impossible()
        if target.device is None and target.fps is None:
            self.options = {name: self._worthwhile(name) for name in self.options}
        self.pick: Callable[[int, bool], dict[str, Folding]] = cache(self._pick)
        self.nearest: Fit | None = None
        self.candidates = self._candidates(1 if hasty else None)

    def next(self) -> Choice | Refusal:
        """The first design, of those that have not been judged, that fits as it is priced; why there is none."""
        if self.refusal is not None:
            return self.refusal
        for foldings in self.candidates:
            short = self._multipliers(foldings)
            fit = Fit({}, short) if short else self.budget.fit(self.budget.priced(foldings))
            if not fit.shortfalls:
                return Choice(foldings, fit.places)
            self._keep(fit)
        assert self.nearest is not None
        return Refusal(
            self.target, self.nearest.shortfalls, self.target.fps is None, self.nearest.moved, self._weight_bits()
        )

    def largest_share(self) -> float | None:
        """Of its weights that fit the device, about, in a design of the slowest speed; ``None`` where not even few do.

        What is not a memory of weights is taken to stay as it is.
        """
        slowest = max(f.cycles for options in self.options.values() for f in options)
        need = self.budget.priced(self.pick(self.target.cycles or slowest, True))
        low, high = 0, SHARES
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.budget.fit(need.pruned(middle / SHARES)).shortfalls else (middle, high)
        return low / SHARES if low else None

    def judge(self, blocks: Sequence[Block], depths: Mapping[str, Sequence[int]]) -> Places | None:
        """Where memories lie in a design of which everything is known; ``None`` where it does not fit.

        ``depths`` are those of every tensor's FIFOs.
        """
        fit = self.budget.fit(self.budget.timed(blocks, depths))
        if not fit.shortfalls:
            return fit.places
        self._keep(fit)
        return None

    def _keep(self, fit: Fit) -> None:
        if self.nearest is None or fit.excess < self.nearest.excess:
            self.nearest = fit

    def _candidates(self, intervals: int | None) -> Iterator[dict[str, Folding]]:
        """The foldings to try, in turn, for so many intervals."""
        for interval in islice(self._intervals(), intervals):
            yield self.pick(interval, False)
            if self.target.device is not None:
                yield self.pick(interval, True)

    def _intervals(self) -> Iterator[int]:
        """Those to try, in turn."""
        floor = max(options[0].cycles for options in self.options.values())
        found = sorted({f.cycles for options in self.options.values() for f in options if f.cycles >= floor})
        limit = self.target.cycles
        if self.target.device is None:
            slowest = found[-1] if limit is None else limit
            few = limit is None and not self._multipliers(self.pick(slowest, False))
            yield _first(found, lambda interval: not self._multipliers(self.pick(interval, False))) if few else slowest
        elif limit is None:
            yield from found
        else:
            yield limit
            yield from (interval for interval in reversed(found) if interval < limit)

    def _pick(self, interval: int, both: bool) -> dict[str, Folding]:
        """The cheapest folding of every layer, and what multiplies in it.

        On a device, that is what saves the most look-up tables, or, if ``both``, block RAMs as well.
        """
        fast = {name: [f for f in options if f.cycles <= interval] for name, options in self.options.items()}
        fewest = {name: options[-1] for name, options in fast.items()}
        frugal = {name: self._frugal(name, options) for name, options in fast.items()}
        chosen = fewest if self._multipliers(frugal) else frugal
        if self.target.device is not None:
            return self._styled(chosen, both)
        return chosen if self.target.dsps is None else busiest(self.graph, chosen, self.target.dsps)

    def _styled(self, foldings: Mapping[str, Folding], both: bool) -> dict[str, Folding]:
        """With as many DSP blocks as the device has, where they save the most."""
        units, graph, target = self.budget.family.dsp_units, self.graph, self.target
        ways = [choices(node, foldings[node.name]) for node in graph.layers]
        lanes = [lanes_into(graph, node, foldings) for node in graph.layers]
        cost = [
            [self.budget.cost(node.name, folding, into, both) for folding in styles]
            for node, styles, into in zip(graph.layers, ways, lanes, strict=True)
        ]
        blocks = self.budget.device.dsps * units
        if target.dsps is not None:
            # Of those for products of weights; the others are there anyway.
            blocks = min(blocks, target.dsps * units + sum(min(dsps for dsps, _ in row) for row in cost))
        found = fewest_tables(cost, blocks)
        return {node.name: styles[n] for node, styles, n in zip(graph.layers, ways, found, strict=True)}

    def _area(self, name: str, folding: Folding) -> float:
        """Look-up tables of a layer with its multipliers in logic too."""
        style = Style.LOGIC if folding.multipliers else folding.style
        lanes = (folding.lanes_in,) * len(self.graph[name].inputs)
        return self.budget.cost(name, replace(folding, style=style), lanes, True)[1]

    def _frugal(self, name: str, fast: Sequence[Folding]) -> Folding:
        """Of foldings that are ``fast`` enough the one with the fewest multipliers, unless another takes far less.

        One that reads as many taps at once, and so has as many memories, takes no less.
        """
        rivals = {folding.taps: folding for folding in fast}
        if len(rivals) == 1:
            return fast[-1]
        least = min(rivals.values(), key=lambda folding: self._area(name, folding))
        return least if self._area(name, fast[-1]) > WASTE * self._area(name, least) else fast[-1]

    def _worthwhile(self, name: str) -> Sequence[Folding]:
        """Those whose look-up tables are in proportion to their speed, held against slower ones."""
        options, found, least = self.options[name], [], inf
        if len({folding.taps for folding in options}) == 1:
            return options
        for folding in reversed(options):
            work = folding.cycles * self._area(name, folding)
            if work <= WASTE * least:
                found.append(folding)
            least = min(least, work)
        return found[::-1]

    def _multipliers(self, foldings: Mapping[str, Folding]) -> tuple[Shortfall, ...]:
        """How many are too many."""
        target, needed = self.target, sum(folding.multipliers for folding in foldings.values())
        allowed = target.multipliers
        if not target.limited:
            allowed = max(DEFAULT_MULTIPLIERS, target.dsps or 0, self._least())
        if allowed is None or needed <= allowed:
            return ()
        return (Shortfall(Resource.MULTIPLIERS, needed, allowed),)

    def _least(self) -> int:
        """Multipliers of the smallest design."""
        return sum(min(f.multipliers for f in options) for options in self.options.values())

    def _weight_bits(self) -> int:
        return sum(node.op.weights * node.layer.weight_bits for node in self.graph.layers if node.layer is not None)

    def _impossible(self) -> Refusal | None:
        """What no folding can change."""
        target, short = self.target, []
        slowest = max(self.options, key=lambda name: self.options[name][0].cycles)
        floor = self.options[slowest][0].cycles
        if target.cycles is not None and target.cycles < floor:
            short.append(Shortfall(Resource.CYCLES, floor, target.cycles, slowest))
        if target.multipliers is not None and target.multipliers < self._least():
            short.append(Shortfall(Resource.MULTIPLIERS, self._least(), target.multipliers))
        if target.device is not None:
            device = target.device
            there = device.memory_bits + (device.luts << device.lut_inputs)
            if self._weight_bits() > there:
                short.append(Shortfall(Resource.MEMORY, self._weight_bits(), there))
        return Refusal(target, tuple(short), True, weight_bits=self._weight_bits()) if short else None


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
