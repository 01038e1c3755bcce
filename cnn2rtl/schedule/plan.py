"""When every beat moves: FIFOs, line buffers, latency and every stream's cycles, from the timing of the units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from cnn2rtl.graph import Port, QuantGraph, QuantNode
from cnn2rtl.hardware.timing import FIFO, Beats, fifo_depth
from cnn2rtl.hardware.unit import Folding, Instance, Unit, ceil_div
from cnn2rtl.hardware.units import with_depth
from cnn2rtl.quant.qformat import IntArray
from cnn2rtl.schedule.budget import Places
from cnn2rtl.schedule.build import build, lanes_into, lanes_of
from cnn2rtl.schedule.search import Target, search

SLACK = 8
"""Cycles more than the slowest layer takes that a frame may take, so that all frames are alike."""
SETTLING = 100
"""Cycles after which even the shortest frames have met every loop in a unit."""


@dataclass(frozen=True)
class Traffic:
    """A stream and the FIFOs that it enters, one for each taker, so many beats deep.

    In cycles since the first beat of the network's inputs: when the ``first`` beat of all moves, and when the ``last``
    ones of the first few frames do; from then on, a frame ends every frame interval.
    """

    depths: Mapping[Port, int]
    first: int
    last: tuple[int, ...]

    def end(self, frame: int, interval: int) -> int:
        """When the last beat of a frame moves, the first one being frame 1."""
        known = min(frame, len(self.last))
        return self.last[known - 1] + (frame - known) * interval

    def apart(self, frame: int, interval: int) -> int:
        """Cycles from the end of the frame before to that of this one."""
        return self.end(frame, interval) - self.end(frame - 1, interval)


@dataclass(frozen=True, eq=False)
class Schedule:
    """A folding and hardware per layer, and a stream per node.

    ``interval`` is the cycles from one frame to the next. Pixels are taken to come evenly at that pace, those of all
    inputs side by side; then ``latency`` is the cycles of the first frame, from its first beat in to its last beat out,
    both counted.
    """

    foldings: Mapping[str, Folding]
    units: Mapping[str, Unit]
    streams: Mapping[str, Traffic]
    interval: int
    latency: int

    @property
    def multipliers(self) -> int:
        return sum(folding.multipliers for folding in self.foldings.values())

    def mac_efficiency(self, macs: int) -> float:
        """Network MACs / (frame interval x multipliers instantiated)."""
        return macs / (self.interval * self.multipliers) if self.multipliers else 0.0


def schedule(graph: QuantGraph, target: Target) -> Schedule:
    """Fold the layers to meet ``target``, and give each buffer the room with which no beat ever waits for any.

    That is so while pixels come evenly at the frame interval. They may come otherwise, but then, too, no result is
    later than this: a beat that comes sooner makes none later.
    """
    choice = search(graph, target)
    foldings = choice.foldings
    built = {}
    for node in graph.layers:
        unit = build(graph, node, foldings[node.name], lanes_into(graph, node, foldings))
        built[node.name] = _placed(unit, node.name, choice.places)
    beats = {node.name: _frame_beats(graph, node, foldings) for node in graph.nodes}
    slowest = max(folding.cycles for folding in foldings.values())
    # A layer that is busy all the time may need a cycle more every other frame.
    for interval in range(slowest, slowest + SLACK):
        frames, fitted, moved, taken = _settled(graph, built, foldings, interval, beats)
        if frames:
            break
    else:
        raise AssertionError(f"no frame interval of {slowest} cycles: a layer is slower than its foldings say")
    streams = {}
    for name, times in moved.items():
        depths = {port: fifo_depth(times, taken[port]) if port in taken else 2 for port in graph.ports[name]}
        last = times[beats[name] - 1 :: beats[name]][: _settles(times, interval, frames)]
        streams[name] = Traffic(depths, int(times[0]), tuple(last.tolist()))
    ends = (FIFO(Beats(moved[name])).times[beats[name] - 1] for name in graph.outputs)
    latency = int(max(ends)) + 1
    return Schedule(foldings, fitted, streams, interval, latency)


def _settled(
    graph: QuantGraph,
    built: Mapping[str, Unit],
    foldings: Mapping[str, Folding],
    interval: int,
    beats: Mapping[str, int],
) -> tuple[int, dict[str, Unit], dict[str, IntArray], dict[Port, IntArray]]:
    """So many frames that all streams have found their pattern in the end, and their timeline; ``beats`` per frame.

    0 frames where they do not.
    """
    least = 3 + SETTLING // interval
    # Where several layers are busy all the time, each may take a frame to find its pace.
    for frames in range(least, least + 2 * len(built) + 2):
        pixels = {name: even(beats[name], interval, frames) for name in graph.inputs}
        fitted, moved, taken = timeline(graph, built, foldings, pixels)
        if all(_settles(times, interval, frames) < frames for times in (*moved.values(), *taken.values())):
            return frames, fitted, moved, taken
    return 0, {}, {}, {}


def _settles(times: IntArray, interval: int, frames: int) -> int:
    """The frame, counted from 1, after which all others have its pattern."""
    pattern = times.reshape(frames, -1) - np.arange(frames)[:, None] * interval
    other = np.flatnonzero((pattern != pattern[-1]).any(1))
    return 1 if other.size == 0 else int(other[-1]) + 2


def even(beats: int, interval: int, frames: int) -> IntArray:
    """The cycles in which the beats of some frames come, ``beats`` each, evenly over ``interval`` cycles."""
    return np.arange(beats * frames) * interval // beats


def timeline(
    graph: QuantGraph, built: Mapping[str, Unit], foldings: Mapping[str, Folding], pixels: Mapping[str, IntArray]
) -> tuple[dict[str, Unit], dict[str, IntArray], dict[Port, IntArray]]:
    """What happens when the beats of every input come in the cycles ``pixels``, and no FIFO is ever full.

    The layers' units with as much memory as they need then; when the beats of every node's stream move; and when each
    layer behind it takes them from their FIFO.
    """
    fitted, moved, taken = {}, dict(pixels), {}
    for node in graph.layers:
        # No layer need be faster than the next one, which takes so many cycles over a pixel.
        sinks = (foldings[port.layer].cycles for port in graph.ports[node.name] if port.layer)
        pace = max(sinks, default=0) // (node.shape[1] * node.shape[2])
        sources = [moved[name] for name in node.inputs]
        fitted[node.name], moved[node.name], times = through(built[node.name], sources, pace)
        taken.update({Port(node.name, number): when for number, when in enumerate(times)})
    return fitted, moved, taken


def through(unit: Unit, sources: Sequence[IntArray], pace: int) -> tuple[Unit, IntArray, list[IntArray]]:
    """A layer's unit, fitted; when its results move, and when it takes its inputs' beats, which move at ``sources``.

    The next layer takes ``pace`` cycles over a pixel.
    """
    ways = [_way(times, chain) for times, chain in zip(sources, unit.adapters or ((),) * len(sources), strict=True)]
    join = unit.chain[0].join
    streams = [ways[0][-1] if join is None else Beats(join.merge([way[-1].times for way in ways]))]
    held_up: Callable[[IntArray], Beats] = partial(FIFO.held_up, Beats(sources[0]))
    chain: list[Instance] = []
    for instance in unit.chain:
        chain.append(instance.fitted(streams[-1], held_up, pace))
        held_up = partial(chain[-1].timing.held_up, streams[-1])
        streams.append(chain[-1].timing(streams[-1]))
    released = None
    for instance, offered in zip(reversed(chain), reversed(streams[:-1]), strict=True):
        released = instance.timing.taken(offered, released)
    moves = streams[0].times if released is None else released
    fitted = replace(unit, chain=tuple(chain))
    if join is None:
        return fitted, streams[-1].times, [moves]
    adapters: list[tuple[Instance, ...]] = []
    taken = []
    for instances, way, part in zip(unit.adapters, ways, join.split(moves), strict=True):
        if instances:
            gearbox, fifo = instances
            before = gearbox.timing.taken(way[0], None)
            adapters.append((gearbox, with_depth(fifo, fifo_depth(way[1].times, part))))
            taken.append(way[0].times if before is None else before)
        else:
            adapters.append(())
            taken.append(part)
    return replace(fitted, adapters=tuple(adapters)), streams[-1].times, taken


def _way(times: IntArray, adapters: Iterable[Instance]) -> list[Beats]:
    """When beats that enter their FIFO at ``times`` are offered to each of ``adapters``, and behind them all."""
    streams = [FIFO(Beats(times))]
    for instance in adapters:
        streams.append(instance.timing(streams[-1]))
    return streams


def _placed(unit: Unit, layer: str, places: Places) -> Unit:
    """The unit with its memories where they are to lie."""

    def place(instance: Instance) -> Instance:
        where = places.get((layer, instance.role))
        return instance if where is None else replace(instance, parameters={**instance.parameters, "PLACE": int(where)})

    adapters = tuple(tuple(map(place, chain)) for chain in unit.adapters)
    return replace(unit, chain=tuple(map(place, unit.chain)), adapters=adapters)


def _frame_beats(graph: QuantGraph, node: QuantNode, foldings: Mapping[str, Folding]) -> int:
    channels, height, width = node.shape
    return height * width * ceil_div(channels, lanes_of(graph, node, foldings))
