"""The arguments that say which network: shared by every command that reads a model."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from cnn2rtl.cli.console import out, parse_shape, parse_sizes, readable
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.graph import FloatGraph
from cnn2rtl.quantise.given import GivenNetwork
from cnn2rtl.tensors import Shape
from cnn2rtl.trained import SUFFIX, Trained, load

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
TrustPickle = Annotated[
    bool, typer.Option("--trust-pickle", help="Load a pickled model of unknown classes. This runs the file's code.")
]


QUANTISING = {
    "arch", "size", "bits", "weight_bits", "activation_bits", "output_bits", "calib", "calib_limit", "fit", "scheme",
    "layer", "ranges", "effort", "auto_bits", "max_drop", "check", "trust_pickle",
}  # fmt: skip
"""Parameters of commands that have no say in a network that has its integers already."""


def refuse(context: typer.Context, names: set[str], file: Path, problems: Problems) -> None:
    """Tell of each of the parameters ``names`` that was given, though ``file`` has its integers already."""
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and given is not None and given.name == "COMMANDLINE":
            problems.found.append(
                f"{parameter.opts[0]}: {file} is quantised already and keeps its numbers; leave it out"
            )


def is_onnx(file: Path) -> bool:
    """Whether ``file`` is to be read as ONNX, whose first bytes tell nothing: its name must."""
    return file.suffix.lower() == ".onnx"


def is_given(file: Path) -> bool:
    """Whether ``file`` is ONNX and has its integers already; one that cannot be read tells so when it is needed."""
    from cnn2rtl.frontend.onnx_file import read_onnx

    if not is_onnx(file):
        return False
    try:
        return read_onnx(file).quantised
    except UserError:
        return False


def read_given(file: Path, mean: Sequence[float], std: Sequence[float]) -> GivenNetwork:
    """The network in ``file``, an ONNX file that is quantised already."""
    from cnn2rtl.frontend.qdq import read_qdq

    return read_qdq(file, name_of(file), mean, std)


def stem_of(file: Path) -> str:
    """What the names of files made from ``file`` begin with: its own without suffixes, or the zoo's network."""
    name = file.name.removeprefix("zoo:")
    return name.split("," if name != file.name else ".")[0]


def name_of(file: Path) -> str:
    """What to call the network in ``file``."""
    return readable(stem_of(file))


def is_trained(file: Path) -> bool:
    """Whether ``file`` holds, by its name, a network that has its integers already."""
    return file.suffix.lower() == SUFFIX


def open_trained(context: typer.Context, file: Path, problems: Problems) -> Trained | None:
    """The network in ``file``; what is wrong with it goes to ``problems``, and options that came too late for it."""
    refuse(context, QUANTISING | {"mean", "std"}, file, problems)
    with problems.gather():
        return load(file)
    return None


def capture_file(
    file: Path, arch: str | None, size: str | None, trust_pickle: bool, problems: Problems
) -> FloatGraph | None:
    """The float graph of the network in ``file``; what is wrong with it goes to ``problems``."""
    if is_onnx(file):
        given = {"--arch": arch, "--input": size, "--trust-pickle": trust_pickle}
        problems.found += [f"{option}: {file} needs none; leave it out" for option, value in given.items() if value]
        with problems.gather():
            return _capture_onnx(file)
        return None
    if is_trained(file):
        with problems.gather():
            return load(file).float_graph
        return None
    from torch.export import ExportedProgram

    from cnn2rtl.frontend import capture, load_model

    shape: tuple[tuple[int, ...], ...] | None = None
    wrong_before = len(problems.found)
    with problems.gather():
        shape = parse_sizes(size)
    with problems.gather():
        model = load_model(file, arch, trust_pickle)
        if size is None and not isinstance(model, ExportedProgram):
            raise _no_size(file)
        if len(problems.found) == wrong_before:
            return capture(model, shape, name_of(file))
    return None


def _capture_onnx(file: Path) -> FloatGraph:
    from cnn2rtl.frontend.onnx_file import read_onnx
    from cnn2rtl.frontend.onnx_float import capture_onnx

    network = read_onnx(file)
    return read_given(file, (0.0,), (1.0,)).graph if network.quantised else capture_onnx(network, name_of(file))


def _no_size(file: Path) -> UserError:
    return UserError(f"{file}: does not tell its input's size; say it with --input, like --input 3x128x128")


def read_trainable(
    file: Path, arch: str | None, size: str | None, trust_pickle: bool, problems: Problems, seed: int = 0
) -> tuple[nn.Module, Shape] | None:
    """The network in ``file``, to be trained or changed, and its input's (c, h, w); wrong ones go to ``problems``."""
    from cnn2rtl.compress.modules import read_module

    shape: Shape | None = None
    with problems.gather():
        shape = parse_shape(size)
    with problems.gather():
        network = read_module(file, arch, trust_pickle, seed)
        if size is None:
            raise _no_size(file)
        return None if shape is None else (network, shape)
    return None


def tell_written(file: Path, network: nn.Module, model: Path, arch: str | None, shape: Shape) -> None:
    """Say that ``file`` holds ``network``, which was read from ``model``, and how ``generate`` reads it."""
    from cnn2rtl.compress.modules import needs_arch

    needed = ["--arch", arch or str(model)] if needs_arch(network) else []
    command = shlex.join(["cnn2rtl", "generate", str(file), *needed, "--input", "x".join(map(str, shape))])
    out.print(f"[bold]{escape(str(file))}[/]: next, {escape(command)}", soft_wrap=True)
