"""Writing a project folder: all of it or nothing, and never over anything that is not ours."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from cnn2rtl.errors import UserError

MANIFEST = "manifest.json"
BUILD_FOLDERS = ("sim/build", "syn/vivado/build", "syn/quartus/build", "syn/yosys/build", "sim/__pycache__")
"""What tools make inside a project; it goes when the project is written anew."""


def check_target(out: Path, force: bool = False) -> None:
    """Raise :class:`UserError` where writing a project to ``out`` would lose something of the user's.

    ``force`` allows to discard changes within a project; a folder that holds no project is never touched.
    """
    with tidy_errors(out):
        _check_place(out)
        if out.exists() and any(out.iterdir()):
            _check_contents(out, force)


def _check_place(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UserError(f"{out}: exists and is no folder; choose another one with -o")
    if out.exists() and Path.cwd().is_relative_to(out.resolve()):
        raise UserError(
            f"{out}: the current folder is in it, so it cannot be replaced; run cnn2rtl from elsewhere, or choose "
            "another folder with -o"
        )
    if os.path.ismount(out):
        raise UserError(f"{out}: is a mount point and cannot be replaced; choose a folder within it with -o")
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        what = "may not be written to" if parent.is_dir() else "is no folder"
        raise UserError(f"{out}: {parent} {what}; choose another place with -o")


def _check_contents(out: Path, force: bool) -> None:
    manifest = _manifest(out)
    if manifest is None:
        raise UserError(
            f"{out}: exists and is not a folder that cnn2rtl made; it stays as it is: choose another one with -o"
        )
    own = [path for path in _files(out) if not path.startswith(tuple(f"{b}/" for b in BUILD_FOLDERS))]
    changed = [p for p in own if p != MANIFEST and manifest.get(p) != _digest_of(out / p)]
    if changed and not force:
        some = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        raise UserError(
            f"{out}: holds files that were added or changed since it was generated ({some}); "
            "choose another folder with -o, or give --force to discard them"
        )


def write_project(out: Path, files: Mapping[str, str | bytes], force: bool = False) -> None:
    """Put ``files`` (path to contents) into the folder ``out``, replacing an earlier project there.

    They are written beside ``out`` and moved into place at once, so that an interruption or a full
    disk leaves what was there before.
    """
    check_target(out, force)
    contents = {path: text.encode() if isinstance(text, str) else text for path, text in sorted(files.items())}
    digests = {path: _digest(data) for path, data in contents.items()}
    contents[MANIFEST] = (json.dumps(digests, indent=1) + "\n").encode()
    with tidy_errors(out), _parent(out):
        work = Path(tempfile.mkdtemp(prefix=f".{out.name[:100]}.", dir=out.parent))
        fresh, old = work / "new", work / "old"
        try:
            for path, data in contents.items():
                target = fresh / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            if out.exists():
                out.rename(old)
            fresh.rename(out)
        finally:
            # Wherever an interruption hits, what was there before is back before the rest goes.
            if old.exists() and not out.exists():
                old.rename(out)
            shutil.rmtree(work, ignore_errors=True)


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
