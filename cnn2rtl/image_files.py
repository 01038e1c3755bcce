"""Image files as raw 8-bit pixels: read side by side, and told of where they cannot be used."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from cnn2rtl.errors import Notice, UserError
from cnn2rtl.limits import LARGE_PICTURE, MOST_PICTURE, too_many
from cnn2rtl.pictures import MODES, Facts, Pixels, Preparation, prepared, told
from cnn2rtl.tensors import Shape

# What it says of damaged pictures names no file; whoever wants to hear it can.
logging.getLogger("PIL").addHandler(logging.NullHandler())

Skip: TypeAlias = Callable[[str], None]
"""Hears of an image file that cannot be used, and is left out."""


@dataclass(frozen=True)
class Reading:
    """How image files become images of ``shape`` (c, h, w); the others are as in :func:`cnn2rtl.images.load_images`."""

    shape: Shape
    how: Preparation
    skip: Skip | None
    progress: Callable[[int, int], None] | None


def read_files(files: Sequence[Path], reading: Reading) -> tuple[Pixels, list[int]]:
    """The images in ``files``, and which of them these are: all, but for those that were skipped.

    What was done to them is told (:class:`Notice`).
    """
    channels, height, width = reading.shape
    if channels not in MODES:
        raise UserError(
            f"image files have 1 or 3 channels, but the network's input has {channels}; "
            "give the images as an array in an .npz file"
        )
    if channels == 1 and reading.how.channels != "rgb":
        raise UserError(f"`channels={reading.how.channels}`: the network's input has one channel; leave it out")
    excess = too_many(len(files), (height, width, channels))
    if excess:
        raise UserError(excess)
    # Filled in place: thousands of photographs fit into memory once, but perhaps not twice.
    images = np.empty((len(files), height, width, channels), np.uint8)
    problems: list[str] = []
    good: list[int] = []
    facts: list[Facts] = []
    for index, found in enumerate(_in_parallel(files, reading)):
        if isinstance(found, str):
            problems.append(found)
        else:
            images[len(good)], seen = found
            good.append(index)
            facts.append(seen)
        if reading.progress is not None:
            reading.progress(index + 1, len(files))
    if problems and (reading.skip is None or not good):
        raise UserError(problems)
    for problem in problems:
        assert reading.skip is not None
        reading.skip(problem)
    for line in told(facts, reading.how):
        warnings.warn(Notice(line), stacklevel=2)
    return images[: len(good)], good


def _in_parallel(files: Sequence[Path], reading: Reading) -> Iterator[tuple[Pixels, Facts] | str]:
    """Of each file in turn, the image, or what is wrong with it."""

    def read(file: Path) -> tuple[Pixels, Facts] | str:
        try:
            return _read_file(file, reading, one_by_one)
        except UserError as error:
            return "; ".join(error.problems)
        except FileNotFoundError:
            return f"{file}: no such file"
        except Image.DecompressionBombError:
            return f"{file}: has more than {MOST_PICTURE:,} pixels, the most that are decoded; make it smaller"
        except Exception as error:
            # Each of Pillow's formats has its own ways to fail on what is damaged.
            return f"{file}: not a readable image ({error})"

    with warnings.catch_warnings():
        # Of pictures half as large as the largest that are decoded, and of notes in them that are damaged.
        warnings.filterwarnings("ignore", module="PIL")
        # Decoding lets other threads run meanwhile.
        with ThreadPoolExecutor(1) as one_by_one, ThreadPoolExecutor() as pool:
            yield from pool.map(read, files)


def _read_file(file: Path, reading: Reading, one_by_one: ThreadPoolExecutor) -> tuple[Pixels, Facts]:
    with Image.open(file) as opened:
        if opened.width * opened.height <= LARGE_PICTURE:
            return prepared(file, opened, reading.shape, reading.how)
        # By one thread: what one has freed is not another's.
        return one_by_one.submit(_large, file, opened, reading).result()


def _large(file: Path, opened: ImageFile, reading: Reading) -> tuple[Pixels, Facts]:
    """As :func:`prepared`, and frees the picture at once."""
    try:
        return prepared(file, opened, reading.shape, reading.how)
    finally:
        opened.close()
