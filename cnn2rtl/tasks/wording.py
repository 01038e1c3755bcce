"""What was found of an output, in words, for the terminal; the report says the same from ``design.json``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

from cnn2rtl.tasks.choice import Choice, Judgement
from cnn2rtl.tasks.figures import Differences, Errors


def summary(found: Judgement) -> str:
    """In one line."""
    decided, valued = found.score.decided, found.score.valued
    if decided is not None:
        right = (
            ""
            if found.integer_accuracy is None or found.float_accuracy is None
            else f", {found.integer_accuracy:.1%} right in integers, {found.float_accuracy:.1%} in floats"
        )
        return f"{found.agreement:.1%} {found.choice.task.measure} agreement{right}"
    assert valued is not None
    between, integers, floats = valued.between, valued.of_integers, valued.of_floats
    wrong = (
        ""
        if integers is None or floats is None
        else f"; from the labels {number(integers.errors.rms)} in integers, {number(floats.errors.rms)} in floats"
    )
    return f"rms error {number(between.errors.rms)}, SQNR {decibels(between.sqnr)}{wrong}"


def lines(found: Judgement) -> Iterator[tuple[str, str]]:
    """Titles, empty where the one before goes on, and what they say."""
    yield from _decided(found)
    if found.score.decided is None:
        yield from _valued(found)


def _decided(found: Judgement) -> Iterator[tuple[str, str]]:
    decided, task = found.score.decided, found.choice.task
    if decided is None or found.agreement is None:
        return
    agreed = f"{decided.agreed} of {decided.count} {task.unit}"
    yield f"{task.measure} agreement", f"{100 * found.agreement:.1f} %  ({agreed})"
    if found.float_accuracy is not None and found.integer_accuracy is not None:
        yield "accuracy", f"{100 * found.float_accuracy:.1f} % float"
        yield "", f"{100 * found.integer_accuracy:.1f} % integer, the same in hardware"
    for further in found.further:
        if further.floats is None:
            yield further.name, f"{100 * further.integers:.1f} %  of the two"
        else:
            yield further.name, f"{100 * further.floats:.1f} % float"
            yield "", f"{100 * further.integers:.1f} % integer, the same in hardware"


def _valued(found: Judgement) -> Iterator[tuple[str, str]]:
    valued = found.score.valued
    if valued is None:
        return
    yield "error", f"{errors(valued.between.errors)}, between integers and floats, in the output's own units"
    yield "SQNR", decibels(valued.between.sqnr)
    if valued.of_floats is not None and valued.of_integers is not None:
        yield "from the labels", f"{errors(valued.of_floats.errors)} in floats"
        yield "", f"{errors(valued.of_integers.errors)} in integers, the same in hardware"


def drop_words(choices: Sequence[Choice], drop: float, images: int) -> str:
    """That so many points are lost, and of what, on so many images."""
    on = f"on {images} images"
    if len(choices) > 1:
        kinds = ", ".join(f"{choice.task.output.name} by {choice.task.kind}" for choice in choices)
        return f"the worst of {len(choices)} outputs ({kinds}) drops by {drop:.2f} points {on}"
    (choice,) = choices
    if not choice.task.unit:
        grows = "is" if choice.truth is None else "from the labels grows by"
        return f"the rms error {grows} {drop:.2f} points, hundredths of the values' standard deviation, {on}"
    what = "agreement with the float network" if choice.truth is None else "accuracy"
    one = f" (one is {100 / images:.2g})" if choice.task.unit == "images" else f", of all their {choice.task.unit}"
    return f"{what} drops by {drop:.2f} points {on}{one}"


def by_channel(valued: Differences) -> tuple[tuple[str, ...], ...]:
    """Rows of a table: the channel's number, and its errors."""
    return tuple(
        (f"{channel}", number(own.mean), number(own.rms), number(own.largest))
        for channel, own in enumerate(valued.by_channel)
    )


def errors(found: Errors) -> str:
    return f"{number(found.mean)} mean, {number(found.rms)} rms, {number(found.largest)} largest"


def number(value: float) -> str:
    """With three digits."""
    return f"{value:.3g}"


def decibels(value: float) -> str:
    return "exact" if value == inf else f"{value:.1f} dB"
