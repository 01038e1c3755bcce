"""A generated project, opened again: what ``simulate`` and ``evaluate`` work on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from cnn2rtl import schema, store
from cnn2rtl.design import Fifo, Stream
from cnn2rtl.errors import Notice, UserError
from cnn2rtl.graph import FloatGraph, QuantGraph, restore
from cnn2rtl.hardware.block import Port
from cnn2rtl.output import changed_files, few, replace_file, tidy_errors, unchanged
from cnn2rtl.render.report import report
from cnn2rtl.schedule import Traffic
from cnn2rtl.schema import About
from cnn2rtl.tensors import FloatArray
from cnn2rtl.text import visible
from cnn2rtl.workspace import alone_in


@dataclass(frozen=True, eq=False, repr=False)
class Project:
    """``about`` is ``design.json``; ``streams`` go by their node's name."""

    folder: Path
    about: About
    float_graph: FloatGraph
    graph: QuantGraph
    streams: Mapping[str, Stream]

    @property
    def interval(self) -> int:
        """Predicted cycles from one frame to the next."""
        return self.about.interval

    @property
    def latency(self) -> int:
        """Predicted cycles of a frame, from the first pixel to the last result."""
        return self.about.latency

    def restore(self, outputs: np.ndarray | Sequence[np.ndarray]) -> tuple[FloatArray, ...]:
        """The model's own outputs from those of the hardware: see :meth:`cnn2rtl.Compiled.restore`."""
        return restore(self.float_graph, self.graph, outputs)

    def __repr__(self) -> str:
        return f"<Project {self.about.name!r} in {self.folder}: {len(self.graph.layers)} layers>"


def open_project(folder: Path) -> Project:
    """Read the project in ``folder``; raises :class:`UserError` if there is none, or a damaged one.

    Files that were changed since they were generated are told (:class:`Notice`): somebody may well have edited them.
    """
    try:
        contents = schema.parse((folder / "design.json").read_bytes())
        networks = (folder / "model.npz").read_bytes()
        if not unchanged(folder, "model.npz"):
            raise ValueError("model.npz is not the one that was generated")
        graphs = store.load(networks)
        graph, float_graph = graphs["integer"], graphs["float"]
        if not isinstance(graph, QuantGraph) or not isinstance(float_graph, FloatGraph):
            raise ValueError("model.npz holds no two networks")
        streams = {row.node: _stream(row, graph) for row in (*contents.inputs, *contents.layers)}
        wired = [row.inputs for row in contents.layers] == [node.inputs for node in graph.layers]
        if not wired or [*streams] != [node.name for node in graph.nodes] or contents.outputs != graph.outputs:
            raise ValueError("the two are of different networks")
    except UserError as error:
        raise UserError([f"{folder}: {problem}" for problem in error.problems]) from None
    except FileNotFoundError as error:
        raise UserError(
            f"{folder}: no cnn2rtl project ({Path(error.filename).name} is missing); make one with `cnn2rtl generate`"
        ) from None
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror})") from None
    except Exception as error:
        # There is no end to what somebody may have made of the two files.
        raise UserError(
            f"{folder}: design.json or model.npz is damaged ({type(error).__name__}: {error}); "
            "generate the project again"
        ) from None
    changed = changed_files(folder)
    if changed:
        told = f"{folder}: changed since they were generated, and used as they are: {few(changed)}"
        warnings.warn(Notice(visible(told)), stacklevel=3)
    return Project(folder, contents, float_graph, graph, streams)


def _stream(row: schema.Stream, graph: QuantGraph) -> Stream:
    """A stream of the design as ``row`` of its ``design.json`` has it."""
    node = graph[row.node]
    fifos = tuple(Fifo(fifo.name, Port(fifo.block, fifo.input), fifo.depth) for fifo in row.fifos)
    traffic = Traffic({fifo.port: fifo.depth for fifo in fifos}, row.first, row.last)
    stream = Stream(row.stream, row.node, node.shape, node.out, row.lanes, traffic, fifos)
    if (row.shape, row.format.bits, row.beats) != (node.shape, node.out.bits, stream.frame_beats):
        raise ValueError(f"`{row.node}` is another one in each of them")
    return stream


def record(
    folder: Path,
    *,
    simulation: schema.Simulation | None = None,
    accuracy: schema.Accuracy | None = None,
    synthesis: schema.Synthesis | None = None,
) -> None:
    """Keep what was found out among the ``results`` of the project's ``design.json``, and show it in ``report.html``.

    Both count as generated; a report that the user has changed stays as it is.
    """
    found = {"simulation": simulation, "accuracy": accuracy, "synthesis": synthesis}
    known = {name: value for name, value in found.items() if value is not None}
    with tidy_errors(folder), alone_in(folder):
        contents = schema.parse((folder / "design.json").read_bytes())
        results = msgspec.structs.replace(contents.results, **known)
        contents = msgspec.structs.replace(contents, results=results)
        page = report(contents)
        replace_file(folder, "design.json", contents.text())
        if unchanged(folder, "report.html"):
            replace_file(folder, "report.html", page)
