"""A network in integers, however it came by them: calibrated, trained, or given in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cnn2rtl.graph import FloatGraph, QuantGraph, QuantNode
from cnn2rtl.images import Channels, Fit
from cnn2rtl.ops import ArgMax
from cnn2rtl.options import Options
from cnn2rtl.passes import with_class_index
from cnn2rtl.quant.layers import QuantOptions
from cnn2rtl.quant.qformat import PIXEL
from cnn2rtl.quantise.given import GivenNetwork
from cnn2rtl.tensors import Clamp, Codes

VECTOR_FRAMES = 2
"""Frames of test vectors that are emitted with a design."""


@dataclass(frozen=True, eq=False)
class Quantised:
    """``integers``, and the float network on what comes that they stand for, ``graph``, layer by layer.

    ``options`` are those that they were made with; ``origin`` says in words what they were fitted to, ``notes``
    whatever else should be known. ``frames``, codes (n, h, w, c), become test vectors; without, noise does.
    """

    graph: FloatGraph
    integers: QuantGraph
    options: Options
    origin: str
    notes: tuple[str, ...] = ()
    frames: Codes | None = None

    def with_class_index(self) -> Quantised:
        """The same with one more layer, the index of the largest output, unless it has one."""
        graph, scores = with_class_index(self.graph), self.integers[self.integers.output].out
        options = replace(self.options, class_index=True)
        if graph is self.graph:
            return replace(self, options=options)
        last = graph[graph.output]
        assert isinstance(last.op, ArgMax)
        layer = last.op.quantise([scores], scores, Clamp(), QuantOptions(options.weight_bits, options.scheme))
        node = QuantNode(last.name, last.op, last.inputs, last.shape, layer.out, layer)
        integers = QuantGraph(self.integers.name, (*self.integers.nodes, node), (last.name,))
        return replace(self, graph=graph, integers=integers, options=options)

    def on_pictures(self, fit: Fit, channels: Channels) -> Quantised:
        """The same, where its file does not tell how pictures become what it takes."""
        return replace(self, options=replace(self.options, fit=fit, channels=channels))

    @property
    def vector_images(self) -> Codes:
        """The frames of the emitted test vectors: the first that came with it, else noise of a fixed seed."""
        given = self.frames
        if given is not None and len(given) >= VECTOR_FRAMES:
            return given[:VECTOR_FRAMES]
        more = self.integers.noise(VECTOR_FRAMES)
        return more if given is None else np.concatenate([given, more])[:VECTOR_FRAMES]


def from_given(given: GivenNetwork, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)) -> Quantised:
    """A network that came with its integers, for an input ``(pixel / 255 - mean) / std``.

    Its options are the widths that the integers have.
    """
    layers = given.layers.values()
    options = Options(
        weight_bits=max((layer.weight_bits for layer in layers), default=Options.weight_bits),
        activation_bits=max(layer.out.bits for layer in layers),
        output_bits=max(given.layers[name].out.bits for name in given.graph.outputs),
        scheme="scale",
        mean=mean,
        std=std,
    )
    integers = given.integers()
    notes = (*given.notes, *_cautions(integers))
    return Quantised(given.graph, integers, options, "images of whoever quantised it", notes)


def notes_of(graph: FloatGraph, integers: QuantGraph) -> tuple[str, ...]:
    """What should be known of a network and its integers, one line each."""
    return (*_border_notes(graph), *_cautions(integers))


def _cautions(integers: QuantGraph) -> tuple[str, ...]:
    found = {node.name: node.op.caution(node.layer) for node in integers.layers if node.layer is not None}
    return tuple(f"{name}: {text}" for name, text in found.items() if text)


def _border_notes(graph: FloatGraph) -> tuple[str, ...]:
    """What it costs that what surrounds the input must be codes, one line per layer that sees it."""
    notes, numbers = [], graph.numbers
    for name, node in ((source, node) for source in graph.inputs for node in graph.consumers(source)):
        value = getattr(node.op, "pad_value", None)
        window = getattr(node.op, "window", None)
        if value is None or window is None or not window.padded or not np.any(value):
            continue
        codes = numbers.get(name, PIXEL)
        error = float(np.abs(codes.reals(codes.codes(value)) - value).max())
        exact = ", ".join(f"{v:.6g}" for v in np.unique(value))
        what, rounded = ("mean pixel", "whole pixels") if name not in numbers else ("mean", f"codes of {codes}")
        of = " of 255" if name not in numbers else ""
        notes.append(
            f"{node.name}: the border stands for the {what} ({exact}); "
            + (
                "it is exact."
                if error < 1e-9 * codes.coarsest
                else f"rounded to {rounded} it is off by up to {error:.3g}{of}."
            )
        )
    return tuple(notes)
