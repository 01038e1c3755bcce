"""The largest of everything: beyond, nothing an FPGA could be meant for, and more than a machine's memory or a day.

Sizes are judged by these before anything of that size is made.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable
from math import prod
from pathlib import Path

from cnn2rtl.tensors import times

MOST_VALUES = 1 << 25
"""Values of a map, its padding included, or of a constant that a model computes: 16 channels of 1080x1920 pixels."""

MOST_STEPS = 1 << 37
"""Values that a layer takes for one frame, one for each of its multiplications: nine times those of VGG-16."""

MOST_PICTURE = 178_956_970
"""Pixels of a picture, as many as Pillow decodes: 13,377 x 13,377."""

LARGE_PICTURE = 1 << 25
"""Pixels from which on pictures are decoded one at a time, and no larger than is needed."""

MOST_INFLATED = 200, 1 << 28
"""How many times its size in a file an array may have, and from so many bytes on: nothing real shrinks so far."""


def too_large(shape: Iterable[int], most: int = MOST_VALUES) -> str:
    """Why nothing of this ``shape`` can be had: ``3x60000x60000 are 10,800,000,000 values...``; empty if it can."""
    dims = tuple(shape)
    count = prod(dims)
    return f"{times(dims)} are {count:,} values, and {most:,} are the most" if count > most else ""


def too_long(steps: int) -> str:
    """Why a layer of so many ``steps`` for one frame cannot be had; empty if it can."""
    return f"takes {steps:,} values for every frame, and {MOST_STEPS:,} are the most" if steps > MOST_STEPS else ""


def most_image_bytes() -> int:
    """Half of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def too_many(count: int, size: Iterable[int]) -> str:
    """Why so many images of a ``size`` cannot be held, a byte for each value; empty if they can."""
    dims, most = tuple(size), most_image_bytes()
    needed = count * prod(dims)
    if needed <= most:
        return ""
    return (
        f"{count:,} images of {times(dims)} take {needed / 1e9:,.1f} GB, and half of this machine's memory, "
        f"{most / 1e9:,.1f} GB, is the most; take fewer"
    )


def check_zip(data: bytes | Path) -> None:
    """Raise ``ValueError`` for a zip file with a member that grows beyond all reason; what is no zip file passes."""
    try:
        with zipfile.ZipFile(io.BytesIO(data) if isinstance(data, bytes) else data) as archive:
            grown = _bomb(archive)
    except (zipfile.BadZipFile, OSError):
        return
    if grown:
        raise ValueError(grown)


def _bomb(archive: zipfile.ZipFile) -> str:
    ratio, least = MOST_INFLATED
    for member in archive.infolist():
        if member.file_size > max(least, ratio * member.compress_size):
            return (
                f"`{member.filename}` would grow from {member.compress_size:,} to {member.file_size:,} bytes, and "
                f"{ratio} times is the most"
            )
    return ""
