"""The arguments that say which network: shared by every command that reads a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnn2rtl.cli.console import parse_shape, readable
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.graph import FloatGraph, Shape
from cnn2rtl.trained import SUFFIX, Trained, load

ModelFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="torch.export archive, state_dict (with --arch), pickled nn.Module, or .npz of `compress qat`.",
    ),
]
Arch = Annotated[
    str | None, typer.Option(metavar="FILE.py:NAME", help="Class or factory of the network a state_dict belongs to.")
]
InputSize = Annotated[
    str | None, typer.Option("--input", metavar="CxHxW", help="Input size, like 3x128x128; an archive knows its own.")
]
TrustPickle = Annotated[
    bool, typer.Option("--trust-pickle", help="Load a pickled model of unknown classes. This runs the file's code.")
]


FIXED = {
    "arch", "size", "bits", "weight_bits", "activation_bits", "output_bits", "mean", "std", "calib", "calib_limit",
    "scheme", "layer", "ranges", "effort",
}  # fmt: skip
"""Parameters of commands that say nothing to a network that has its integers already."""


def is_trained(file: Path) -> bool:
    """Whether ``file`` holds, by its name, a network that has its integers already."""
    return file.suffix.lower() == SUFFIX


def open_trained(context: typer.Context, file: Path, problems: Problems) -> Trained | None:
    """The network in ``file``; what is wrong with it goes to ``problems``, and options that came too late for it."""
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "")
        if parameter.name in FIXED and given is not None and given.name == "COMMANDLINE":
            problems.found.append(
                f"{parameter.opts[0]}: {file} has its integers already, and they stay as they are; leave it out"
            )
    with problems.gather():
        return load(file)
    return None


def capture_file(
    file: Path, arch: str | None, size: str | None, trust_pickle: bool, problems: Problems
) -> FloatGraph | None:
    """The float graph of the network in ``file``; what is wrong with it goes to ``problems``."""
    if is_trained(file):
        with problems.gather():
            return load(file).float_graph
        return None
    from torch.export import ExportedProgram

    from cnn2rtl.frontend import capture, load_model

    shape: Shape | None = None
    wrong_before = len(problems.found)
    with problems.gather():
        shape = parse_shape(size)
    with problems.gather():
        model = load_model(file, arch, trust_pickle)
        if size is None and not isinstance(model, ExportedProgram):
            raise UserError(f"{file}: does not tell its input's size; say it with --input, like --input 3x128x128")
        if len(problems.found) == wrong_before:
            return capture(model, shape, readable(file.name.split(".")[0]))
    return None
