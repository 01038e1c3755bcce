"""When every beat moves: FIFOs, line buffers, latency and every stream's cycles, from the timing of the blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from cnn2rtl.graph import QuantGraph
from cnn2rtl.hardware.block import Block, Port
from cnn2rtl.hardware.timing import FIFO, Beats, fifo_depth
from cnn2rtl.hardware.unit import Folding
from cnn2rtl.quant.qformat import IntArray
from cnn2rtl.schedule.build import blocks_of, foldings_of, frame_beats
from cnn2rtl.schedule.refusal import Refusal
from cnn2rtl.schedule.search import Choice, Search
from cnn2rtl.schedule.target import Target

SLACK = 8
"""Cycles more than the slowest block takes that a frame may take, so that all frames are alike."""
SETTLING = 100
"""Cycles after which even the shortest frames have met every loop in a unit."""


@dataclass(frozen=True)
class Traffic:
    """A tensor's beats, and the FIFOs that they enter as a stream, one for each taker, so many beats deep.

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
    """Blocks in the order of the data, and the traffic of every tensor, whether between two blocks or within one.

    ``interval`` is the cycles from one frame to the next. Pixels are taken to come evenly at that pace, those of all
    inputs side by side; then ``latency`` is the cycles of the first frame, from its first beat in to its last beat out,
    both counted.
    """

    blocks: tuple[Block, ...]
    streams: Mapping[str, Traffic]
    interval: int
    latency: int

    @cached_property
    def foldings(self) -> Mapping[str, Folding]:
        """How each layer is folded, by its name."""
        return foldings_of(self.blocks)

    @property
    def multipliers(self) -> int:
        return sum(block.multipliers for block in self.blocks)

    @property
    def products(self) -> int:
        """Multiplications of weights with activations that are meant for a DSP block each."""
        return sum(block.products for block in self.blocks)

    def mac_efficiency(self, macs: int) -> float:
        """Network MACs / (frame interval x multipliers instantiated)."""
        return macs / (self.interval * self.multipliers) if self.multipliers else 0.0


def schedule(graph: QuantGraph, target: Target, before: bool = False, hasty: bool = False) -> Schedule | Refusal:
    """Fold the layers to meet ``target``, and give each buffer the room with which no beat ever waits for any.

    That is so while pixels come evenly at the frame interval. They may come otherwise, but then, too, no result is
    later than this: a beat that comes sooner makes none later.

    On a device, what the design takes is counted with these buffers, and where that is too much the search goes on.
    ``before`` the weights are known, it is counted as for any weights; ``hasty`` is as for :class:`Search`.
    """
    search = Search(graph, target, hasty)
    while isinstance(choice := search.next(), Choice):
        blocks = blocks_of(graph, choice.foldings)
        plan = planned(graph, tuple(block.expected for block in blocks) if before else blocks)
        depths = {name: tuple(traffic.depths.values()) for name, traffic in plan.streams.items()}
        places = search.judge(plan.blocks, depths)
        if places is not None:
            return replace(plan, blocks=tuple(block.placed(places) for block in plan.blocks))
    return choice


def planned(graph: QuantGraph, blocks: tuple[Block, ...]) -> Schedule:
    """The schedule of ``blocks``, which carry out the layers of ``graph``."""
    foldings = foldings_of(blocks)
    beats = {node.name: frame_beats(graph, node, foldings) for node in graph.nodes}
    slowest = max(block.cycles for block in blocks)
    # A block that is busy all the time may need a cycle more every other frame.
    for interval in range(slowest, slowest + SLACK):
        frames, fitted, moved, taken = _settled(graph, blocks, interval, beats)
        if frames:
            break
    else:
        raise AssertionError(f"no frame interval of {slowest} cycles: a block is slower than its foldings say")
    streams, ends = {}, takers(graph, blocks)
    for name, times in moved.items():
        depths = {port: fifo_depth(times, taken[port]) if port in taken else 2 for port in ends.get(name, ())}
        last = times[beats[name] - 1 :: beats[name]][: _settles(times, interval, frames)]
        streams[name] = Traffic(depths, int(times[0]), tuple(last.tolist()))
    results = (FIFO(Beats(moved[name])).times[beats[name] - 1] for name in graph.outputs)
    latency = int(max(results)) + 1
    return Schedule(fitted, streams, interval, latency)


def _settled(
    graph: QuantGraph, blocks: tuple[Block, ...], interval: int, beats: Mapping[str, int]
) -> tuple[int, tuple[Block, ...], dict[str, IntArray], dict[Port, IntArray]]:
    """So many frames that all streams have found their pattern in the end, and their timeline; ``beats`` per frame.

    0 frames where they do not.
    """
    least = 3 + SETTLING // interval
    # Where several blocks are busy all the time, each may take a frame to find its pace.
    for frames in range(least, least + 2 * len(blocks) + 2):
        pixels = {name: even(beats[name], interval, frames) for name in graph.inputs}
        fitted, moved, taken = timeline(graph, blocks, pixels)
        if all(_settles(times, interval, frames) < frames for times in (*moved.values(), *taken.values())):
            return frames, fitted, moved, taken
    return 0, (), {}, {}


def _settles(times: IntArray, interval: int, frames: int) -> int:
    """The frame, counted from 1, after which all others have its pattern."""
    pattern = times.reshape(frames, -1) - np.arange(frames)[:, None] * interval
    other = np.flatnonzero((pattern != pattern[-1]).any(1))
    return 1 if other.size == 0 else int(other[-1]) + 2


def even(beats: int, interval: int, frames: int) -> IntArray:
    """The cycles in which the beats of some frames come, ``beats`` each, evenly over ``interval`` cycles."""
    return np.arange(beats * frames) * interval // beats


def timeline(
    graph: QuantGraph, blocks: Sequence[Block], pixels: Mapping[str, IntArray]
) -> tuple[tuple[Block, ...], dict[str, IntArray], dict[Port, IntArray]]:
    """What happens when the beats of every input come in the cycles ``pixels``, and no FIFO is ever full.

    The blocks with as much memory as they need then; when the beats of every tensor move; and when each block takes
    those of its inputs from their FIFOs.
    """
    fitted, moved, taken = [], dict(pixels), {}
    busy: dict[str, int] = {}
    for block in blocks:
        busy |= {source: max(block.cycles, busy.get(source, 0)) for source in block.sources}
    for block in blocks:
        # No block need be faster than the next one, which takes so many cycles over a pixel.
        pace = {name: busy.get(name, 0) // prod(graph[name].shape[1:]) for name in block.results}
        timed = block.timed([moved[name] for name in block.sources], pace)
        fitted.append(timed.block)
        moved |= timed.moved
        taken.update({Port(block.name, number): when for number, when in enumerate(timed.taken)})
    return tuple(fitted), moved, taken


def takers(graph: QuantGraph, blocks: Iterable[Block]) -> Mapping[str, tuple[Port, ...]]:
    """Where the stream of each tensor ends: blocks in the order of the data, then the network's outputs."""
    found: dict[str, list[Port]] = {}
    for block in blocks:
        for number, source in enumerate(block.sources):
            found.setdefault(source, []).append(Port(block.name, number))
    for number, name in enumerate(graph.outputs):
        found.setdefault(name, []).append(Port("", number))
    return {name: tuple(ports) for name, ports in found.items()}
