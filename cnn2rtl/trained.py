"""A network that has its integers already, in a file: what training leaves and ``generate`` takes as it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cnn2rtl import store
from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph, QuantGraph
from cnn2rtl.images import Pixels
from cnn2rtl.output import tidy_errors, write_file
from cnn2rtl.pipeline import Compiled, Options, border_notes, both_with_class_index, designed
from cnn2rtl.quantise.integers import Widths
from cnn2rtl.schedule import Target

SUFFIX = ".npz"

_KEPT = ("weight_bits", "activation_bits", "output_bits", "scheme", "ranges", "effort", "mean", "std")
"""Of the options, those that the integers were made with."""


@dataclass(frozen=True, eq=False)
class Trained:
    """The float network, the integers that were trained from it, and the ``options`` they were quantised with.

    ``origin`` says in words how they were made; ``frames``, raw pixels (n, h, w, c), become a design's test vectors.
    """

    float_graph: FloatGraph
    graph: QuantGraph
    options: Options
    origin: str
    frames: Pixels

    def compile(self, target: Target, class_index: bool = False) -> Compiled:
        """A design of these very integers; raises :class:`UserError` where none meets the target."""
        options = replace(self.options, target=target, class_index=class_index)
        options.check()
        float_graph, graph = self.float_graph, self.graph
        if class_index:
            float_graph, graph = both_with_class_index(float_graph, graph, options)
        return designed(float_graph, graph, options, self.frames, self.origin, border_notes(float_graph))

    def save(self, path: Path) -> None:
        """Write the file in one step, over one that may be there."""
        options: dict[str, Any] = {name: getattr(self.options, name) for name in _KEPT}
        options |= {name: tuple(map(float, options[name])) for name in ("mean", "std")}
        layers = tuple((name, own.weights, own.activations) for name, own in self.options.layers.items())
        parts = {
            "float": self.float_graph, "integer": self.graph, "layers": layers, "origin": self.origin,
            "frames": self.frames,
        }  # fmt: skip
        write_file(path, store.dump({**parts, **options}), force=True)


def load(path: Path) -> Trained:
    """What :meth:`Trained.save` wrote; raises :class:`UserError` for anything else, also where it does not run."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with tidy_errors(path):
        data = path.read_bytes()
    try:
        parts = store.load(data)
        layers = {name: Widths(weights, activations) for name, weights, activations in parts["layers"]}
        options = Options(layers=layers, **{name: parts[name] for name in _KEPT})
        trained = Trained(parts["float"], parts["integer"], options, str(parts["origin"]), parts["frames"])
        options.check()
        _try(trained)
    except UserError as error:
        raise UserError([f"{path}: {problem}" for problem in error.problems]) from None
    except Exception as error:
        # There is no end to what somebody may have made of the file.
        raise UserError(
            f"{path}: is no network that cnn2rtl has trained, or a damaged one ({type(error).__name__}: {error}); "
            "`cnn2rtl compress qat` writes one"
        ) from None
    return trained


def _try(trained: Trained) -> None:
    """Run both networks on a black frame; every layer must make a map of the shape it says."""
    found: dict[str, tuple[int, ...]] = {}
    graph = trained.graph
    ((c, h, w),) = graph.inputs.values()
    frames = np.zeros((1, h, w, c), np.uint8)
    if trained.frames.shape[1:] != frames.shape[1:] or trained.frames.dtype != np.uint8:
        raise ValueError("the frames do not fit the input")
    graph.run(frames.astype(np.int32), lambda node, codes: found.update({node.name: codes.shape}))
    exact = trained.float_graph.forward(frames.astype(np.float64))
    shapes = {node.name: (1, *node.shape[1:], node.shape[0]) for node in graph.nodes}
    if found != shapes or exact.shape != found[graph.output]:
        raise ValueError("the layers do not fit each other")
