"""A generated project, opened again: what ``simulate`` and ``evaluate`` work on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnn2rtl import store
from cnn2rtl.design import Fifo, Stream
from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph, QuantGraph
from cnn2rtl.hardware.block import Port
from cnn2rtl.output import replace_file, tidy_errors, unchanged
from cnn2rtl.render.report import report
from cnn2rtl.schedule import Traffic
from cnn2rtl.workspace import alone_in


@dataclass(frozen=True, eq=False)
class Project:
    """``about`` is ``design.json``; ``streams`` go by their node's name."""

    folder: Path
    about: Mapping[str, Any]
    float_graph: FloatGraph
    graph: QuantGraph
    streams: Mapping[str, Stream]

    @property
    def interval(self) -> int:
        """Predicted cycles from one frame to the next."""
        return int(self.about["interval"])

    @property
    def latency(self) -> int:
        """Predicted cycles of a frame, from the first pixel to the last result."""
        return int(self.about["latency"])

    @property
    def classes(self) -> int:
        """How many classes the network tells apart."""
        node = self.graph[self.graph.output]
        return node.op.class_count(self.graph.shapes(node))


def open_project(folder: Path) -> Project:
    """Read the project in ``folder``; raises :class:`UserError` if there is none, or a damaged one."""
    try:
        about = json.loads((folder / "design.json").read_text(encoding="utf-8"))
        graphs = store.load((folder / "model.npz").read_bytes())
        graph, float_graph = graphs["integer"], graphs["float"]
        if not isinstance(graph, QuantGraph) or not isinstance(float_graph, FloatGraph):
            raise ValueError("model.npz holds no two networks")
        about = {
            **about,
            "name": str(about["name"]),
            "interval": int(about["interval"]),
            "latency": int(about["latency"]),
            "roms": {Path(name).name: _rom(row) for name, row in about["roms"].items()},
        }
        streams = {
            s["node"]: Stream(
                s["stream"],
                s["node"],
                graph[s["node"]].shape,
                graph[s["node"]].out,
                s["lanes"],
                Traffic({fifo.port: fifo.depth for fifo in fifos}, s["first"], tuple(s["last"])),
                fifos,
            )
            for s in (*about["inputs"], *about["layers"])
            for fifos in [tuple(Fifo(f["name"], Port(f["layer"], f["input"]), f["depth"]) for f in s["fifos"])]
        }
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
    return Project(folder, about, float_graph, graph, streams)


def _rom(row: Mapping[str, Any]) -> dict[str, int]:
    """Words of a ROM, and their bits."""
    words, width = int(row["words"]), int(row["width"])
    if min(words, width) < 1:
        raise ValueError(f"a ROM of {words} words of {width} bits")
    return {"words": words, "width": width}


def record(folder: Path, key: str, value: Mapping[str, object]) -> None:
    """Keep ``value`` as ``results`` → ``key`` in the project's ``design.json``, and show it in ``report.html``.

    Both count as generated; a report that the user has changed stays as it is.
    """
    with tidy_errors(folder), alone_in(folder):
        about = json.loads((folder / "design.json").read_text(encoding="utf-8"))
        about["results"] = {**about.get("results", {}), key: value}
        page = report(about)
        replace_file(folder, "design.json", json.dumps(about, indent=2) + "\n")
        if unchanged(folder, "report.html"):
            replace_file(folder, "report.html", page)
