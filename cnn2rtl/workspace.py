"""Folders of our own, in which things are made: they go again, also where their process was killed.

Their names say whose they are, and their processes keep them locked; the system lets go of a lock when its process
ends, however it ends. What has another name or owner, a lock that is held, or more in it than we put there stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

NEW = "new"
"""What is in the making is called so, within the workspace."""
OLD = "old"
"""What it takes the place of is called so meanwhile."""


@contextlib.contextmanager
def workspace(parent: Path, name: str) -> Iterator[Path]:
    """A hidden folder in ``parent`` to make ``name`` in. It goes in the end, and before, those that were left by the
    killed: where one of these took ``name`` away and put nothing in its place, it comes back."""
    sweep(parent, name)
    with contextlib.ExitStack() as stack:
        work = None
        while work is None:
            made = Path(tempfile.mkdtemp(prefix=_prefix(name), dir=parent))
            # Whoever sweeps might have come between.
            with contextlib.suppress(FileNotFoundError):
                stack.enter_context(_open(made)).lock()
                work = made
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def sweep(parent: Path, name: str) -> None:
    """Remove what killed processes left in ``parent`` of making ``name``."""
    pattern = re.compile(re.escape(_prefix(name)) + r"[a-z0-9_]{8}")
    # What cannot be read or removed is in nobody's way.
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name):
                _sweep_one(Path(entry.path), parent / name)


@contextlib.contextmanager
def own_folder(parent: Path, name: str) -> Iterator[Path]:
    """The folder ``name`` in ``parent``, or ``name-2`` and so on where others are at work; it stays."""
    for number in count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        folder.mkdir(parents=True, exist_ok=True)
        with _open(folder) as opened:
            if opened.lock() is not False:
                yield folder
                return


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process is in here for ``folder``."""
    with _open(folder) as opened:
        opened.lock(wait=True)
        yield


class _Opened:
    """An open folder."""

    def __init__(self, file: int) -> None:
        self.file = file

    def lock(self, wait: bool = False) -> bool | None:
        """Whether it is locked now, by us: false where another process has it; none where nothing can be locked."""
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:
            return None
        return True


@contextlib.contextmanager
def _open(folder: Path) -> Iterator[_Opened]:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield _Opened(file)
    finally:
        os.close(file)


def _prefix(name: str) -> str:
    """Of all that is made for ``name``, and short enough for 255 bytes, whatever the name is written in."""
    short = name if len(name) <= 40 else f"{name[:32]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:7]}"
    return f".{short}.cnn2rtl-"


def _sweep_one(work: Path, target: Path) -> None:
    with contextlib.suppress(OSError), _open(work) as opened:
        ours = os.fstat(opened.file).st_uid == os.geteuid() and {path.name for path in work.iterdir()} <= {NEW, OLD}
        if ours and opened.lock():
            if (work / OLD).exists() and not os.path.lexists(target):
                (work / OLD).rename(target)
            shutil.rmtree(work)
