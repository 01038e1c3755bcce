"""Widths chosen by what they cost in accuracy: the cheapest that keep the drop below a limit."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph
from cnn2rtl.ops import Input
from cnn2rtl.quantise.calibrate import Progress, silent
from cnn2rtl.quantise.integers import Recipe, Widths
from cnn2rtl.quantise.sensitivity import Knob, Part

Layers = Mapping[str, Widths]


@dataclass(frozen=True)
class Cost:
    """``memory`` in bits of weights; ``area`` is that of all multipliers, in bits of weight x bits of activation.

    A layer has multipliers in proportion to its multiply-accumulates, so these are what its product of widths is
    counted with: a frame's MACs, one by one.
    """

    memory: int
    area: int


@dataclass(frozen=True)
class Choice:
    """The widths that were found, for every layer that has any; the drop they cause, in points; their cost.

    ``widest`` is the cost at the widths that the search began with.
    """

    layers: Layers
    drop: float
    cost: Cost
    widest: Cost


@dataclass(frozen=True)
class Unfit:
    """No widths that were found fit and keep the drop below its limit.

    ``layers`` are those that keep it; ``needed`` is the drop, in points, of some that fit, ``inf`` where none do.
    """

    layers: Layers
    needed: float


@dataclass(frozen=True)
class Emphasis:
    """How much it counts to save memory, and area: two networks that lose as much may be short of either."""

    memory: float
    area: float


EVENLY = Emphasis(1, 1)
EMPHASES = (EVENLY, Emphasis(1, 0), Emphasis(0, 1))
"""Which are tried, in turn, where something has to fit."""


def cost(graph: FloatGraph, recipe: Recipe, layers: Layers) -> Cost:
    """What the widths ``layers`` cost, and those of ``recipe`` where there are none."""
    recipe = replace(recipe, layers={**recipe.layers, **layers})
    memory = area = 0
    for node in graph.nodes:
        if node.op.weights:
            bits = recipe.weights_of(node.name)
            memory += node.op.weights * bits
            macs = node.op.macs([graph[name].shape for name in node.inputs])
            area += macs * bits * _activation_bits(graph, recipe, node.inputs[0])
    return Cost(memory, area)


def _activation_bits(graph: FloatGraph, recipe: Recipe, name: str) -> int:
    """The width of the tensor ``name``, which may be another's codes passed on."""
    node = graph[name]
    if not node.inputs:
        assert isinstance(node.op, Input)
        return node.op.format.bits
    if node.op.keeps_format(node.clamp):
        return _activation_bits(graph, recipe, node.inputs[0])
    return recipe.activations_of(name)


def narrowing(graph: FloatGraph, recipe: Recipe, knobs: Sequence[Knob], emphasis: Emphasis = EVENLY) -> list[Layers]:
    """From the widest to the narrowest, networks each of which is the one before with one bit less in one place.

    That bit is the one that saves most, in shares of memory and of area, for the noise that it adds.
    """
    bits = _widest(knobs)
    path = [_layers(recipe, bits)]
    whole = now = cost(graph, recipe, path[0])
    while True:
        best: tuple[float, Knob, Layers, Cost] | None = None
        for knob in knobs:
            place = (knob.layer, knob.part)
            fewer = bits[place] - 1
            if fewer not in knob.noise:
                continue
            layers = _layers(recipe, bits | {place: fewer})
            less = cost(graph, recipe, layers)
            memory, area = (
                (now.memory - less.memory) / max(whole.memory, 1),
                (now.area - less.area) / max(whole.area, 1),
            )
            saved = emphasis.memory * memory + emphasis.area * area
            added = knob.noise[fewer] - knob.noise.get(fewer + 1, 0.0)
            worth = saved / max(added, 1e-12)
            if saved > 0 and (best is None or worth > best[0]):
                best = worth, knob, layers, less
        if best is None:
            return path
        _, knob, layers, now = best
        bits[knob.layer, knob.part] -= 1
        path.append(layers)


def _widest(knobs: Sequence[Knob]) -> dict[tuple[str, Part], int]:
    return {(knob.layer, knob.part): knob.widest for knob in knobs}


def _layers(recipe: Recipe, bits: Mapping[tuple[str, Part], int]) -> Layers:
    found = dict(recipe.layers)
    for (name, part), width in bits.items():
        found[name] = replace(found.get(name, Widths()), **{part: width})
    return found


def _last(
    path: Sequence[Layers], drop: Callable[[Layers], float], least: float, limit: float, progress: Progress
) -> tuple[int, float]:
    """The last of ``path`` whose drop is at most ``limit``, and its drop, by bisection; the first has ``least``."""
    steps = 1 + len(path).bit_length()
    found, lost, beyond, tried = 0, least, len(path), 1
    progress("choosing widths", tried, steps)
    while beyond - found > 1:
        middle = (found + beyond) // 2
        more = drop(path[middle])
        if more <= limit:
            found, lost = middle, more
        else:
            beyond = middle
        tried += 1
        progress("choosing widths", tried, steps)
    progress("choosing widths", steps, steps)
    return found, lost


def _fitting(path: Sequence[Layers], number: int, fits: Callable[[Layers], bool]) -> int:
    """One of ``path`` that fits: that of the ``number``, or one before it, or else the first one after it.

    Fewer bits do not always take less of everything: a memory that is small enough is made of logic. So some wider ones
    are looked at, the farther away the fewer.
    """
    back = (number - step for step in (0, *(1 << n for n in range(number.bit_length())), number))
    wider = next((n for n in back if fits(path[n])), None)
    return bisect_left(path, True, number + 1, key=fits) if wider is None else wider


def cheapest(
    graph: FloatGraph,
    recipe: Recipe,
    knobs: Sequence[Knob],
    drop: Callable[[Layers], float],
    limit: float,
    progress: Progress = silent,
    fits: Callable[[Layers], bool] = lambda layers: True,
) -> Choice | Unfit:
    """The last network of :func:`narrowing` whose ``drop``, measured, is at most ``limit``, found by bisection.

    Where that does not fit, another one that does, if its drop is small enough; failing this, the same of the networks
    that save memory, or area, alone. Raises :class:`UserError` where not even the widest one's drop is small enough.
    """
    widest = _layers(recipe, _widest(knobs))
    least = drop(widest)
    if least > limit:
        raise UserError(
            f"`max_drop={limit:g}`: already with {recipe.weight_bits}-bit weights and {recipe.activation_bits}-bit "
            f"activations the drop is {least:.2f} points; allow more of it, or raise `bits=`, or try "
            '`scheme="scale"` or `effort="best"`'
        )
    needed = inf
    for emphasis in EMPHASES:
        path = narrowing(graph, recipe, knobs, emphasis)
        number, lost = _last(path, drop, least, limit, progress)
        within = path[number]
        fitting = _fitting(path, number, fits)
        if fitting != number:
            number, lost = fitting, drop(path[fitting]) if fitting < len(path) else inf
            needed = min(needed, lost)
        if lost <= limit:
            return Choice(path[number], lost, cost(graph, recipe, path[number]), cost(graph, recipe, widest))
    return Unfit(within, needed)
