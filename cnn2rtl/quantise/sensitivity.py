"""How much noise at the outputs comes of fewer bits in one place: the measure that widths are chosen by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from cnn2rtl.graph import FloatGraph, Node, QuantGraph
from cnn2rtl.ops import ArgMax
from cnn2rtl.ops.weighted import Weighted
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import QFormat, Scheme
from cnn2rtl.quantise.calibrate import Progress, Seen, silent
from cnn2rtl.quantise.formats import choose, readers_of
from cnn2rtl.quantise.integers import ROOM, Recipe, Widths
from cnn2rtl.tensors import FloatArray
from cnn2rtl.threads import few_threads

IMAGES = 8
"""Images that the noise is measured on, at most."""

NARROWEST = 2

Part = Literal["weights", "activations"]


@dataclass(frozen=True)
class Knob:
    """One width that may be chosen: that of a layer's weights or of the activations it makes.

    ``widest`` is what it has to begin with; ``noise`` is, for every narrower width down to the narrowest that is worth
    having, the mean square that it alone adds to the network's outputs, as a share of the outputs' own.
    """

    layer: str
    part: Part
    widest: int
    noise: Mapping[int, float]


@few_threads()
def sensitivities(
    graph: FloatGraph,
    integers: QuantGraph,
    seen: Mapping[str, Seen],
    recipe: Recipe,
    images: np.ndarray,
    progress: Progress = silent,
) -> tuple[Knob, ...]:
    """Every width of the network that ``recipe`` leaves open, measured on ``images``, raw pixels (n, h, w, c).

    ``integers`` is the network as ``recipe`` quantises it. One width at a time is made narrower in the float network
    (Pandey et al., arXiv 2302.05397, section 3); noises of different places add up, as they do not know of each other.
    """
    probe = _Probe(graph, images)
    scores = graph.outputs if recipe.scores is None else recipe.scores
    places = [(node, part) for node in graph.nodes if node.inputs for part in _open(node, recipe, scores)]
    knobs = []
    for number, (node, part) in enumerate(places):
        layer = integers[node.name].layer
        assert layer is not None
        widest = recipe.weights_of(node.name) if part == "weights" else recipe.activations_of(node.name)
        noise: dict[int, float] = {}
        if part == "weights":
            narrowed = probe.weights(node, layer, recipe.scheme)
        else:
            readers = readers_of(graph, node.name)
            wish = partial(choose, [node], seen[node.name], scheme=recipe.scheme, ranges=recipe.ranges, readers=readers)
            narrowed = probe.activations(node, wish)
        for bits in range(widest - 1, NARROWEST - 1, -1):
            noise[bits] = probe.noise(node, narrowed(bits))
            if noise[bits] > 1.0:
                break  # louder than the outputs themselves: nothing narrower will do
        knobs.append(Knob(node.name, part, widest, noise))
        progress("measuring sensitivity", number + 1, len(places))
    return tuple(knobs)


def _open(node: Node, recipe: Recipe, scores: Collection[str]) -> Iterator[Part]:
    """Which widths of a layer there are to choose."""
    own = recipe.layers.get(node.name, Widths())
    if node.op.weights and own.weights is None:
        yield "weights"
    if node.name not in scores and own.activations is None and not node.op.keeps_format(node.clamp):
        yield "activations"


class _Probe:
    """The float network's tensors, and what its outputs become when one of them changes."""

    def __init__(self, graph: FloatGraph, images: np.ndarray) -> None:
        room = max(1, ROOM // (8 * sum(int(np.prod(node.shape)) for node in graph.nodes)))
        count = min(len(images), IMAGES, room)
        chosen = images[np.linspace(0, len(images) - 1, count).round().astype(int)]
        self.graph = graph
        self.exact: dict[str, FloatArray] = {}
        graph.forward(chosen, self._keep)
        # An index moves in leaps or not at all: what it is the index of tells more.
        outputs = [graph[name] for name in graph.outputs]
        self.outputs = [node.inputs[0] if isinstance(node.op, ArgMax) else node.name for node in outputs]
        self.powers = [float(np.square(self.exact[name]).mean()) or 1.0 for name in self.outputs]

    def _keep(self, node: Node, x: FloatArray) -> None:
        self.exact[node.name] = x

    def weights(self, node: Node, layer: QuantLayer, scheme: Scheme) -> Callable[[int], FloatArray]:
        """What ``node`` makes with weights of so many bits."""
        op = node.op
        assert isinstance(op, Weighted)
        inputs = [self.exact[name] for name in node.inputs]
        exact = op.forward(inputs)
        # The factors by which the weights absorb the input's scales per channel come out again.
        gain = np.atleast_1d(layer.source.coarsest / layer.source.scales)

        def narrowed(bits: int) -> FloatArray:
            narrow = op.quantise([layer.source], layer.out, node.clamp, QuantOptions(bits, scheme))
            assert narrow.weight is not None and narrow.weight_scale is not None
            scale = narrow.weight_scale.reshape(-1, *(1,) * (narrow.weight.ndim - 1))
            rounded = replace(op, weight=replace(op, weight=narrow.weight * scale).absorbing(gain))
            return node.clamp(exact + _without_mean(rounded.forward(inputs) - exact))

        return narrowed

    def activations(self, node: Node, wish: Callable[[int], QFormat]) -> Callable[[int], FloatArray]:
        """What ``node`` makes, rounded to the codes of the format that ``wish`` has for so many bits."""
        exact = self.exact[node.name]

        def narrowed(bits: int) -> FloatArray:
            q = wish(bits)
            return exact + _without_mean(q.reals(q.codes(exact)) - exact)

        return narrowed

    def noise(self, node: Node, value: FloatArray) -> float:
        """The mean square error of the outputs when ``node`` makes ``value``, as a share of their mean square; the mean
        of all of them."""
        changed = {node.name: value}
        for later in self.graph.nodes:
            if any(name in changed for name in later.inputs):
                inputs = [changed.get(name, self.exact[name]) for name in later.inputs]
                changed[later.name] = later.clamp(later.op.forward(inputs))
        noises = [
            float(np.square(changed.get(name, self.exact[name]) - self.exact[name]).mean()) / power
            for name, power in zip(self.outputs, self.powers, strict=True)
        ]
        return sum(noises) / len(noises)


def _without_mean(error: FloatArray) -> FloatArray:
    """What the bias correction leaves of an error (n, h, w, c)."""
    left: FloatArray = error - error.mean((0, 1, 2))
    return left
