"""What was found of each output: its decisions with their confusion matrices, or its values with their errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cnn2rtl.render.report.view import View, percent
from cnn2rtl.schema import Confusion, Decisions, Errors, Judged, Values

LARGEST = 32
"""Classes of a matrix that is shown whole; of others, the pairs that are confused most."""

PAIRS = 100
"""So many of these at most."""


@dataclass(frozen=True)
class Table:
    """Rows of text below a ``head``. Where there is a ``diagonal``, cell i + 1 of row i counts what is right."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    diagonal: bool = False


@dataclass(frozen=True)
class Found:
    """An output: what it is taken for, and what was found, the most important fact first."""

    name: str
    title: str
    lines: tuple[str, ...]
    tables: tuple[Table, ...]


def found_of(view: View) -> tuple[Found, ...]:
    """Of every output that was judged."""
    result = view.results.accuracy
    return () if result is None else tuple(map(_found, result.outputs))


def _found(judged: Judged) -> Found:
    decisions, values = judged.decisions, judged.values
    if decisions is not None:
        lines, tables = tuple(_decided(decisions)), tuple(_matrices(decisions))
    elif values is not None:
        lines, tables = tuple(_valued(values)), tuple(_channels(values))
    else:
        lines, tables = (), ()
    return Found(judged.output, f"{judged.task}, {judged.why}", lines, tables)


def _decided(found: Decisions) -> Iterator[str]:
    if found.integer_accuracy is not None and found.float_accuracy is not None:
        yield f"{percent(found.integer_accuracy)} right"
        yield f"{percent(found.float_accuracy)} in float"
        yield f"{percent(found.agreement)} {found.measure} agreement of the two"
    else:
        yield f"{percent(found.agreement)} agreement"
        yield f"{found.measure}, with the float network"
    for further in found.further:
        floats = "" if further.floats is None else f", {percent(further.floats)} in float"
        yield f"{further.name} {percent(further.integers)}{floats}"


def _valued(found: Values) -> Iterator[str]:
    yield "exact" if found.sqnr is None else f"SQNR {found.sqnr:.1f} dB"
    yield f"error {_errors(found.between)}, in the output's own units"
    if found.of_integers is not None and found.of_floats is not None:
        yield f"from the labels {_errors(found.of_integers)}"
        yield f"in float {_errors(found.of_floats)}"


def _errors(found: Errors) -> str:
    return f"{found.mean:.3g} mean, {found.rms:.3g} rms, {found.largest:.3g} largest"


def _channels(found: Values) -> Iterator[Table]:
    if len(found.by_channel) > 1:
        rows = tuple(
            (f"{number}", *(f"{value:.3g}" for value in (own.mean, own.rms, own.largest)))
            for number, own in enumerate(found.by_channel[:PAIRS])
        )
        yield Table("Errors by channel", ("channel", "mean", "rms", "largest"), rows)


def _matrices(found: Decisions) -> Iterator[Table]:
    """Rows are what is right, columns what the hardware says."""
    right = "float network" if found.integer_accuracy is None else "label"
    if len(found.confusions) > 1:
        yield _labels(found, right)
        return
    for matrix in found.confusions:
        counts = {(row, column): count for row, column, count in matrix.counts}
        if matrix.classes <= LARGEST:
            every = range(matrix.classes)
            names = tuple(_name(found, number) for number in every)
            rows = tuple(
                (names[row], *(f"{counts.get((row, column), 0):,}" for column in every)) for row in every
            )  # fmt: skip
            yield Table(f"Rows: {right}; columns: hardware", ("", *names), rows, diagonal=True)
        else:
            yield _confused(found, matrix, right)


def _name(found: Decisions, number: int) -> str:
    return found.class_names[number] if number < len(found.class_names) else f"{number}"


def _labels(found: Decisions, right: str) -> Table:
    """Every label has a row, of what happens to its yeses and noes."""
    head = ("channel", f"{right} yes, hardware yes", "yes, no", "no, yes", "no, no")
    rows = []
    for number, matrix in enumerate(found.confusions[:PAIRS]):
        counts = {(row, column): count for row, column, count in matrix.counts}
        rows.append((f"{number}", *(f"{counts.get(pair, 0):,}" for pair in ((1, 1), (1, 0), (0, 1), (0, 0)))))
    return Table("Labels", head, tuple(rows))


def _confused(found: Decisions, matrix: Confusion, right: str) -> Table:
    wrong = sorted((-count, row, column) for row, column, count in matrix.counts if row != column)
    rows = tuple((_name(found, row), _name(found, column), f"{-count:,}") for count, row, column in wrong[:PAIRS])
    title = f"Confused most often, of {len(wrong):,} pairs of classes that are"
    return Table(title, (right, "hardware", "times"), rows)
