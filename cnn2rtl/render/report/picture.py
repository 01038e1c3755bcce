"""The network as a picture: layers as boxes and streams as wires between them.

Layers stand in ranks, by their distance from the input, and parallel branches side by side in slots; a wire past other
layers has a slot of its own. Ranks follow each other from left to right in rows, like a text, or in one column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from cnn2rtl.render.report.view import Layer, Stream, View

Point = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """Sizes in pixels. ``per_row`` ranks to a row, or all of them in one column."""

    box: tuple[int, int]
    gap: int
    per_row: int | None

    @property
    def vertical(self) -> bool:
        return self.per_row is None


WIDE = Style((140, 70), 88, 5)
TALL = Style((270, 70), 52, None)
MARGIN = 20
"""Around the picture, where wires come back to the next row."""
THIN = 14
"""A slot that only wires pass through."""
BETWEEN = 16
"""Slots side by side."""
GUTTER = 44
"""Rows one below the other."""


@dataclass(frozen=True)
class Box:
    """``layer`` is none at the ends, which stand for the world around."""

    x: float
    y: float
    width: int
    height: int
    name: str
    lines: tuple[str, ...]
    title: str
    layer: Layer | None = None


@dataclass(frozen=True)
class Label:
    """Lines of text at (x, y), which begins there, or ends: ``anchor`` is the SVG's word for it."""

    lines: tuple[tuple[float, float, str, str], ...]
    title: str


@dataclass(frozen=True)
class Picture:
    width: float
    height: float
    boxes: tuple[Box, ...]
    wires: tuple[str, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Place:
    """Where something stands: a rank, and a slot of it. ``node`` is none where a wire only passes."""

    rank: int
    slot: int
    node: str | None


def picture(view: View, style: Style) -> Picture:
    """The picture of the network in ``style``; every coordinate follows from the layers alone."""
    edges = [(source.node, layer.name) for layer in view.layers for source in layer.inputs]
    world = {f"{number} →": stream for number, stream in enumerate(view.outputs)}
    edges += [(stream.node, name) for name, stream in world.items()]
    streams = {stream.node: stream for stream in view.inputs}
    places, wires = _arrange(list(streams), edges)
    grid = _Grid(style, [*places.values(), *(place for wire in wires for place in wire)])
    layers = {layer.name: layer for layer in view.layers}
    boxes, labels = [], []
    for name, place in places.items():
        x, y = grid.corner(place)
        if name in layers:
            boxes.append(_box(x, y, style, layers[name]))
        else:
            called, stream = ("output", world[name]) if name in world else ("input", streams[name])
            several = len(world) > 1 if name in world else len(streams) > 1
            lines = (_short(stream.node, style.box[0] // 9), stream.shape) if several else (stream.shape,)
            boxes.append(Box(x, y, *style.box, called, lines, stream.title))
        if name not in world:
            labels.append(_label(x, y, style, layers[name].stream if name in layers else streams[name]))
    return Picture(*grid.size, tuple(boxes), tuple(grid.wire(wire) for wire in wires), tuple(labels))


def _arrange(first: list[str], edges: list[tuple[str, str]]) -> tuple[Mapping[str, Place], list[list[Place]]]:
    """The place of every node, those that come ``first`` included, and of every wire from end to end."""
    rank = dict.fromkeys(first, 0)
    for source, sink in edges:
        # Layers come in the order of the data, so the sources of a node are known before it is one.
        rank[sink] = max(rank.get(sink, 0), rank[source] + 1)
    taken: dict[int, set[int]] = {}
    places: dict[str, Place] = {}
    routes: dict[tuple[str, str], list[Place]] = {}

    def put(at: int, wish: int, node: str | None) -> Place:
        used = taken.setdefault(at, set())
        slot = next(slot for slot in range(wish, wish + len(used) + 1) if slot not in used)
        used.add(slot)
        return Place(at, slot, node)

    for at in range(max(rank.values()) + 1):
        for node in (name for name in rank if rank[name] == at):
            slots = [routes[edge][-1].slot for edge in routes if edge[1] == node]
            places[node] = put(at, min(slots, default=0), node)
        for edge in edges:
            if rank[edge[0]] == at:
                routes[edge] = [places[edge[0]]]
            elif rank[edge[0]] < at < rank[edge[1]]:
                routes[edge].append(put(at, max(1, routes[edge][-1].slot), None))
    return places, [[*route, places[edge[1]]] for edge, route in routes.items()]


class _Grid:
    """From ranks and slots to pixels: ``along`` the data and ``across`` it, which a column swaps."""

    def __init__(self, style: Style, places: list[Place]) -> None:
        self.style = style
        self.ranks = max(place.rank for place in places) + 1
        self.per_row = style.per_row or self.ranks
        self.long, self.broad = reversed(style.box) if style.vertical else style.box
        self.centres: dict[tuple[int, int], float] = {}
        self.ends: list[float] = []
        self.returns: dict[int, int] = {}
        start = 2.0
        for row in range((self.ranks - 1) // self.per_row + 1):
            here = [place for place in places if place.rank // self.per_row == row]
            for slot in range(max(place.slot for place in here) + 1):
                real = any(place.slot == slot and place.node is not None for place in here)
                size = self.broad if real else THIN
                self.centres[row, slot] = start + size / 2
                start += size + BETWEEN
            start += GUTTER - BETWEEN
            self.ends.append(start - GUTTER)

    @property
    def size(self) -> Point:
        columns = min(self.ranks, self.per_row)
        last = 0 if columns == self.ranks else self.style.gap
        along = MARGIN + columns * (self.long + self.style.gap) - self.style.gap + last
        # Labels reach below the last boxes.
        across = self.ends[-1] + 12
        return (across, along) if self.style.vertical else (along, across)

    def spot(self, place: Place) -> Point:
        """Along and across: where the place begins, and the middle of it."""
        column = place.rank % self.per_row
        margin = 2 if self.style.vertical else MARGIN
        return margin + column * (self.long + self.style.gap), self.centres[place.rank // self.per_row, place.slot]

    def corner(self, place: Place) -> Point:
        along, centre = self.spot(place)
        across = centre - self.broad / 2
        return (across, along) if self.style.vertical else (along, across)

    def wire(self, route: list[Place]) -> str:
        """The wire through all of ``route``, as the path of an SVG."""
        along, across = self.spot(route[0])
        points = [(along + self.long, across)]
        for before, place in pairwise(route):
            end, level = self.spot(before)
            begin, target = self.spot(place)
            row = before.rank // self.per_row
            if place.rank // self.per_row != row:
                # Around the end of the row and back to the start of the next; wires side by side keep apart.
                shift = 6 * self.returns.get(row, 0)
                self.returns[row] = self.returns.get(row, 0) + 1
                right, left = end + self.long + self.style.gap - 6 - shift, 6 + shift
                middle = self.ends[row] + GUTTER / 2 - shift
                points += [(right, level), (right, middle), (left, middle), (left, target)]
            elif level != target:
                points += [(begin - 13, level), (begin - 13, target)]
            points.append((begin if place.node is not None else begin + self.long, target))
        if self.style.vertical:
            points = [(across, along) for along, across in points]
        return _rounded(points)


def _rounded(points: list[Point], radius: float = 7) -> str:
    """The path along ``points``, with round corners."""
    path = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for before, (x, y), after in zip(points, points[1:], points[2:], strict=False):
        (ax, ay), (bx, by) = (_towards((x, y), other, radius) for other in (before, after))
        path.append(f"L{ax:g} {ay:g}Q{x:g} {y:g} {bx:g} {by:g}")
    return "".join(path) + f"L{points[-1][0]:g} {points[-1][1]:g}"


def _towards(start: Point, end: Point, distance: float) -> Point:
    """The point so far from ``start`` on the (level or upright) way to ``end``, at most half of it."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    share = min(0.5, distance / max(abs(dx), abs(dy), 1e-9))
    return start[0] + share * dx, start[1] + share * dy


def _box(x: float, y: float, style: Style, layer: Layer) -> Box:
    multipliers = layer.about.multipliers
    work = f"{multipliers:,} mult., " if multipliers else ""
    lines = (layer.about.kind, f"{work}{100 * layer.load:.0f} % busy")
    return Box(x, y, *style.box, _short(layer.name, style.box[0] // 9), lines, layer.title, layer)


def _label(x: float, y: float, style: Style, stream: Stream) -> Label:
    """What is to be known of a stream, beside the wire that leaves the box at (x, y)."""
    width, height = style.box
    name, bits = str(stream.format.name), f"{stream.beat_bits:,} bits/beat"
    lanes = "1 lane" if stream.lanes == 1 else f"{stream.lanes} lanes"
    fifo = f"FIFO {stream.fifo:,}"
    left, right = (stream.shape, name), (f"{lanes}, {bits}", fifo)
    if style.vertical:
        x, ys = x + width / 2, (y + height + 17, y + height + 31)
        before = [(x - 10, at, "end", text) for at, text in zip(ys, left, strict=True)]
        after = [(x + 10, at, "start", text) for at, text in zip(ys, right, strict=True)]
        return Label((*before, *after), stream.title)
    x, y = x + width + 8, y + height / 2
    above = [(x, y - 19 + 12 * i, "start", text) for i, text in enumerate(left)]
    below = [(x, y + 14 + 12 * i, "start", text) for i, text in enumerate((lanes, bits, fifo))]
    return Label((*above, *below), stream.title)


def _short(name: str, length: int) -> str:
    """The end of a long name, which tells layers of a block apart."""
    return name if len(name) <= length else f"…{name[1 - length :]}"
