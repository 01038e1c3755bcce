"""Rewrites of the float graph, from the model's own layers to those that hardware has.

Each pass is one file with one function, and keeps what the graph computes.
"""

from __future__ import annotations

import numpy as np

from cnn2rtl.graph import FloatGraph
from cnn2rtl.passes.absorb_input import absorb_input, check_normalisation, normalisation
from cnn2rtl.passes.class_index import scores_of, with_class_index
from cnn2rtl.passes.drop_identities import drop_identities
from cnn2rtl.passes.fold_batchnorm import fold_batchnorm
from cnn2rtl.passes.input_formats import check_inputs, formats_of, with_inputs
from cnn2rtl.passes.lone_batchnorm import lone_batchnorm
from cnn2rtl.passes.merge_activations import merge_activations
from cnn2rtl.passes.own_scaling import pixels_as_they_are, scaled_twice
from cnn2rtl.passes.to_depthwise import to_depthwise

__all__ = [
    "absorb_input", "as_trained", "check_inputs", "check_normalisation", "formats_of", "normalisation",
    "pixels_as_they_are", "scaled_twice", "scores_of", "simplify", "with_class_index", "with_inputs",
]  # fmt: skip

PASSES = (drop_identities, merge_activations, fold_batchnorm, to_depthwise, lone_batchnorm)


def simplify(graph: FloatGraph) -> FloatGraph:
    """The same network in layers that hardware has."""
    with np.errstate(all="ignore"):  # what overflows is refused by the graph
        for rewrite in PASSES:
            graph = rewrite(graph)
    return graph


def as_trained(graph: FloatGraph) -> FloatGraph:
    """The same network in the layers that were trained, BatchNorms among them; activations are part of a layer."""
    for rewrite in (drop_identities, merge_activations, to_depthwise):
        graph = rewrite(graph)
    return graph
