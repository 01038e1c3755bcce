"""A network in hardware: its integers, its design, its files."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from cnn2rtl import store
from cnn2rtl.design import Design
from cnn2rtl.export import to_onnx
from cnn2rtl.graph import FloatGraph, QuantGraph, restore
from cnn2rtl.output import write_project
from cnn2rtl.quant.qformat import IntArray
from cnn2rtl.tensors import Codes, FloatArray, batch_of, code_type, in_batches, part
from cnn2rtl.verify.vectors import frame_vectors


@dataclass(frozen=True, eq=False)
class Compiled:
    """A network on its way into hardware: the float graph on what comes, the integers, the design and its files."""

    float_graph: FloatGraph
    graph: QuantGraph
    design: Design
    rendered: Mapping[str, str]
    vector_images: Codes

    def __repr__(self) -> str:
        about = self.about
        return f"<Compiled {about['name']!r}: {len(about['layers'])} layers, {about['interval']:,} cycles per frame>"

    def _repr_html_(self) -> str:
        """The report, as a notebook shows it: a page of its own within the notebook's."""
        page = html.escape(self.rendered["report.html"], quote=True)
        return f'<iframe srcdoc="{page}" sandbox style="width: 100%; height: 40em; border: 0"></iframe>'

    @property
    def about(self) -> Mapping[str, Any]:
        """What ``design.json`` says."""
        return cast(Mapping[str, Any], json.loads(self.rendered["design.json"]))

    def golden(self, images: np.ndarray | Mapping[str, np.ndarray]) -> IntArray:
        """Outputs of the hardware, integers (n, h, w, c), for ``images``, (n, h, w, c).

        Those are raw pixels or, of numbers that are no pixels, codes. A network with several inputs takes a mapping
        from their names to such arrays. Of several outputs this is the first; :meth:`golden_outputs` has them all.
        """
        return in_batches(self.graph.run, self._codes(images)).astype(np.int64)

    def golden_outputs(self, images: np.ndarray | Mapping[str, np.ndarray]) -> tuple[IntArray, ...]:
        """As :meth:`golden`, but every output of the network."""
        tensors = self.golden_tensors(images)
        return tuple(tensors[name] for name in self.graph.outputs)

    def golden_tensors(self, images: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, IntArray]:
        """As :meth:`golden`, but every tensor, by the name of its layer."""
        tensors: dict[str, IntArray] = {}
        self.graph.run(self._codes(images), lambda node, codes: tensors.update({node.name: codes.astype(np.int64)}))
        return tensors

    def restore(self, outputs: np.ndarray | Sequence[np.ndarray]) -> tuple[FloatArray, ...]:
        """The model's own outputs, (n, ...) each, from those of the hardware, (n, h, w, c) each.

        Integers are the codes that the hardware delivers; what they stand for is moved where the model has it. So this
        undoes what was left away at the network's end. One output may be given by itself.
        """
        return restore(self.float_graph, self.graph, outputs)

    def onnx(self, every_layer: bool = False) -> bytes:
        """The integer network as the contents of an ``.onnx`` file: see :func:`cnn2rtl.export.to_onnx`."""
        return to_onnx(self.graph, every_layer)

    def _codes(self, images: np.ndarray | Mapping[str, np.ndarray]) -> Codes:
        shapes = self.graph.inputs
        if isinstance(images, Mapping):
            if images.keys() != shapes.keys():
                raise ValueError(f"images for {', '.join(images)}: the network's inputs are {', '.join(shapes)}")
            given = {name: np.asarray(images[name]) for name in shapes}
        else:
            given = {name: part(np.asarray(images), name) for name in shapes}
        for name, (c, h, w) in shapes.items():
            codes, (lo, hi) = given[name], (self.graph[name].out.lo, self.graph[name].out.hi)
            if codes.ndim != 4 or codes.shape[1:] != (h, w, c):
                raise ValueError(f"images of shape {codes.shape}: (n, {h}, {w}, {c}) is expected")
            if codes.dtype.kind not in "ui" or (codes.size and not lo <= int(codes.min()) <= int(codes.max()) <= hi):
                what = self.graph.numbers.get(name, "raw pixels")
                raise ValueError(f"images must be integers from {lo} to {hi}: the hardware takes {what}")
            given[name] = codes.astype(code_type(lo, hi), copy=False)
        counts = {len(pixels) for pixels in given.values()}
        if len(counts) > 1:
            raise ValueError(f"the inputs have {' and '.join(map(str, sorted(counts)))} images; as many are expected")
        return batch_of(given)

    @cached_property
    def files(self) -> Mapping[str, str | bytes]:
        """Every file of the project: path to contents."""
        streams = {stream.node: stream for stream in self.design.streams}
        frames = [frame_vectors(self.graph, streams, image) for image in self.vector_images]
        vectors = {f"sim/vectors/{name}": b"".join(frame[name] for frame in frames) for name in frames[0]}
        return {
            **self.rendered,
            **vectors,
            "sim/vectors/frames": f"{len(frames)}\n",
            "model.npz": store.dump({"float": self.float_graph, "integer": self.graph}),
        }

    def write(self, out: str | Path, force: bool = False) -> None:
        """Write the project into the folder ``out``: all of it, or nothing."""
        write_project(Path(out), self.files, force)
