"""Where the templates lie, and how they are filled in."""

from __future__ import annotations

import importlib.resources
from functools import cache
from importlib.resources.abc import Traversable
from pathlib import Path

import jinja2
from markupsafe import Markup

from cnn2rtl.render.escape import FILTERS, EscapeByPlace


@cache
def template_root() -> Traversable:
    """The ``templates`` folder: inside the installed package, or beside it in a checkout."""
    packaged = importlib.resources.files("cnn2rtl") / "templates"
    if packaged.is_dir():
        return packaged
    return Path(__file__).resolve().parents[2] / "templates"


_added: list[Path] = []


def add_folder(folder: str | Path) -> None:
    """Look into ``folder`` too, which is laid out like the template root: for a layer kind kept outside the package.

    Its units join the library; one that is there already cannot be replaced. Adding a folder again changes nothing.
    """
    path = Path(folder).resolve()
    if path in _added:
        return
    names = [file.stem for file in (path / "units").glob("*.v")]
    taken = set(names) & set(unit_names())
    if taken or not names:
        raise ValueError(f"{path}: units that exist already: {sorted(taken)}" if taken else f"{path}: no units/*.v")
    _added.append(path)


def read(path: str) -> str:
    """The text of ``path`` below the template root, or else below an added folder."""
    places = (root.joinpath(*path.split("/")) for root in (template_root(), *_added))
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise FileNotFoundError(f"no template {path}")
    return found.read_text(encoding="utf-8")


def unit_names() -> tuple[str, ...]:
    """The modules of the unit library."""
    files = (entry.name for root in (template_root(), *_added) for entry in (root / "units").iterdir())
    return tuple(sorted(name.removesuffix(".v") for name in files if name.endswith(".v")))


@cache
def environment() -> jinja2.Environment:
    # Verilog replicates with {{ }}, so templates use delimiters that it does not know.
    result = jinja2.Environment(
        loader=jinja2.FunctionLoader(read),
        variable_start_string="{=",
        variable_end_string="=}",
        block_start_string="{%",
        block_end_string="%}",
        comment_start_string="{#",
        comment_end_string="#}",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        # What is filled in has been escaped for its place; so the environment keeps apart what is safe and what is not.
        autoescape=True,
        extensions=[EscapeByPlace],
    )
    result.filters.update(FILTERS)
    result.filters["thousands"] = "{:,}".format
    # The range of a port of so many bits, wide enough for the names behind it to align.
    result.filters["bus"] = lambda bits: Markup(f"[{bits - 1}:0]".rjust(9))
    return result


def fill(path: str, **values: object) -> str:
    """Template ``path`` with ``values``; a value that is missing is an error."""
    return environment().get_template(path).render(**values)
