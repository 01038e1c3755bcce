"""The page, from ``design.json`` alone: the same contents give the same bytes."""

from __future__ import annotations

from cnn2rtl.render import templates
from cnn2rtl.render.report.answers import answers
from cnn2rtl.render.report.charts import memory_bars, resource_bars, synthesis_bars, time_bars, timeline
from cnn2rtl.render.report.outputs import found_of
from cnn2rtl.render.report.picture import TALL, WIDE, picture
from cnn2rtl.render.report.view import MEMORIES, View, number, percent, resources_of
from cnn2rtl.schema import About


def report(about: About) -> str:
    """``report.html`` for ``about``, the contents of ``design.json``."""
    view = View(about)
    return templates.fill(
        "report/page.html.j2",
        about=about,
        view=view,
        percent=percent,
        number=number,
        length=_length,
        answers=answers(view),
        outputs=found_of(view),
        pictures={"wide": picture(view, WIDE), "tall": picture(view, TALL)},
        times=time_bars(view),
        timeline=timeline(view),
        resources=resource_bars(view),
        synthesis=synthesis_bars(view),
        memories=memory_bars(view),
        memory_names=tuple(MEMORIES.values()),
        resource_names=resources_of(about.estimate),
    )


def _length(share: float) -> str:
    """A share as a style sheet has it."""
    return f"{100 * share:.3f}".rstrip("0").rstrip(".") + "%"
