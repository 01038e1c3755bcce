"""The float graph and what its tensors were seen to take made into the integer graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph, Node, QuantGraph, QuantNode
from cnn2rtl.ops import Input
from cnn2rtl.ops.weighted import Weighted
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat, Scheme
from cnn2rtl.quantise.calibrate import Progress, Seen, silent
from cnn2rtl.quantise.formats import Ranges, channels_stay, choose, readers_of, tied
from cnn2rtl.quantise.reconstruct import adapted, corrected
from cnn2rtl.tensors import Clamp, FloatArray, part
from cnn2rtl.threads import few_threads

Effort = Literal["fast", "best"]

ROOM = 1 << 29
"""Bytes for the largest tensor of all images that weights and biases are fitted to."""


@dataclass(frozen=True)
class Widths:
    """Bits of a layer's weights and of the activations it makes, 2 to 16; ``None``: as in all other layers."""

    weights: int | None = None
    activations: int | None = None

    def __str__(self) -> str:
        """As the command line takes it: ``w8a12``."""
        parts = (("w", self.weights), ("a", self.activations))
        return "".join(f"{letter}{bits}" for letter, bits in parts if bits is not None)


@dataclass(frozen=True)
class Recipe:
    """How to quantise. ``layers`` holds widths of their own, by the layer's name.

    The tensors ``scores``, by default the outputs, have ``output_bits``.
    """

    weight_bits: int
    activation_bits: int
    output_bits: int
    scheme: Scheme
    layers: Mapping[str, Widths] = field(default_factory=dict)
    ranges: Ranges = "minmax"
    effort: Effort = "fast"
    scores: Collection[str] | None = None

    def weights_of(self, name: str) -> int:
        """Bits of the weights of layer ``name``."""
        return self.layers.get(name, Widths()).weights or self.weight_bits

    def activations_of(self, name: str) -> int:
        """Bits of what layer ``name`` makes, unless those are scores."""
        return self.layers.get(name, Widths()).activations or self.activation_bits


@few_threads()
def quantise(
    graph: FloatGraph,
    seen: Mapping[str, Seen],
    recipe: Recipe,
    images: np.ndarray | None = None,
    progress: Progress = silent,
) -> QuantGraph:
    """Integers for every layer.

    With ``images``, codes (n, h, w, c) as they come, each layer's bias is then corrected on what the integer network
    before it makes of them, and with ``best`` effort its rounding adapted, layer by layer. Raises :class:`UserError`
    for a layer that cannot be had in integers.
    """
    fitting = None if images is None else _Fitting(graph, images)
    nodes: list[QuantNode] = []
    formats: dict[str, QFormat] = {}
    groups = tied(graph)
    for number, node in enumerate(graph.nodes):
        if not node.inputs:
            assert isinstance(node.op, Input)
            quantised = QuantNode(node.name, node.op, (), node.shape, node.op.format)
        else:
            together = groups.get(node.name, (node,))
            sources = [formats[name] for name in node.inputs]
            wish = _wish(graph, node, together, sources, seen, recipe)
            options = QuantOptions(recipe.weights_of(node.name), recipe.scheme)
            try:
                layer = node.op.quantise(sources, wish, node.clamp, options)
            except ValueError as error:
                raise UserError(f"`{node.name}` ({node.op.kind}): {error}") from None
            if fitting is not None:
                layer = fitting.fitted(node, layer, recipe.effort)
            quantised = QuantNode(node.name, node.op, node.inputs, node.shape, layer.out, layer)
        if fitting is not None:
            fitting.run(node, quantised)
            progress("fitting", number + 1, len(graph.nodes))
        nodes.append(quantised)
        formats[node.name] = quantised.out
    return QuantGraph(graph.name, tuple(nodes), graph.outputs)


def sketch(graph: FloatGraph, recipe: Recipe) -> QuantGraph:
    """Integers of the right shapes and widths, before anyone knows what values tensors take.

    For what depends on shapes and widths alone: the numbers mean nothing.
    """
    return quantise(graph, {node.name: Seen.between(-1.0, 1.0) for node in graph.nodes}, recipe)


def _wish(
    graph: FloatGraph,
    node: Node,
    together: Sequence[Node],
    sources: Sequence[QFormat],
    seen: Mapping[str, Seen],
    recipe: Recipe,
) -> QFormat:
    """The format for what ``node`` makes of ``sources``, the same for all nodes ``together`` with it."""
    scores = graph.outputs if recipe.scores is None else recipe.scores
    names = [node.name, *(other.name for other in together if other is not node)]
    bits = max(recipe.output_bits if name in scores else recipe.activations_of(name) for name in names)
    readers = {name: () if name in scores else readers_of(graph, name) for name in names}
    every = tuple(reader for found in readers.values() for reader in found) if all(readers.values()) else ()
    whole = seen[node.name] if len(names) == 1 else Seen.together([seen[name] for name in sorted(names)])
    in_place = channels_stay(graph, node.name)
    nodes = [graph[name] for name in names]
    # Of several, only the clamps are known to all.
    limits = [node.op.limits(sources).then(node.clamp)] if len(nodes) == 1 else [each.clamp for each in nodes]
    reach = Clamp(min(each.lo for each in limits), max(each.hi for each in limits))
    return choose(nodes, whole, bits, recipe.scheme, recipe.ranges, every, in_place, reach)


class _Fitting:
    """Both networks side by side, as far as they are quantised, on as many images as there is room for."""

    def __init__(self, graph: FloatGraph, images: np.ndarray) -> None:
        largest = max(int(np.prod(node.shape)) for node in graph.nodes) * (4 + 4)
        count = min(len(images), max(1, ROOM // largest))
        self.images = images[np.linspace(0, len(images) - 1, count).round().astype(int)]
        self.last_use = {name: node.name for node in graph.nodes for name in node.inputs}
        self.exact: dict[str, FloatArray] = {}
        self.codes: dict[str, IntArray] = {}

    def fitted(self, node: Node, layer: QuantLayer, effort: Effort) -> QuantLayer:
        if not isinstance(node.op, Weighted):
            return layer
        (source,) = node.inputs
        if effort == "best":
            layer = adapted(node.op, layer, self.codes[source])
        return corrected(node.op, layer, self.exact[source], self.codes[source])

    def run(self, node: Node, quantised: QuantNode) -> None:
        """Compute the node's tensors, and drop those that no later node needs."""
        if quantised.layer is None:
            given = part(self.images, node.name)
            self.exact[node.name] = node.op.forward([given.astype(np.float64)]).astype(np.float32)
            self.codes[node.name] = given.astype(np.int32)
            return
        exact, codes = [], []
        for i in range(len(self.images)):
            exact.append(node.clamp(node.op.forward([self.exact[name][i : i + 1] for name in node.inputs])))
            inputs = [self.codes[name][i : i + 1] for name in node.inputs]
            codes.append(node.op.integer(inputs, quantised.layer))
        self.exact[node.name] = np.concatenate(exact).astype(np.float32)
        self.codes[node.name] = np.concatenate(codes)
        for name in node.inputs:
            if self.last_use[name] == node.name:
                self.exact.pop(name, None)
                self.codes.pop(name, None)
