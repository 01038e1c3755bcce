"""The float graph: what a front end delivers and the passes rewrite.

Feature maps are ``(channels, height, width)`` per image; batches are NHWC arrays ``(n, h, w, c)``,
the order in which the hardware streams them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from cnn2rtl.errors import UserError
from cnn2rtl.finite import REMEDY, not_finite

if TYPE_CHECKING:
    from cnn2rtl.ops.base import Op

INPUT = "input"
"""What the network's input is called; several have the names of the model's own."""

Shape = tuple[int, int, int]
FloatArray = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
"""A batch for several inputs is a structured array (n,), with a field (h, w, c) for each, by its name."""


def part(batch: np.ndarray, name: str) -> np.ndarray:
    """What the input ``name`` takes of ``batch``, (n, h, w, c)."""
    return batch if batch.dtype.names is None else batch[name]


def batch_of(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Raw pixels (n, h, w, c) for each input, as many for all, as one batch."""
    if len(arrays) == 1:
        (pixels,) = arrays.values()
        return pixels.astype(np.uint8, copy=False)
    count = len(next(iter(arrays.values())))
    batch = np.empty(count, [(name, np.uint8, pixels.shape[1:]) for name, pixels in arrays.items()])
    for name, pixels in arrays.items():
        batch[name] = pixels
    return batch


def noise(shapes: Mapping[str, Shape], count: int, seed: int = 0) -> np.ndarray:
    """So many images, of random raw pixels, for a network with inputs of these ``shapes``, by their names."""
    rng = np.random.default_rng(seed)
    return batch_of({name: rng.integers(0, 256, (count, h, w, c), np.uint8) for name, (c, h, w) in shapes.items()})


def times(shape: Iterable[int]) -> str:
    """A shape as people write it: ``3x128x128``."""
    return "x".join(map(str, shape))


@dataclass(frozen=True)
class Clamp:
    """An activation that only limits: ReLU is ``Clamp(0, inf)``, ReLU6 ``Clamp(0, 6)``."""

    lo: float = -inf
    hi: float = inf

    def __call__(self, x: FloatArray) -> FloatArray:
        return np.clip(x, self.lo, self.hi)

    @property
    def flaw(self) -> str:
        """What no activation could be limited to; empty where one can. Either end may be open."""
        return "" if self.lo < inf and self.hi > -inf else f"limits its values to {self.lo:g} and {self.hi:g}"

    def then(self, other: Clamp) -> Clamp:
        """The clamp equal to applying this one first and ``other`` after it."""
        return Clamp(float(np.clip(self.lo, other.lo, other.hi)), float(np.clip(self.hi, other.lo, other.hi)))


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
    clamp: Clamp = Clamp()
    stats: tuple[FloatArray, FloatArray] | None = None

    @property
    def flaws(self) -> tuple[str, ...]:
        """Which of its numbers are NaN or infinite, in words; empty if none."""
        stats = "" if self.stats is None else not_finite(np.array(self.stats))
        return (*self.op.flaws, *(flaw for flaw in (self.clamp.flaw, stats and f"statistics: {stats}") if flaw))


@dataclass(frozen=True, eq=False)
class FloatGraph:
    """A DAG in topological order. Nodes that take nothing are the inputs; ``outputs`` name the results.

    ``notes`` tell the user what is not exactly as the model says. Every graph, whoever makes it, holds finite numbers:
    else it raises one :class:`UserError` for all that are not.
    """

    name: str
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = [f"`{node.name}`: {flaw}; {REMEDY}" for node in self.nodes for flaw in node.flaws]
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

    def forward(self, images: np.ndarray, on_tensor: Callable[[Node, FloatArray], None] | None = None) -> FloatArray:
        """The (first) output, in float64, for ``images`` (n, h, w, c); every tensor is shown to ``on_tensor``.

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
