"""The folder of a run, as far as it can be told without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cnn2rtl.errors import UserError
from cnn2rtl.output import tidy_errors

CHECKPOINT, NETWORK, TEACHER = "checkpoint.pt", "network.pt", "teacher.pt"
FILES = (CHECKPOINT, NETWORK, TEACHER, "log.csv", "log.json", "curve.png")
"""All that a run leaves in its folder."""


def check_folder(folder: Path, restart: bool = False, force: bool = False) -> None:
    """Raise :class:`UserError` for anything but a run's folder; what ``restart`` discards needs ``force``."""
    with tidy_errors(folder):
        _check_kind(folder)
        others = sorted(f.name for f in folder.glob("*") if f.name not in FILES and not f.name.startswith("."))
        there = (folder / CHECKPOINT).is_file()
    if others and not there:
        raise UserError(f"{folder}: exists and holds {others[0]}, but no run; choose another folder with `folder=`")
    if restart and there and not force:
        raise UserError(
            f"{folder}: holds a run; give `force=True` as well to discard it, or another folder with `folder=`"
        )


def check_run(folder: Path, stages: Sequence[str], restart: bool = False, force: bool = False) -> None:
    """As :func:`check_folder`; where there are ``stages``, each has a folder of its own within that of the run."""
    if not stages:
        check_folder(folder, restart, force)
        return
    with tidy_errors(folder):
        _check_kind(folder)
        others = sorted(f.name for f in folder.glob("*") if f.name not in stages and not f.name.startswith("."))
    if others:
        raise UserError(
            f"{folder}: exists and holds {others[0]}, which is no part of this run; choose another folder with "
            "`folder=`"
        )
    for stage in stages:
        check_folder(folder / stage, restart, force)


def _check_kind(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UserError(f"{folder}: exists and is no folder; choose another one with `folder=`")


def discard(folder: Path) -> None:
    """Remove the run in ``folder``, and nothing else."""
    with tidy_errors(folder):
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
