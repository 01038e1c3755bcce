"""The project of a design, wherever that is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from cnn2rtl.compiled import Compiled
from cnn2rtl.project import Project, open_project
from cnn2rtl.workspace import NEW, workspace

Design: TypeAlias = "str | os.PathLike[str] | Project | Compiled"
"""A folder that a project was written to, the project in one, or a design that need not be written anywhere."""


def opened(design: str | os.PathLike[str] | Project) -> Project:
    """The project in a folder, or the one that is open already."""
    return design if isinstance(design, Project) else open_project(Path(design))


@contextmanager
def as_project(design: Design) -> Iterator[str | os.PathLike[str] | Project]:
    """Where the project of ``design`` is: for one that was not written, in a folder that goes again."""
    if not isinstance(design, Compiled):
        yield design
        return
    with workspace(Path(tempfile.gettempdir()), "project") as folder:
        design.write(folder / NEW)
        yield folder / NEW
