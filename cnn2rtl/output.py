"""Writing a project folder, or a file: all of it or nothing, and never over anything that is not ours."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from cnn2rtl.errors import UserError
from cnn2rtl.workspace import NEW, OLD, sweep, workspace

MANIFEST = "manifest.json"
REPLACED = (MANIFEST, "design.json", "report.html")
"""Files of a project that later commands write anew."""
BUILD_FOLDERS = ("sim/build", "syn/vivado/build", "syn/quartus/build", "syn/yosys/build", "sim/__pycache__")
"""What tools make inside a project; it goes when the project is written anew."""


def check_target(out: Path, force: bool = False) -> None:
    """Raise :class:`UserError` where writing a project to ``out`` would lose something of the user's.

    ``force`` allows to discard changes within a project; a folder that holds no project is never touched.
    """
    with tidy_errors(out):
        _check_place(out)
        sweep(out.parent, out.name)
        for name in REPLACED:
            sweep(out, name)
        if out.exists() and any(out.iterdir()):
            _check_contents(out, force)


def _check_place(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        what = "link" if out.is_symlink() else "file"
        raise UserError(f"{out}: exists and is a {what}, not a folder; choose another name with `out=`")
    if out.exists() and Path.cwd().is_relative_to(out.resolve()):
        raise UserError(
            f"{out}: the current folder is in it, so it cannot be replaced; run cnn2rtl from elsewhere, or choose "
            "another folder with `out=`"
        )
    if os.path.ismount(out):
        raise UserError(f"{out}: is a mount point and cannot be replaced; choose a folder within it with `out=`")
    _check_above(out, "choose another place with `out=`")


def _check_above(out: Path, remedy: str) -> None:
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        what = "may not be written to" if parent.is_dir() else "is no folder"
        raise UserError(f"{out}: {parent} {what}; {remedy}")


def _check_contents(out: Path, force: bool) -> None:
    manifest = _manifest(out)
    if manifest is None:
        raise UserError(
            f"{out}: exists and is not a folder that cnn2rtl made; it stays as it is: choose another one with `out=`"
        )
    mounted = [path for path in out.rglob("*") if os.path.ismount(path)]
    if mounted:
        raise UserError(
            f"{out}: {mounted[0]} is a mount point and cannot be replaced; choose another folder with `out=`"
        )
    own = [path for path in _files(out) if not path.startswith(tuple(f"{b}/" for b in BUILD_FOLDERS))]
    changed = [p for p in own if p != MANIFEST and (p not in manifest or manifest[p] != _digest_of(out / p))]
    if changed and not force:
        raise UserError(
            f"{out}: holds files that were added or changed since it was generated ({few(changed)}); "
            "choose another folder with `out=`, or give `force=True` to discard them"
        )


def write_project(out: Path, files: Mapping[str, str | bytes], force: bool = False) -> None:
    """Put ``files`` (path to contents) into the folder ``out``, replacing an earlier project there.

    They are written beside ``out`` and take its place in one step, so that even a killed process or a full
    disk leaves what was there before, or all of the new.
    """
    check_target(out, force)
    contents = {path: text.encode() if isinstance(text, str) else text for path, text in sorted(files.items())}
    digests = {path: _digest(data) for path, data in contents.items()}
    contents[MANIFEST] = (json.dumps(digests, indent=1) + "\n").encode()
    with tidy_errors(out), _signals_wait(), _parent(out), workspace(out.parent, out.name) as work:
        fresh = work / NEW
        for path, data in contents.items():
            target = fresh / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        _put(fresh, out, work / OLD)


def _put(fresh: Path, out: Path, old: Path) -> None:
    """Let ``fresh`` take the place of ``out``. A project there goes to where ``fresh`` was, or to ``old``."""
    if not out.exists():
        fresh.rename(out)
    elif not _exchange(fresh, out):
        # Not in one step, where the system cannot do it.
        out.rename(old)
        try:
            fresh.rename(out)
        except OSError:
            old.rename(out)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step, which Python has no function for; false where the file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return renameat2 is not None and renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def check_file(path: Path, force: bool = False) -> None:
    """Raise :class:`UserError` where writing the file ``path`` would lose something, or cannot succeed.

    ``force`` allows to replace a plain file; a folder, a link or a device is never touched.
    """
    with tidy_errors(path):
        if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
            raise UserError(f"{path}: exists and is no plain file; it stays as it is: choose another name")
        if path.exists() and not force:
            raise UserError(f"{path}: exists; choose another name, or give `force=True` to replace it")
        _check_above(path, "choose another place")


def write_file(path: Path, data: bytes, force: bool = False) -> None:
    """Let ``data`` be the contents of the file ``path``, in one step; folders above it are made."""
    check_file(path, force)
    with tidy_errors(path), _signals_wait(), _parent(path), workspace(path.parent, path.name) as work:
        fresh = work / NEW
        fresh.write_bytes(data)
        fresh.replace(path)


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Let Ctrl-C and the like take effect after the body, which is short: a half-tidied folder helps nobody."""
    waiting: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        waiting.append(number)

    earlier: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        earlier = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) not in (None, signal.SIG_IGN)}
    try:
        for number in earlier:
            signal.signal(number, note)
        yield
    finally:
        for number in earlier:
            signal.signal(number, earlier[number])
        if waiting:
            signal.raise_signal(waiting[0])


@contextlib.contextmanager
def _parent(out: Path) -> Iterator[None]:
    """Make the folders above ``out``; those that were made go again if the body fails."""
    made = [folder for folder in out.parents if not folder.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


@contextlib.contextmanager
def tidy_errors(target: Path) -> Iterator[None]:
    """Turn what the file system refuses into a :class:`UserError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{target}: the disk is full; nothing was changed. Make room and run it again") from None
        raise UserError(f"{target}: cannot be written ({error.strerror}); nothing was changed") from None


def replace_file(folder: Path, path: str, text: str) -> None:
    """Give a generated file of the project in ``folder`` other contents, in one step.

    It counts as generated afterwards, unless the user had changed it before.
    """
    data = text.encode()
    manifest = _manifest(folder) or {}
    changes = {path: data}
    if unchanged(folder, path):
        changes[MANIFEST] = (json.dumps({**manifest, path: _digest(data)}, indent=1) + "\n").encode()
    with tidy_errors(folder), _signals_wait():
        for name, contents in changes.items():
            with workspace(folder, name) as work:
                fresh = work / NEW
                fresh.write_bytes(contents)
                fresh.replace(folder / name)


def unchanged(folder: Path, path: str) -> bool:
    """Whether a generated file of the project in ``folder`` is as we wrote it, or gone."""
    manifest, place = _manifest(folder) or {}, folder / path
    return path in manifest and (not os.path.lexists(place) or manifest[path] == _digest_of(place))


def changed_files(folder: Path) -> list[str]:
    """The paths of generated files of the project in ``folder`` that are no longer as we wrote them; those that are
    gone are not among them."""
    manifest = _manifest(folder) or {}
    return sorted(
        path
        for path, digest in manifest.items()
        if os.path.lexists(folder / path) and _digest_of(folder / path) != digest
    )


def listed_files(folder: Path) -> list[str]:
    """The paths of all files that were generated into the project in ``folder``."""
    return sorted(_manifest(folder) or ())


def few(names: list[str]) -> str:
    """The first of ``names``, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _manifest(folder: Path) -> dict[str, str] | None:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and "design.json" in manifest else None


def _files(folder: Path) -> list[str]:
    """All that is not a plain folder. A link is a thing of its own, wherever it leads."""
    paths = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def _digest_of(path: Path) -> str | None:
    """The digest of a plain file; nothing that we write is a link, a pipe or a device."""
    return None if path.is_symlink() or not path.is_file() else _digest(path.read_bytes())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
