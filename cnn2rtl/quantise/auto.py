"""Widths chosen by what they cost in accuracy: the cheapest that keep the drop below a limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph
from cnn2rtl.quant.qformat import PIXEL
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
        return PIXEL.bits
    if node.op.keeps_format(node.clamp):
        return _activation_bits(graph, recipe, node.inputs[0])
    return recipe.activations_of(name)


def narrowing(graph: FloatGraph, recipe: Recipe, knobs: Sequence[Knob]) -> list[Layers]:
    """From the widest to the narrowest, networks each of which is the one before with one bit less in one place.

    That bit is the one that saves most, in shares of memory and of area, for the noise that it adds.
    """
    bits: dict[tuple[str, Part], int] = {(knob.layer, knob.part): knob.widest for knob in knobs}
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
            saved = (now.memory - less.memory) / max(whole.memory, 1) + (now.area - less.area) / max(whole.area, 1)
            added = knob.noise[fewer] - knob.noise.get(fewer + 1, 0.0)
            worth = saved / max(added, 1e-12)
            if saved > 0 and (best is None or worth > best[0]):
                best = worth, knob, layers, less
        if best is None:
            return path
        _, knob, layers, now = best
        bits[knob.layer, knob.part] -= 1
        path.append(layers)


def _layers(recipe: Recipe, bits: Mapping[tuple[str, Part], int]) -> Layers:
    found = dict(recipe.layers)
    for (name, part), width in bits.items():
        found[name] = replace(found.get(name, Widths()), **{part: width})
    return found


def cheapest(
    graph: FloatGraph,
    recipe: Recipe,
    knobs: Sequence[Knob],
    drop: Callable[[Layers], float],
    limit: float,
    progress: Progress = silent,
) -> Choice:
    """The last network of :func:`narrowing` whose ``drop``, measured, is at most ``limit``, found by bisection.

    Raises :class:`UserError` where not even the widest one's is.
    """
    path = narrowing(graph, recipe, knobs)
    steps = 1 + len(path).bit_length()
    found, drops = 0, {0: drop(path[0])}
    if drops[0] > limit:
        raise UserError(
            f"`max_drop={limit:g}`: already with {recipe.weight_bits}-bit weights and {recipe.activation_bits}-bit "
            f"activations the drop is {drops[0]:.2f} points; allow more of it, or raise `bits=`, or try "
            '`scheme="scale"` or `effort="best"`'
        )
    progress("choosing widths", 1, steps)
    beyond = len(path)
    while beyond - found > 1:
        middle = (found + beyond) // 2
        drops[middle] = drop(path[middle])
        if drops[middle] <= limit:
            found = middle
        else:
            beyond = middle
        progress("choosing widths", len(drops), steps)
    progress("choosing widths", steps, steps)
    return Choice(path[found], drops[found], cost(graph, recipe, path[found]), cost(graph, recipe, path[0]))
