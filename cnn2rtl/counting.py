"""What a network costs, in numbers that cannot be taken for one another: parameters, MACs, FLOPs, weight memory.

One MAC is a multiplication and an addition, 2 FLOPs; only layers with weights have any. Beside these stands the count
of a study whose figures the reference networks are known by. Its operator counter added up what the others leave out:
multiply-accumulates of convolutions and of linear layers, a bias addition per output of a convolution, 2 operations
per element of a BatchNorm, and k*k + 1 per output of an average over k x k pixels.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

from cnn2rtl.graph import FloatGraph
from cnn2rtl.passes import as_trained


@dataclass(frozen=True)
class Count:
    """What a layer or a network costs for one frame. ``weights`` are the parameters that multiply activations."""

    parameters: int = 0
    weights: int = 0
    macs: int = 0
    like_study: int = 0

    @property
    def flops(self) -> int:
        """Floating-point operations, two per MAC."""
        return 2 * self.macs

    def weight_bits(self, bits: int) -> int:
        """Memory for the weights, at ``bits`` each."""
        return bits * self.weights

    def __add__(self, other: Count) -> Count:
        return Count(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def per_layer(graph: FloatGraph) -> dict[str, Count]:
    """The counts of each layer, by its name. Those as trained come from :func:`as_trained`, before any folding."""
    counts = {}
    for node in graph.nodes:
        shapes = [graph[name].shape for name in node.inputs]
        counts[node.name] = Count(node.op.parameters, node.op.weights, node.op.macs(shapes), node.op.like_study(shapes))
    return counts


def total(graph: FloatGraph) -> Count:
    """The counts of the whole network as trained, from its graph as it was captured."""
    return sum(per_layer(as_trained(graph)).values(), Count())
