"""``cnn2rtl export``: the integer network for other software."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from cnn2rtl.cli import console
from cnn2rtl.errors import Problems
from cnn2rtl.export import input_types, to_onnx
from cnn2rtl.onnx_writer import load_onnx
from cnn2rtl.output import check_file, write_file
from cnn2rtl.project import Project, open_project
from cnn2rtl.tensors import Shape


def export(
    project: Annotated[Path, typer.Argument(metavar="OUT", help="Project folder that `generate` wrote.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="File to write; OUT.onnx in the current folder if not given.")
    ] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Integer arithmetic as standard operators, for onnxruntime and others.")
    ] = False,
    every_layer: Annotated[bool, typer.Option("--all", help="The integers of every layer as further outputs.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write the integer network for other software: what the hardware computes, for anyone to check."""
    problems = Problems()
    opened: Project | None = None
    if not onnx:
        problems.found.append("say what to write: --onnx")
    with problems.gather():
        opened = open_project(project)
    with problems.gather():
        load_onnx()
    target = file or Path(f"{project.resolve().name}.onnx")
    with problems.gather():
        check_file(target, force)
    problems.check()
    assert opened is not None
    graph = opened.graph
    others = len(graph.layers) - len(set(graph.outputs))
    takes = " and ".join(f"{name}, {dtype} {_dims(graph[name].shape)}," for name, dtype in input_types(graph).items())
    gives = " and ".join(f"{name}, int64 {_dims(graph[name].shape)}" for name in dict.fromkeys(graph.outputs))
    write_file(target, to_onnx(graph, every_layer), force)
    console.out.print(
        f"[bold]{console.plain(shlex.quote(str(target)))}[/]: {console.plain(takes)} to {console.plain(gives)}"
        + (f", and {others} other layers" if every_layer else ""),
        soft_wrap=True,
    )


def _dims(shape: Shape) -> str:
    return f"n x {'x'.join(map(str, shape))}"
