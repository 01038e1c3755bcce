"""What is in a model file, by its first bytes and the names in it: told without torch, and without running anything."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Literal, TypeAlias

from cnn2rtl import zoo
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import other_formats
from cnn2rtl.limits import check_zip

Content: TypeAlias = Literal["archive", "zip", "legacy", "safetensors"]
"""``archive`` (torch.export), ``zip`` or ``legacy`` (torch.save), ``safetensors``."""

WITHOUT_NETWORK = (
    "holds weights without a network (a state_dict); "
    'say which network with `arch="FILE.py:NAME"`, a class or a factory without arguments'
)

ZOO = "zoo:"
"""What the name of an untrained network of :mod:`cnn2rtl.zoo` begins with."""

_LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


def is_fresh(path: Path) -> bool:
    """Whether ``path`` names an untrained network and no file: ``zoo:NAME`` or ``FILE.py:NAME``."""
    return path.name.startswith(ZOO) or (".py:" in path.name and not path.exists())


def split_weights(path: Path) -> tuple[Path, str | None]:
    """The file, and which of the weights in it: ``FILE:KEY`` where that is no file of its own."""
    file, colon, key = str(path).rpartition(":")
    return (Path(file), key) if colon and key and not path.exists() and Path(file).is_file() else (path, None)


def check_arch(arch: str, parameter: str = "arch") -> None:
    """Raise :class:`UserError` where ``arch`` is neither a network of the zoo's nor ``FILE.py:NAME``."""
    if arch.startswith(ZOO):
        zoo.settings_of(arch)
    else:
        split_arch(arch, parameter)


def split_arch(arch: str, parameter: str = "arch") -> tuple[Path, str]:
    """The file and the name in ``FILE.py:NAME``; ``parameter`` is what the user gave it as.

    Raises :class:`UserError` where it is no such thing, or the file is not there.
    """
    file, colon, name = arch.rpartition(":")
    if not colon or not file or not name.isidentifier():
        raise UserError(f"`{parameter}={arch}`: expected FILE.py:NAME, for instance student.py:StudentNet")
    if not Path(file).is_file():
        raise UserError(f"`{parameter}=`: {file}: no such file")
    return Path(file), name


def read_file(path: Path) -> bytes:
    """All of a model file; raises :class:`UserError` where there is none."""
    if path.is_dir():
        raise UserError(f"{path}: {other_formats.of_folder(path) or 'is a folder; a model file is expected'}")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        meant = other_formats.of_name(str(path))
        raise UserError(f"{path}: no such file{meant and f'; {meant}'}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if not data:
        raise UserError(f"{path}: the file is empty")
    return data


def content_of(path: Path, data: bytes) -> Content:
    """What ``data``, the bytes of ``path``, are; raises :class:`UserError` for anything that is not read."""
    if data.startswith(b"PK\x03\x04"):
        try:
            names = set(zipfile.ZipFile(io.BytesIO(data)).namelist())
        except Exception:
            raise UserError(f"{path}: the file is truncated or damaged") from None
        try:
            check_zip(data)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
        inner = {name.partition("/")[2] for name in names}
        if "archive_format" in inner or "serialized_exported_program.json" in names:
            return "archive"
        other = other_formats.of_zip(names)
        if other:
            raise UserError(f"{path}: {other}")
        if "data.pkl" in inner:
            return "zip"
        raise UserError(f"{path}: a zip file, but none that torch.save or torch.export.save writes")
    if _is_safetensors(data):
        return "safetensors"
    if data.startswith(_LEGACY_MAGIC):
        return "legacy"
    if _LEGACY_MAGIC.startswith(data):
        raise UserError(f"{path}: the file is truncated or damaged")
    if data[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise UserError(f"{path}: a Python pickle that torch.save did not write; save the model with torch.export.save")
    other = other_formats.of_file(path, data)
    if other:
        raise UserError(f"{path}: {other}")
    raise UserError(
        f"{path}: not a PyTorch file; expected what torch.export.save or torch.save writes (.pt2, .pt, .pth, .bin)"
    )


def _is_safetensors(data: bytes) -> bool:
    """A header of JSON, after its length."""
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8
