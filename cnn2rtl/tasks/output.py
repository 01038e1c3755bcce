"""An output of a network, as far as it shows what is to be judged: its shape, and what it ends with."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from cnn2rtl.graph import FloatGraph
from cnn2rtl.ops import ArgMax, Table
from cnn2rtl.tensors import Shape, times

PROBABILITY = ("sigmoid", "hardsigmoid")
"""Functions whose values, 0 to 1, say how sure a yes is."""


@dataclass(frozen=True)
class Output:
    """``shape`` is (c, h, w). ``ending`` is the function of one value that it ends with: one of
    :data:`~cnn2rtl.ops.functions.FUNCTIONS`, ``argmax``, ``clamp`` where both ends are bounded, or none.

    ``classes`` is how many its channels, or what it is the index of, tell apart. ``image`` is the (h, w) of the largest
    input.
    """

    name: str
    shape: Shape
    ending: str = ""
    classes: int = 1
    image: tuple[int, int] = (1, 1)

    @property
    def is_map(self) -> bool:
        return self.shape[1:] != (1, 1)

    @property
    def is_index(self) -> bool:
        """Whether its values are numbers of classes."""
        return self.ending == "argmax"

    @property
    def is_probability(self) -> bool:
        return self.ending in PROBABILITY

    @property
    def threshold(self) -> float:
        """From where on a value is a yes."""
        return 0.5 if self.is_probability else 0.0

    @property
    def like_the_image(self) -> bool:
        """Whether it is a map about as fine as the image: no larger than it, and no less than a quarter as high."""
        return self.is_map and all(
            4 * of >= image and of <= image for of, image in zip(self.shape[1:], self.image, strict=True)
        )

    @property
    def what(self) -> str:
        """In words, as the reason for a choice."""
        c, h, w = self.shape
        channels = "one channel" if c == 1 else f"{c} channels"
        where = f"a map of {times((h, w))} with {channels}" if self.is_map else f"{channels} without a map"
        if self.is_index:
            return f"{where}, the index of the largest of {self.classes}"
        return (
            f"{where}, ending in {'a' if self.ending[:1] not in 'aeiou' else 'an'} {self.ending}"
            if self.ending
            else where
        )


def outputs_of(graph: FloatGraph) -> tuple[Output, ...]:
    """Every output of the network, in its order."""
    heights, widths = zip(*((h, w) for _, h, w in graph.inputs.values()), strict=True)
    image = max(heights), max(widths)
    return tuple(
        Output(name, graph[name].shape, _ending(graph, name), _classes(graph, name), image) for name in graph.outputs
    )


def _classes(graph: FloatGraph, name: str) -> int:
    node = graph[name]
    return node.op.class_count([graph[source].shape for source in node.inputs])


def _ending(graph: FloatGraph, name: str) -> str:
    """What the values of the tensor ``name`` come out of, past layers that only move them."""
    node = graph[name]
    if isinstance(node.op, ArgMax):
        return "argmax"
    if isinstance(node.op, Table):
        return node.op.function
    if node.clamp.lo > -inf and node.clamp.hi < inf:
        return "clamp"
    if not node.inputs or not node.op.keeps_format(node.clamp):
        return ""
    found = {_ending(graph, source) for source in node.inputs}
    return found.pop() if len(found) == 1 else ""
