"""The package speaks of its parameters, and the command line of its options: each in messages of its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import cnn2rtl
from cnn2rtl.cli.app import app
from cnn2rtl.cli.naming import OPTIONS, with_options

PACKAGE = Path(cnn2rtl.__file__).parent


def ours(command: object) -> Iterator[str]:
    """Every option of a command and of those below it."""
    for parameter in command.params:  # type: ignore[attr-defined]
        yield from (name for name in parameter.opts if name.startswith("-"))
    for below in getattr(command, "commands", {}).values():
        yield from ours(below)


def texts() -> Iterator[tuple[Path, str]]:
    """All literals of the package outside ``cli/``, texts of documentation among them."""
    for file in sorted(PACKAGE.rglob("*.py")):
        path = file.relative_to(PACKAGE)
        if path.parts[0] != "cli":
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield path, node.value


def for_another_program(path: Path, text: str) -> bool:
    """Whether it is an argument, alone, in a package that runs other programs; theirs may be called as ours are."""
    return path.parts[0] in ("synthesis", "verify") and " " not in text


def command_in_a_document(path: Path, text: str) -> bool:
    """Whether it is a command that the report shows, to be run by whoever reads that."""
    return path.parts[0] == "render" and text.startswith("cnn2rtl ")


def test_nothing_but_the_command_line_names_an_option() -> None:
    options = {*ours(typer.main.get_command(app)), "--help", "-h"}
    assert {"--fps", "--trust-pickle", "-o", "--temperature"} <= options
    found = [
        f"{path}: {text}"
        for path, text in texts()
        if not for_another_program(path, text) and not command_in_a_document(path, text)
        if options & set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", text))
    ]
    assert not found


def test_every_parameter_that_a_message_names_has_an_option_and_no_other_has() -> None:
    named = {name for _, text in texts() for name in re.findall(r"(?<!`)`(\w+)=", text)}
    # Those of find(), instantiate() and given_images(), which put their caller's words before the sign.
    assert named | {"arch", "data", "device", "fit", "images", "model"} == set(OPTIONS)
    assert set(OPTIONS.values()) - {"MODEL"} <= set(ours(typer.main.get_command(app)))


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("`fps=-1`: a number", "--fps -1: a number"),
        ("`device=`: no such device", "--device: no such device"),
        ("say it, like `example=(3, 128, 128)`", "say it, like --input 3x128x128"),
        ('give `trust_pickle=True`, or `arch="FILE.py:NAME"`', "give --trust-pickle, or --arch FILE.py:NAME"),
        ("give `restart=True` `force=True` to", "give --restart --force to"),
        ("`layers=cnn.1=2`: no such layer", "--layer cnn.1=2: no such layer"),
        ("width 1 of `bits`'s weights, and of `fps`", "width 1 of `bits`'s weights, and of `fps`"),
        ("`colour=red`", "`colour=red`"),
    ],
)
def test_the_command_line_shows_options(message: str, shown: str) -> None:
    assert with_options(message) == shown
