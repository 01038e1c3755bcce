"""A network that has its integers already, in a file: what training leaves and ``generate`` takes as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cnn2rtl import store
from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph, QuantGraph
from cnn2rtl.options import Options
from cnn2rtl.output import tidy_errors, write_file
from cnn2rtl.passes import formats_of
from cnn2rtl.quantise.integers import Widths
from cnn2rtl.quantised import Quantised, notes_of
from cnn2rtl.tensors import Codes, code_type

SUFFIX = ".npz"

_KEPT = (
    "weight_bits", "activation_bits", "output_bits", "scheme", "ranges", "effort", "mean", "std", "fit", "channels",
)  # fmt: skip
"""Of the options, those that the integers were made with; earlier files lack the last ones."""


def save(network: Quantised, path: Path) -> None:
    """Write the file in one step, over one that may be there."""
    options: dict[str, Any] = {name: getattr(network.options, name) for name in _KEPT}
    options |= {name: tuple(map(float, options[name])) for name in ("mean", "std")}
    layers = tuple((name, own.weights, own.activations) for name, own in network.options.layers.items())
    parts = {
        "float": network.graph, "integer": network.integers, "layers": layers, "origin": network.origin,
        "frames": network.vector_images,
    }  # fmt: skip
    write_file(path, store.dump({**parts, **options}), force=True)


def load(path: Path) -> Quantised:
    """What :func:`save` wrote; raises :class:`UserError` for anything else, also where it does not run."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with tidy_errors(path):
        data = path.read_bytes()
    try:
        parts = store.load(data)
        layers = {name: Widths(weights, activations) for name, weights, activations in parts["layers"]}
        graph, integers, frames = parts["float"], parts["integer"], parts["frames"]
        options = Options(
            layers=layers, inputs=formats_of(graph), **{name: parts[name] for name in _KEPT if name in parts}
        )
        trained = Quantised(graph, integers, options, str(parts["origin"]), notes_of(graph, integers), frames)
        options.check()
        _try(graph, integers, frames)
    except UserError as error:
        raise UserError([f"{path}: {problem}" for problem in error.problems]) from None
    except Exception as error:
        # There is no end to what somebody may have made of the file.
        raise UserError(
            f"{path}: is no network that cnn2rtl has trained, or a damaged one ({type(error).__name__}: {error}); "
            "`cnn2rtl compress qat` writes one"
        ) from None
    return trained


def _try(exact: FloatGraph, graph: QuantGraph, given: Codes) -> None:
    """Run both networks on a frame of zeros; every layer must make a map of the shape it says."""
    found: dict[str, tuple[int, ...]] = {}
    ((name, (c, h, w)),) = graph.inputs.items()
    if exact.numbers != graph.numbers:
        raise ValueError("the inputs do not fit each other")
    frames = np.zeros((1, h, w, c), code_type(graph[name].out.lo, graph[name].out.hi))
    if given.shape[1:] != frames.shape[1:] or given.dtype != frames.dtype:
        raise ValueError("the frames do not fit the input")
    graph.run(frames.astype(np.int32), lambda node, codes: found.update({node.name: codes.shape}))
    reals = exact.forward(frames.astype(np.float64))
    shapes = {node.name: (1, *node.shape[1:], node.shape[0]) for node in graph.nodes}
    if found != shapes or reals.shape != found[graph.output]:
        raise ValueError("the layers do not fit each other")
