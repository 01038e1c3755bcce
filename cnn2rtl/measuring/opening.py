"""The project of a design, wherever that is."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from cnn2rtl import schema
from cnn2rtl.compiled import Compiled
from cnn2rtl.errors import Notice
from cnn2rtl.graph import QuantGraph
from cnn2rtl.images import ImageSet, given_images
from cnn2rtl.pictures import Channels, Fit, Preparation
from cnn2rtl.project import Project, open_project
from cnn2rtl.workspace import NEW, workspace

Design: TypeAlias = "str | os.PathLike[str] | Project | Compiled"
"""A folder that a project was written to, the project in one, or a design that need not be written anywhere."""


def opened(design: str | os.PathLike[str] | Project) -> Project:
    """The project in a folder, or the one that is open already."""
    return design if isinstance(design, Project) else open_project(Path(design))


def preparation(design: Project | Compiled, fit: Fit | None, channels: Channels | None) -> Preparation:
    """How pictures become what ``design`` takes: as it was made for, where nothing else is asked for.

    What is asked for against that is told (:class:`Notice`).
    """
    about = schema.parse(design.rendered["design.json"]) if isinstance(design, Compiled) else design.about
    own = about.options
    for name, asked, made in (("fit", fit, own.fit), ("channels", channels, own.channels)):
        if asked is not None and asked != made:
            warnings.warn(
                Notice(f'`{name}="{asked}"`: the design was made for pictures with `{name}="{made}"`'), stacklevel=3
            )
    return Preparation(fit or own.fit, channels or own.channels)


def given_images_of(
    parameter: str,
    given: Any,
    graph: QuantGraph | None,
    how: Preparation,
    limit: int | None = None,
    labels: Any = None,
) -> ImageSet | None:
    """Images for ``graph``, as :func:`cnn2rtl.images.given_images`; without one, whether there is a file at all."""
    shapes, numbers = (None, {}) if graph is None else (graph.inputs, graph.numbers)
    return given_images(parameter, given, shapes, how.fit, limit, labels, how.channels, numbers)


@contextmanager
def as_project(design: Design) -> Iterator[str | os.PathLike[str] | Project]:
    """Where the project of ``design`` is: for one that was not written, in a folder that goes again."""
    if not isinstance(design, Compiled):
        yield design
        return
    with workspace(Path(tempfile.gettempdir()), "project") as folder:
        design.write(folder / NEW)
        yield folder / NEW
