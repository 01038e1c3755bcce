"""Image files as raw 8-bit pixels: read side by side, and told of where they cannot be used."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from cnn2rtl.errors import UserError
from cnn2rtl.limits import LARGE_PICTURE, MOST_PICTURE, too_many
from cnn2rtl.tensors import Shape

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
Fit: TypeAlias = Literal["crop", "resize"]

_MODES = {1: "L", 3: "RGB"}

# What it says of damaged pictures names no file; whoever wants to hear it can.
logging.getLogger("PIL").addHandler(logging.NullHandler())

Skip: TypeAlias = Callable[[str], None]
"""Hears of an image file that cannot be used, and is left out."""


@dataclass(frozen=True)
class Reading:
    """How image files become images of ``shape`` (c, h, w); the others are as in :func:`cnn2rtl.images.load_images`."""

    shape: Shape
    fit: Fit
    skip: Skip | None
    progress: Callable[[int, int], None] | None


def read_files(files: Sequence[Path], reading: Reading) -> tuple[Pixels, list[int]]:
    """The images in ``files``, and which of them these are: all, but for those that were skipped."""
    channels, height, width = reading.shape
    if channels not in _MODES:
        raise UserError(
            f"image files have 1 or 3 channels, but the network's input has {channels}; "
            "give the images as an array in an .npz file"
        )
    excess = too_many(len(files), (height, width, channels))
    if excess:
        raise UserError(excess)
    # Filled in place: thousands of photographs fit into memory once, but perhaps not twice.
    images = np.empty((len(files), height, width, channels), np.uint8)
    problems: list[str] = []
    good: list[int] = []
    for index, found in enumerate(_in_parallel(files, reading)):
        if isinstance(found, str):
            problems.append(found)
        else:
            images[len(good)] = found
            good.append(index)
        if reading.progress is not None:
            reading.progress(index + 1, len(files))
    if problems and (reading.skip is None or not good):
        raise UserError(problems)
    for problem in problems:
        assert reading.skip is not None
        reading.skip(problem)
    return images[: len(good)], good


def _in_parallel(files: Sequence[Path], reading: Reading) -> Iterator[Pixels | str]:
    """Of each file in turn, the image, or what is wrong with it."""

    def read(file: Path) -> Pixels | str:
        try:
            return _read_file(file, reading.shape, reading.fit, one_by_one)
        except UserError as error:
            return "; ".join(error.problems)
        except FileNotFoundError:
            return f"{file}: no such file"
        except Image.DecompressionBombError:
            return f"{file}: has more than {MOST_PICTURE:,} pixels, the most that are decoded; make it smaller"
        except (OSError, ValueError, SyntaxError) as error:
            return f"{file}: not a readable image ({error})"

    with warnings.catch_warnings():
        # Of pictures half as large as the largest that are decoded, and of notes in them that are damaged.
        warnings.filterwarnings("ignore", module="PIL")
        # Decoding lets other threads run meanwhile.
        with ThreadPoolExecutor(1) as one_by_one, ThreadPoolExecutor() as pool:
            yield from pool.map(read, files)


def _read_file(file: Path, shape: Shape, fit: Fit, one_by_one: ThreadPoolExecutor) -> Pixels:
    with Image.open(file) as opened:
        if opened.width * opened.height <= LARGE_PICTURE:
            return _fitted(file, opened, shape, fit)
        # By one thread: what one has freed is not another's.
        return one_by_one.submit(_large, file, opened, shape, fit).result()


def _large(file: Path, opened: ImageFile, shape: Shape, fit: Fit) -> Pixels:
    """As :func:`_fitted`, and frees the picture at once."""
    try:
        return _fitted(file, opened, shape, fit)
    finally:
        opened.close()


def _fitted(file: Path, opened: ImageFile, shape: Shape, fit: Fit) -> Pixels:
    channels, height, width = shape
    if opened.mode.startswith(("I", "F")):
        raise UserError(f"{file}: has more than 8 bits per channel (mode {opened.mode}); 8 are expected: convert it")
    mode = _MODES[channels]
    if fit == "crop":
        if opened.height < height or opened.width < width:
            raise UserError(
                f"{file}: {opened.height}x{opened.width} pixels are too few to crop {height}x{width} from; use "
                '`fit="resize"`'
            )
        image = _centre(opened, height, width).convert(mode)
    else:
        # As torchvision's Resize and CenterCrop do it, to the pixel, for a square input.
        scale = max(height / opened.height, width / opened.width)
        size = (max(width, int(opened.width * scale)), max(height, int(opened.height * scale)))
        if opened.width * opened.height > LARGE_PICTURE:
            # A JPEG is decoded at a fraction of its size that is still twice as large as needed.
            opened.draft(mode, (2 * size[0], 2 * size[1]))
        plain = opened if opened.mode == mode else opened.convert(mode)
        image = _centre(plain.resize(size, Image.Resampling.BILINEAR), height, width)
    return np.asarray(image, np.uint8).reshape(height, width, channels)


def _centre(image: Image.Image, height: int, width: int) -> Image.Image:
    top, left = round((image.height - height) / 2), round((image.width - width) / 2)
    return image.crop((left, top, left + width, top + height))
