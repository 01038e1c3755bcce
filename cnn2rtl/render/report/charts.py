"""Bars: lengths are shares of the whole width, from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

from cnn2rtl.render.report.view import MEMORIES, View, count, number, resources_of


@dataclass(frozen=True)
class Segment:
    """A piece of a bar, of a colour's CSS class."""

    share: float
    colour: str
    title: str
    start: float = 0.0


@dataclass(frozen=True)
class Bar:
    """``total`` is what the whole width stands for, 0 where nothing limits it; ``share`` is how much is used of it."""

    name: str
    text: str
    segments: tuple[Segment, ...]
    share: float = 0.0

    @property
    def over(self) -> bool:
        return self.share > 1


def time_bars(view: View) -> tuple[Bar, ...]:
    """Every layer's cycles against the frame interval: first those that its multipliers make use of."""
    bars = []
    for layer in view.layers:
        busy, useful = layer.load, layer.efficiency
        solid = Segment(busy if useful is None else useful, layer.colour, layer.title)
        rest = () if useful is None else (Segment(busy - useful, f"{layer.colour} pale", layer.title),)
        bars.append(Bar(layer.name, f"{layer.about.cycles:,}", (solid, *rest), busy))
    return tuple(bars)


def memory_bars(view: View) -> tuple[Bar, ...]:
    """Every block's memories, against the largest."""
    most = max(sum(block.memory.values()) for block in view.blocks) or 1
    bars = []
    for block in view.blocks:
        segments = tuple(
            Segment(block.memory[key] / most, f"m{index}", f"{block.name}: {block.memory[key]:,} bits of {title}")
            for index, (key, title) in enumerate(MEMORIES.items())
            if block.memory.get(key)
        )
        bars.append(Bar(block.name, f"{sum(block.memory.values()):,}", segments))
    return tuple(bars)


def resource_bars(view: View) -> tuple[Bar, ...]:
    """Everything that the design takes, each in one bar with a piece per block, against what the device has."""
    input_fifos = [(stream.node, "rim", stream.fifo * stream.beat_bits) for stream in view.inputs]
    bars = [
        _stack("Multipliers", [(block.name, block.colour, block.multipliers) for block in view.blocks]),
        _stack(
            "Bits of memory",
            [*input_fifos, *((block.name, block.colour, sum(block.memory.values())) for block in view.blocks)],
        ),
    ]
    for key, title in resources_of(view.about.estimate).items():
        used = [(block.name, block.colour, block.resources[key]) for block in view.blocks]
        there = None if view.device is None else getattr(view.device, key)
        bars.append(_stack(f"{title}, estimated", used, there))
    return tuple(bar for bar in bars if bar.segments)


def synthesis_bars(view: View) -> tuple[Bar, ...]:
    """What synthesis counted, against what the device has."""
    result = view.results.synthesis
    if result is None or result.available is None:
        return ()
    bars = []
    for key, title in resources_of(result.usage).items():
        used, available = getattr(result.usage, key), getattr(result.available, key)
        share = used / available if available else float(used > 0) * 2
        text = f"{number(used)} of {available:,}"
        bars.append(Bar(title, text, (Segment(min(1.0, share), "whole", f"{title}: {text}"),), share))
    return tuple(bars)


def _stack(title: str, pieces: Sequence[tuple[str, str, float]], available: int | None = None) -> Bar:
    """One bar of ``pieces``, each a name, a colour and how much."""
    total = sum(n for _, _, n in pieces)
    whole = max(total, available or 0) or 1
    segments = [
        Segment(n / whole, colour, f"{name}: {number(n)} of {number(total)}") for name, colour, n in pieces if n
    ]
    text = number(total) if available is None else f"{number(total)} of {available:,}"
    return Bar(title, text, tuple(segments), total / available if available else 0.0)


@dataclass(frozen=True)
class Timeline:
    """The first frame: one bar per stream over so many ``cycles``, and marks at (share, text)."""

    cycles: int
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    interval: float


def timeline(view: View) -> Timeline:
    """When every layer is at work on the first frame."""
    end = max(view.about.latency, *(layer.stream.last + 1 for layer in view.layers))
    bars = [_period(stream.node, "rim", stream.first, stream.first, stream.last, end) for stream in view.inputs]
    for layer in view.layers:
        begin = min(source.first for source in layer.inputs)
        stream = layer.stream
        bars.append(_period(layer.name, layer.colour, begin, stream.first, stream.last, end))
    step = _round_step(end / 5)
    # A mark too near to the end would run into the edge.
    marks = range(0, int(end * 0.95) + 1, step)
    return Timeline(end, tuple(bars), tuple((at / end, f"{at:,}") for at in marks), view.about.interval / end)


def _period(name: str, colour: str, begin: int, first: int, last: int, end: int) -> Bar:
    """Pale while the layer has beats but delivers none."""
    title = f"{name}: first beat after {count(first, 'cycle')}, last after {count(last, 'cycle')}"
    waiting = Segment((first - begin) / end, f"{colour} pale", f"{name}: takes beats, delivers none yet", begin / end)
    return Bar(name, f"{first:,} to {last:,}", (waiting, Segment((last + 1 - first) / end, colour, title, first / end)))


def _round_step(least: float) -> int:
    """The first of 1, 2, 5, 10, 20, ... that is not below ``least``."""
    unit = 10 ** floor(log10(max(1.0, least)))
    return int(next(unit * digit for digit in (1, 2, 5, 10) if unit * digit >= least))
