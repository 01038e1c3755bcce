"""The application: its commands, and what becomes of errors."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer
from rich.markup import escape

from cnn2rtl import __version__
from cnn2rtl.cli import console
from cnn2rtl.cli.doctor import doctor
from cnn2rtl.cli.evaluate import evaluate
from cnn2rtl.cli.generate import generate
from cnn2rtl.cli.inspect import inspect
from cnn2rtl.cli.simulate import simulate
from cnn2rtl.errors import UserError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Put a compressed CNN on an FPGA: a trained PyTorch network in, proven Verilog out.",
    epilog="A first run: `cnn2rtl doctor`, then `cnn2rtl inspect MODEL`, then `cnn2rtl generate MODEL`.",
)
for command in (generate, simulate, evaluate, inspect, doctor):
    app.command(no_args_is_help=command is not doctor)(command)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"cnn2rtl {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the Python traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    console.debug = debug


def _terminate(number: int, _: object) -> None:
    sys.exit(128 + number)


def main() -> None:
    """Run a command. A user's mistake ends with one clear line each and exit code 2, never with a traceback."""
    # Whoever ends it in the ordinary way finds no temporary files left.
    signal.signal(signal.SIGTERM, _terminate)
    # --debug is accepted anywhere: nobody should have to move it to the front of a long command.
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    console.debug = len(arguments) < len(sys.argv) - 1
    try:
        app(["--debug", *arguments] if console.debug else arguments)
    except UserError as error:
        if console.debug:
            console.err.print_exception()
        for problem in error.problems:
            console.err.print(f"[bold red]error:[/] {escape(problem)}", soft_wrap=True)
        sys.exit(2)
