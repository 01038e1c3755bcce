"""The application: its commands, and what becomes of errors."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Annotated, Any, TextIO

import typer

from cnn2rtl.cli import console
from cnn2rtl.cli.command import Command
from cnn2rtl.cli.compress import compress
from cnn2rtl.cli.doctor import doctor
from cnn2rtl.cli.evaluate import evaluate
from cnn2rtl.cli.export import export
from cnn2rtl.cli.generate import generate
from cnn2rtl.cli.inspect import inspect
from cnn2rtl.cli.simulate import simulate
from cnn2rtl.cli.synth import synth
from cnn2rtl.errors import Notice, UserError
from cnn2rtl.foreign import DEBUG
from cnn2rtl.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["--help", "-h"]},
    help="Put a compressed CNN on an FPGA: a trained PyTorch network in, proven Verilog out.",
    epilog="A first run: `cnn2rtl doctor`, then `cnn2rtl inspect MODEL`, then `cnn2rtl generate MODEL`.",
)
for command in (generate, simulate, evaluate, synth, export, inspect, doctor):
    app.command(cls=Command, no_args_is_help=command is not doctor)(command)

app.add_typer(compress, name="compress")

# Typer exports this exception only as a base of another one.
_UsageError: Any = typer.BadParameter.__base__


def _version(wanted: bool) -> None:
    if wanted:
        print(f"cnn2rtl {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the Python traceback of an error, with what it came of.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    console.debug = debug


def _terminate(number: int, _: object) -> None:
    sys.exit(128 + number)


def main() -> None:
    """Run a command. A user's mistake ends with one clear line each and exit code 2, never with a traceback."""
    # Whoever ends it in the ordinary way finds no temporary files left.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _terminate)
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # --debug is accepted anywhere: nobody should have to move it to the front of a long command.
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    console.debug = len(arguments) < len(sys.argv) - 1 or bool(os.environ.get(DEBUG))
    try:
        arguments = ["--debug", *arguments] if console.debug else arguments
        with _notices():
            code = app(arguments, prog_name="cnn2rtl", standalone_mode=False)
    except UserError as error:
        _report(*error.problems)
        code = 2
    except _UsageError as error:
        message = error.format_message().rstrip(".")
        # Without one, typer has shown the help instead.
        if message:
            path = error.ctx.command_path if error.ctx else "cnn2rtl"
            _report(f"{message[0].lower()}{message[1:]}; `{path} --help` tells what there is")
        code = 2
    sys.exit(code)


@contextlib.contextmanager
def _notices() -> Iterator[None]:
    """Print what the package warns of as a note; other warnings go where they always go."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str, category: type[Warning], filename: str, lineno: int,
            file: TextIO | None = None, line: str | None = None,
        ) -> None:  # fmt: skip
            if issubclass(category, Notice):
                console.note(message)
            else:
                others(message, category, filename, lineno, file, line)

        warnings.simplefilter("always", Notice)
        warnings.showwarning = show
        yield


def _report(*problems: str) -> None:
    if console.debug:
        error = sys.exception()
        while error is not None:
            # With what it came of, which is not for everybody.
            error.__suppress_context__ = False
            error = error.__context__
        traceback.print_exc()
    for problem in problems:
        line = problem.replace("\n", r"\n")
        console.err.print(f"[bold red]error:[/] {console.message(line)}", soft_wrap=True)
