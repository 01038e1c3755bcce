"""The network as a graph: in floats, as a front end delivers it and the passes rewrite it, and in integers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

import numpy as np

from cnn2rtl.errors import UserError
from cnn2rtl.finite import REMEDY, not_finite
from cnn2rtl.limits import too_large, too_long
from cnn2rtl.ops.base import Op
from cnn2rtl.ops.graph_only import NumberInput
from cnn2rtl.quant.layers import QuantLayer
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.restoring import ModelOutput, notes, restored
from cnn2rtl.tensors import Clamp, FloatArray, Shape, noise, part
from cnn2rtl.threads import few_threads


@dataclass(frozen=True, eq=False)
class Node:
    """One layer: ``clamp(op(inputs))``. ``name`` is the model's own module path (``cnn.1.0``).

    ``stats`` are mean and standard deviation of the op's output before the clamp, each (c,), over the
    training data, where a BatchNorm recorded them.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: Shape
    clamp: Clamp = field(default_factory=Clamp)
    stats: tuple[FloatArray, FloatArray] | None = None

    @property
    def flaws(self) -> tuple[str, ...]:
        """Which of its numbers are NaN or infinite, in words; empty if none."""
        stats = "" if self.stats is None else not_finite(np.array(self.stats))
        return (*self.op.flaws, *(flaw for flaw in (self.clamp.flaw, stats and f"statistics: {stats}") if flaw))

    def excess(self, shapes: Sequence[Shape]) -> str:
        """What of it is larger than anything may be, in words; empty if nothing. Its inputs are of ``shapes``."""
        window = getattr(self.op, "window", None)
        padded, steps = self.shape, self.op.macs(shapes) if shapes else 0
        if window is not None:
            padded, steps = window.padded_shape(shapes[0]), max(steps, prod(self.shape) * window.taps)
        return too_large(self.shape) or too_large(padded) or too_long(steps)


@dataclass(frozen=True, eq=False)
class FloatGraph:
    """A DAG in topological order. Nodes that take nothing are the inputs; ``outputs`` name the results.

    ``notes`` tell the user what is not exactly as the model says. ``restored`` are the model's own outputs, where these
    are not simply the results. Every graph, whoever makes it, holds finite numbers:
    else it raises one :class:`UserError` for all that are not.
    """

    name: str
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...] = ()
    restored: tuple[ModelOutput, ...] = ()

    def __repr__(self) -> str:
        return f"<FloatGraph {self.name!r}: {len(self.nodes)} nodes>"

    def __post_init__(self) -> None:
        problems = [f"`{node.name}`: {flaw}; {REMEDY}" for node in self.nodes for flaw in node.flaws]
        shapes = {node.name: node.shape for node in self.nodes}
        sizes = {node.name: node.excess([shapes[name] for name in node.inputs]) for node in self.nodes}
        problems += [f"`{name}`: {excess}" for name, excess in sizes.items() if excess]
        if problems:
            raise UserError(problems)

    def __getitem__(self, name: str) -> Node:
        return self.by_name[name]

    @property
    def by_name(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """The shape of each input, in the model's order."""
        return {node.name: node.shape for node in self.nodes if not node.inputs}

    @property
    def numbers(self) -> Mapping[str, QFormat]:
        """The format of each input whose codes are no pixels."""
        return numbers_of(self.nodes)

    @property
    def restoring(self) -> tuple[str, ...]:
        """How the model's own outputs come of these, a line for each that takes more than reading it."""
        return notes(self.restored, self.outputs, [self[name].shape for name in self.outputs])

    @property
    def channels(self) -> int:
        """Of all inputs together."""
        return sum(c for c, _, _ in self.inputs.values())

    @property
    def output(self) -> str:
        """The first one: that which tells classes apart."""
        return self.outputs[0]

    @property
    def classes(self) -> int:
        """How many classes the (first) output tells apart."""
        node = self[self.output]
        return node.op.class_count([self[name].shape for name in node.inputs])

    def consumers(self, name: str) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if name in node.inputs)

    @few_threads()
    def forward(self, images: np.ndarray, on_tensor: Callable[[Node, FloatArray], None] | None = None) -> FloatArray:
        """The (first) output, in float64, for ``images`` (n, h, w, c), codes; every tensor is shown to ``on_tensor``.

        A tensor is dropped after its last use, so memory stays at the width of the graph.
        """
        last_use = {name: node.name for node in self.nodes for name in node.inputs}
        values: dict[str, FloatArray] = {}
        result = images
        for node in self.nodes:
            inputs = [values[name] for name in node.inputs] or [part(images, node.name).astype(np.float64)]
            values[node.name] = node.clamp(node.op.forward(inputs))
            if on_tensor is not None:
                on_tensor(node, values[node.name])
            if node.name == self.output:
                result = values[node.name]
            for name in node.inputs:
                if last_use[name] == node.name:
                    values.pop(name, None)
        return result

    def without(self, name: str) -> FloatGraph:
        """The graph with single-input node ``name`` bypassed."""
        (source,) = self[name].inputs
        rewired = (
            replace(node, inputs=tuple(source if i == name else i for i in node.inputs))
            for node in self.nodes
            if node.name != name
        )
        return replace(self, nodes=tuple(rewired), outputs=tuple(source if o == name else o for o in self.outputs))

    def replacing(self, nodes: Iterable[Node]) -> FloatGraph:
        """The graph with the nodes of the same names replaced by ``nodes``."""
        new = {node.name: node for node in nodes}
        return replace(self, nodes=tuple(new.get(node.name, node) for node in self.nodes))


@dataclass(frozen=True, eq=False)
class QuantNode:
    """One layer of the integer graph; ``layer`` is ``None`` for inputs alone."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: Shape
    out: QFormat
    layer: QuantLayer | None = None

    @property
    def flaw(self) -> str:
        """Which of its scales is none, in words; empty if all are."""
        scales = {"output": self.out.scales}
        if self.layer is not None and self.layer.weight_scale is not None:
            scales["weights"] = np.asarray(self.layer.weight_scale)
        wrong = [name for name, each in scales.items() if not np.all((each > 0) & np.isfinite(each))]
        return f"the scale of its {' and of its '.join(wrong)} is NaN, infinite, or not above 0" if wrong else ""


@dataclass(frozen=True, eq=False)
class QuantGraph:
    """The integer network, in topological order; nodes that are no layers are inputs (raw pixels, or numbers).

    Every scale in it is a finite number above 0: else it raises one :class:`UserError` for all that are not.
    """

    name: str
    nodes: tuple[QuantNode, ...]
    outputs: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<QuantGraph {self.name!r}: {len(self.nodes)} nodes>"

    def __post_init__(self) -> None:
        problems = [f"`{node.name}`: {node.flaw}; {REMEDY}" for node in self.nodes if node.flaw]
        if problems:
            raise UserError(problems)

    @cached_property
    def by_name(self) -> Mapping[str, QuantNode]:
        return {node.name: node for node in self.nodes}

    def __getitem__(self, name: str) -> QuantNode:
        return self.by_name[name]

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """The shape of each input, in the model's order."""
        return {node.name: node.shape for node in self.nodes if node.layer is None}

    @property
    def numbers(self) -> Mapping[str, QFormat]:
        """The format of each input whose codes are no pixels."""
        return numbers_of(self.nodes)

    def noise(self, count: int, seed: int = 0) -> np.ndarray:
        """So many frames of random codes, of all that the inputs may have."""
        ends = {name: (self[name].out.lo, self[name].out.hi) for name in self.inputs}
        return noise(self.inputs, count, seed, ends)

    @property
    def output(self) -> str:
        """The first one: that which tells classes apart."""
        return self.outputs[0]

    @property
    def classes(self) -> int:
        """How many classes the (first) output tells apart."""
        node = self[self.output]
        return node.op.class_count(self.shapes(node))

    @property
    def layers(self) -> tuple[QuantNode, ...]:
        """Every node that computes."""
        return tuple(node for node in self.nodes if node.layer is not None)

    @few_threads()
    def run(self, images: np.ndarray, on_tensor: Callable[[QuantNode, IntArray], None] | None = None) -> IntArray:
        """Codes of the (first) output for ``images`` (n, h, w, c), codes; every tensor is shown on request."""
        last_use = {name: node.name for node in self.nodes for name in node.inputs}
        values: dict[str, IntArray] = {}
        result = images
        for node in self.nodes:
            if node.layer is None:
                value = part(images, node.name).astype(np.int32)
            else:
                value = node.op.integer([values[name] for name in node.inputs], node.layer)
            values[node.name] = value
            if on_tensor is not None:
                on_tensor(node, value)
            if node.name == self.output:
                result = value
            for name in node.inputs:
                if last_use[name] == node.name:
                    values.pop(name, None)
        return result

    def uses(self, name: str) -> int:
        """How many inputs of layers, and outputs of the network, are the tensor ``name``."""
        return sum(node.inputs.count(name) for node in self.nodes) + self.outputs.count(name)

    def shapes(self, node: QuantNode) -> tuple[Shape, ...]:
        """The shapes of a node's inputs."""
        return tuple(self[name].shape for name in node.inputs)


def numbers_of(nodes: Iterable[Node | QuantNode]) -> Mapping[str, QFormat]:
    """The format of each input among ``nodes`` whose codes are no pixels."""
    return {node.name: node.op.numbers for node in nodes if isinstance(node.op, NumberInput)}


def restore(exact: FloatGraph, graph: QuantGraph, outputs: np.ndarray | Sequence[np.ndarray]) -> tuple[FloatArray, ...]:
    """The model's own outputs, (n, ...), from those of ``graph``, (n, h, w, c) each, in integers or reals."""
    found = [outputs] if isinstance(outputs, np.ndarray) else [np.asarray(array) for array in outputs]
    nodes = [graph[name] for name in graph.outputs]
    return restored(exact.restored, found, [node.out for node in nodes], [node.shape for node in nodes])
