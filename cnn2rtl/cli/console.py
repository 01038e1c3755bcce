"""What all commands share: where they print, progress bars, and how options are read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import SegmentLines
from rich.table import Table
from rich.text import Text

from cnn2rtl.cli.naming import with_options
from cnn2rtl.errors import UserError
from cnn2rtl.limits import too_large
from cnn2rtl.quantise.calibrate import Progress as Watch
from cnn2rtl.quantise.integers import Widths
from cnn2rtl.tensors import Shape
from cnn2rtl.text import NO_BREAK_SPACE, UNDECODED, visible


class Console(RichConsole):
    """A console to which nobody's text sends control characters: a terminal obeys them."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str("\n".join(map(_shown, text.split("\n"))), **options)


out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)
debug = False
"""Whether errors show their traceback."""


def progress() -> Progress:
    """A progress bar on standard error, gone when it is done; none where nobody watches."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(), console=err, transient=True, disable=not err.is_terminal,
    )  # fmt: skip


@contextmanager
def watched() -> Iterator[Watch]:
    """A progress bar that shows how far the package is, by what it tells; of 0 steps, that it is at work."""
    with progress() as bar:
        task = bar.add_task("", total=None)

        def show(stage: str, done: int, of: int) -> None:
            bar.update(task, description=plain(stage[:70]), completed=done, total=of or None)

        yield show


def table(*columns: str, left: int = 1) -> Table:
    """A plain table whose first ``left`` columns are text and whose others are numbers."""
    result = Table(box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        result.add_column(column, justify="left" if index < left else "right", overflow="fold")
    return result


def show(rows: Table) -> None:
    """Print a table as wide as it needs to be: half a number looks like one."""
    wide = out.options.update(max_width=100_000)
    out.print(SegmentLines(out.render_lines(rows, wide, pad=False), new_lines=True), crop=False)


def parse_shape(text: str | None) -> Shape | None:
    """``3x128x128`` as (c, h, w)."""
    if text is None:
        return None
    dims = _dims(text, text)
    if len(dims) != 3:
        raise UserError(f"--input {text}: channels x height x width is expected, like 3x128x128")
    c, h, w = dims
    return c, h, w


def parse_sizes(text: str | None) -> tuple[tuple[int, ...], ...] | None:
    """The dimensions of each input: ``3x128x128,40`` as (c, h, w) and (features,)."""
    if text is None:
        return None
    return tuple(_dims(text, part) for part in text.split(","))


def _dims(text: str, one: str) -> tuple[int, ...]:
    """``one`` of the sizes in ``text``: 3x128x128 as (c, h, w), 9x128 as (c, length), 40 as (features,)."""
    parts = one.strip().lower().split("x")
    if len(parts) > 3 or not all(part.isdecimal() and part.isascii() and int(part) for part in parts):
        raise UserError(
            f"--input {text}: channels x height x width is expected, like 3x128x128, or channels x length, like 9x128"
        )
    dims = tuple(int(part) for part in parts)
    excess = too_large(dims)
    if excess:
        raise UserError(f"--input {text}: {excess}")
    return dims


def parse_numbers(option: str, text: str) -> tuple[float, ...]:
    """Comma-separated numbers; 1/255 is one, too."""
    try:
        numbers = tuple(_number(part) for part in text.replace(" ", ",").split(",") if part)
    except (ValueError, ZeroDivisionError):
        numbers = ()
    if not numbers:
        raise UserError(f"{option} {text}: numbers are expected, separated by commas, like 0.485,0.456,0.406")
    return numbers


def _number(text: str) -> float:
    top, slash, bottom = text.partition("/")
    return float(top) / float(bottom) if slash else float(top)


def parse_widths(text: str) -> tuple[str, Widths]:
    """``cnn.1.0=w8a12`` as the layer's name and its widths."""
    found = re.fullmatch(r"(.+)=(?=[wa])(?:w(\d+))?(?:a(\d+))?", text, re.ASCII | re.DOTALL)
    if found is None:
        raise UserError(f"--layer {text}: a layer and its widths are expected, like cnn.1.0=w8a12, or =w4, or =a6")
    weights, activations = (None if bits is None else int(bits) for bits in found.group(2, 3))
    return found.group(1), Widths(weights, activations)


def note(warning: Warning | str) -> None:
    """Print what the user should know."""
    out.print(f"[yellow]note[/] {message(str(warning))}", soft_wrap=True)


def message(text: str) -> str:
    """What the package says, an error or a note, as a part of what is printed: with options for parameters."""
    return plain(with_options(text))


def plain(text: str) -> str:
    """``text`` from elsewhere as a part of what is printed: on one line, and nothing in it is markup."""
    return escape(_shown(text))


def _shown(text: str) -> str:
    """A line as the terminal gets it."""
    return visible(text, NO_BREAK_SPACE + UNDECODED)
