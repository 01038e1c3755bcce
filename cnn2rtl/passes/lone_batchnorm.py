"""Make a BatchNorm that no layer could absorb a layer of its own: a depthwise convolution with 1x1 kernels."""

from __future__ import annotations

from dataclasses import replace

from cnn2rtl.graph import FloatGraph
from cnn2rtl.ops import Affine, DepthwiseConv2d, Window
from cnn2rtl.passes.fold_batchnorm import statistics


def lone_batchnorm(graph: FloatGraph) -> FloatGraph:
    """Rewrite every :class:`Affine` that is left."""
    return graph.replacing(
        replace(
            node,
            op=DepthwiseConv2d(node.op.scale.reshape(-1, 1, 1), node.op.shift, Window((1, 1))),
            stats=statistics(node.op),
        )
        for node in graph.nodes
        if isinstance(node.op, Affine)
    )
