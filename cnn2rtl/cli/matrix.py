"""A confusion matrix as a table that a terminal of 80 columns has room for."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from cnn2rtl.cli import console
from cnn2rtl.tasks.figures import Confusion

COLUMNS = 80
MOST = 10
"""Classes that there is room for."""

LONGEST = 16
"""Characters of a class's name that are shown."""


def matrix(found: Confusion, names: Sequence[str], right: str) -> Table:
    """Rows are what is ``right``, columns what the hardware says: counts or, where these are too long, percents of
    their row."""
    every = range(found.classes)
    labels = [f"{i}" if i >= len(names) or names[i] == f"{i}" else f"{i} {names[i][:LONGEST]}" for i in every]
    cells = [[f"{found.counts.get((row, column), 0):,}" for column in every] for row in every]
    first = max(map(len, [*labels, title := f"{right} \\ hardware"]))
    if first + sum(2 + max(map(len, column)) for column in zip(*cells, strict=True)) > COLUMNS:
        cells, title = _percents(found), f"{title} %"
    table = console.table(title, *map(str, every))
    for label, row in zip(labels, cells, strict=True):
        table.add_row(console.plain(label), *("." if cell == "0" else cell for cell in row))
    return table


def _percents(found: Confusion) -> list[list[str]]:
    rows = []
    for row in range(found.classes):
        counts = [found.counts.get((row, column), 0) for column in range(found.classes)]
        every = sum(counts)
        rows.append([f"{100 * count / every:.1f}" if every else "" for count in counts])
    return rows
