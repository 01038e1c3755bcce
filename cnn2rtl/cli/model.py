"""The arguments that say which network: shared by every command that reads a model."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnn2rtl.cli.console import out, parse_shape, parse_sizes, plain
from cnn2rtl.errors import Problems
from cnn2rtl.reading import Shapes, Source, open_file
from cnn2rtl.tensors import Shape

if TYPE_CHECKING:
    from torch import nn

ModelFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="torch.export archive, state_dict (with --arch), pickled nn.Module, .onnx, .npz of `compress "
        "qat`; or, untrained, FILE.py:NAME or zoo:NAME.",
    ),
]
NetworkFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="Pickled nn.Module, or state_dict (with --arch); or, untrained, FILE.py:NAME or zoo:NAME.",
    ),
]
Arch = Annotated[
    str | None, typer.Option(metavar="FILE.py:NAME", help="Class or factory of the network a state_dict belongs to.")
]
InputSize = Annotated[
    str | None,
    typer.Option(
        "--input",
        metavar="CxHxW",
        help="Input size, like 3x128x128, or 9x128 for a series; of several inputs, separated by commas, in the order "
        "of forward(). An archive knows its own.",
    ),
]
OutputNames = Annotated[
    list[str] | None,
    typer.Option(
        "--outputs",
        metavar="NAME",
        help="Layer or tensor that the network is to end in, in place of its own outputs; once for each.",
    ),
]
TrustPickle = Annotated[
    bool, typer.Option("--trust-pickle", help="Load a pickled model of unknown classes. This runs the file's code.")
]


QUANTISING = {
    "bits", "weight_bits", "activation_bits", "output_bits", "calib", "calib_limit", "scheme", "layer", "ranges",
    "effort", "auto_bits", "max_drop", "check", "task", "input_format", "input_scale",
}  # fmt: skip
"""Parameters of commands that have no say in a network that has its integers already."""

PREPARING = {"mean", "std", "fit", "channels"}
"""Those that have none either where its file tells how pictures become what it takes."""


def refuse(context: typer.Context, source: Source, file: Path, problems: Problems) -> None:
    """Tell of every parameter that was given, though the network in ``file`` has its integers already."""
    names = QUANTISING | (PREPARING if source.normalised else set()) if source.given else set()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and given is not None and given.name == "COMMANDLINE":
            problems.found.append(
                f"{parameter.opts[0]}: {file} is quantised already and keeps its numbers; leave it out"
            )


def open_model(
    file: Path,
    arch: str | None,
    size: str | None,
    trust_pickle: bool,
    problems: Problems,
    outputs: Sequence[str] | None = None,
) -> Source:
    """The model in ``file``, through the door; what is wrong as far as it shows without torch goes to ``problems``.

    It ends in the ``outputs``, layers by name, where there are any.
    """
    shapes: Shapes | None = None
    with problems.gather():
        shapes = parse_sizes(size)
    source = open_file(file, arch, shapes, trust_pickle, outputs=outputs or ())
    with problems.gather():
        source.check(sized=size is not None)
    return source


def read_trainable(
    file: Path, arch: str | None, size: str | None, trust_pickle: bool, problems: Problems, seed: int = 0
) -> tuple[nn.Module, Shape] | None:
    """The network in ``file``, to be trained or changed, and its input's (c, h, w); wrong ones go to ``problems``."""
    shape: Shape | None = None
    with problems.gather():
        shape = parse_shape(size)
    source = open_file(file, arch, shapes=shape and (shape,), trust_pickle=trust_pickle)
    with problems.gather():
        source.check_trainable(sized=size is not None)
    # What follows imports torch, which takes seconds.
    problems.check()
    with problems.gather():
        network = source.module(seed)
        return None if shape is None else (network, shape)
    return None


def tell_written(
    file: Path, network: nn.Module, model: Path, arch: str | None, shape: Shape, more: Sequence[str] = ()
) -> None:
    """Say that ``file`` holds ``network``, which was read from ``model``, and how ``generate`` reads it.

    ``more`` are further words for that.
    """
    from cnn2rtl.compress.modules import needs_arch

    needed = ["--arch", arch or str(model)] if needs_arch(network) else []
    command = shlex.join(["cnn2rtl", "generate", str(file), *needed, "--input", "x".join(map(str, shape)), *more])
    out.print(f"[bold]{plain(str(file))}[/]: next, {plain(command)}", soft_wrap=True)
