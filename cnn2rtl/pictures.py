"""One picture of whatever kind as pixels of 8 bits and of the size a network takes, and what that took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile

from cnn2rtl.errors import UserError
from cnn2rtl.finite import not_finite
from cnn2rtl.limits import LARGE_PICTURE
from cnn2rtl.tensors import Shape

Pixels: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"
Fit: TypeAlias = Literal["crop", "resize", "squash"]
"""``crop`` cuts out the centre, ``resize`` scales to cover the size and then does so, ``squash`` scales to the size."""

Channels: TypeAlias = Literal["rgb", "bgr"]
"""The order in which the network takes a picture's channels."""

MODES = {1: "L", 3: "RGB"}

ORIENTATION, BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 0x0112, 258, 262, 339
"""Tags of TIFF; EXIF has the first as well."""

SIGNED, WHITE_IS_ZERO = 2, 0
"""A sample format, a photometric interpretation."""

HALF_A_PIXEL = 0.499 / 255
"""So far may floats of 0 to 1 overshoot, as interpolation makes them: they still round to a pixel."""

DARKEST = 1 / 16
"""Pictures of more than 8 bits of which none is brighter, as a share of white, hold fewer bits than they say."""


@dataclass(frozen=True)
class Preparation:
    """How pictures become images: see :data:`Fit` and :data:`Channels`."""

    fit: Fit = "crop"
    channels: Channels = "rgb"


@dataclass(frozen=True)
class Facts:
    """What was found in a picture, and done to it.

    ``kept`` is the share of its area that is left. Of one with more than 8 bits per channel, or of floats, ``white``
    is the largest value that it could have and ``largest`` the largest that it has; else both are 0. ``turned`` is one
    whose EXIF orientation was obeyed, ``see_through`` has an alpha channel that was left out, ``pages`` are what is in
    the file.
    """

    kept: float
    white: float = 0.0
    largest: float = 0.0
    turned: bool = False
    see_through: bool = False
    cmyk: bool = False
    pages: int = 1


def prepared(file: Path, opened: ImageFile, shape: Shape, how: Preparation) -> tuple[Pixels, Facts]:
    """The picture in ``file`` as an image (h, w, c) for an input of ``shape`` (c, h, w).

    Values are scaled by the range that the file's kind has: 0 to 65535, say, or 0 to 1 for floats. Raises
    :class:`UserError` where no range is sure.
    """
    channels, height, width = shape
    mode, raw, turned, pages = MODES[channels], _raw_mode(opened), _orientation(opened) > 1, _pages(opened)
    if how.fit != "crop" and opened.width * opened.height > LARGE_PICTURE:
        # A JPEG is decoded at a fraction of its size that is still twice as large as needed, whichever way up.
        side = max(_covering(opened.size, height, width))
        opened.draft(mode, (2 * side, 2 * side))
    opened.load()
    upright = ImageOps.exif_transpose(opened) if turned else opened
    see_through = _see_through(upright)
    plain, white, largest = _eight_bits(file, opened, upright, raw)
    fitted, kept = _fitted(file, plain, mode, (height, width), how.fit)
    image = np.asarray(fitted, np.uint8).reshape(height, width, channels)
    facts = Facts(kept, white, largest, turned, see_through, opened.mode == "CMYK", pages)
    return image[..., ::-1] if how.channels == "bgr" else image, facts


def _raw_mode(opened: ImageFile) -> str:
    """How a channel's values lie in the file: what Pillow reduces to 8 bits has a 16 here."""
    arguments: Any = opened.tile[0][3] if opened.tile else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _orientation(opened: ImageFile) -> int:
    """Which way up, 1 to 8; 1 where the file does not say, or not in a way that can be read."""
    try:
        value = opened.getexif().get(ORIENTATION, 1)
    except Exception:
        return 1
    return value if value in range(1, 9) else 1


def _pages(opened: ImageFile) -> int:
    """Pictures in the file; cameras put a preview beside theirs."""
    return 1 if opened.format == "MPO" else int(getattr(opened, "n_frames", 1))


def _see_through(picture: Image.Image) -> bool:
    """Whether any part of it is transparent."""
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        lowest = picture.getchannel(len(picture.getbands()) - 1).getextrema()[0]
    elif "transparency" in picture.info:
        lowest = picture.convert("RGBA").getchannel(3).getextrema()[0]
    else:
        return False
    return bool(lowest < 255)  # type: ignore[operator]


def _eight_bits(file: Path, opened: ImageFile, picture: Image.Image, raw: str) -> tuple[Image.Image, float, float]:
    """``picture``, which was ``opened``, in 8 bits per channel, and :class:`Facts` of its ``white`` and ``largest``."""
    if not picture.mode.startswith(("I", "F")):
        if ";16" not in raw:
            return picture, 0.0, 0.0
        # Pillow has kept the higher bytes.
        brightest = int(np.asarray(picture.convert("RGB")).max())
        return picture, 65535.0, float(256 * brightest + 255 if brightest else 0)
    values, white = np.asarray(picture), _white(file, opened)
    flaw = not_finite(values)
    if flaw:
        raise UserError(f"{file}: {flaw}")
    low, high = float(values.min()), float(values.max())
    slack = HALF_A_PIXEL if white == 1 else 0.0
    if low < -slack or high > white + slack:
        raise UserError(
            f"{file}: the values go from {low:g} to {high:g}, and 0 to {white:g} are black to white in such a file; "
            "scale them, or save them in 8 bits"
        )
    if _tag(opened, PHOTOMETRIC) == WHITE_IS_ZERO:
        values, high = white - values, white - low
    scale = 255 / white
    # By rows: of the whole picture, what is made on the way would take eight times as much.
    found: Pixels = np.empty(values.shape, np.uint8)
    for row, given in zip(found, values, strict=True):
        row[:] = np.rint(given.astype(np.float64) * scale)
    return Image.fromarray(found), white, high


def _white(file: Path, opened: ImageFile) -> float:
    """The largest value that a pixel can have in such a file; raises :class:`UserError` where that is not sure."""
    if opened.mode == "F":
        return 1.0
    bits = _tag(opened, BITS_PER_SAMPLE) or 16
    if opened.mode == "I" and (bits > 16 or _tag(opened, SAMPLE_FORMAT) == SIGNED or opened.format == "TIFF"):
        kind = "signed numbers" if _tag(opened, SAMPLE_FORMAT) == SIGNED else "whole numbers"
        raise UserError(
            f"{file}: holds {kind} of {bits} bits, of which none is sure to be white; save it in 8 or 16 bits "
            "without a sign, or give the images as an array"
        )
    return float((1 << bits) - 1)


def _tag(opened: ImageFile, number: int) -> int | None:
    """The first value of a tag, where the file is a TIFF that has it."""
    tags: Any = getattr(opened, "tag_v2", {})
    value = tags.get(number)
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else None


def _fitted(file: Path, picture: Image.Image, mode: str, size: tuple[int, int], fit: Fit) -> tuple[Image.Image, float]:
    """The picture in ``mode``, of (height, width) ``size``, and the share of its area that is left."""
    height, width = size
    if fit == "crop":
        if picture.height < height or picture.width < width:
            raise UserError(
                f"{file}: {picture.height}x{picture.width} pixels are too few to crop {height}x{width} from; use "
                '`fit="resize"`'
            )
        return _centre(picture, size).convert(mode), height * width / (picture.height * picture.width)
    plain = picture if picture.mode == mode else picture.convert(mode)
    if fit == "squash":
        return plain.resize((width, height), Image.Resampling.BILINEAR), 1.0
    # As torchvision's Resize and CenterCrop do it, to the pixel, for a square input.
    covering = _covering(picture.size, height, width)
    scaled = plain.resize(covering, Image.Resampling.BILINEAR)
    return _centre(scaled, size), height * width / (covering[0] * covering[1])


def upright_size(file: Path) -> tuple[int, int]:
    """The (width, height) of the picture in ``file``, turned as its EXIF orientation says."""
    with Image.open(file) as opened:
        return (opened.height, opened.width) if _orientation(opened) > 4 else opened.size


def aligned(label: Image.Image, seen: tuple[int, int], size: tuple[int, int], fit: str) -> Image.Image:
    """The part of a ``label`` picture that belongs to an image of (height, width) ``size``, which was made by ``fit``
    of a picture of (width, height) ``seen``; every value is one that the label has.

    A label may be finer than its picture by a whole factor, and stays so. Raises ``ValueError`` for other sizes.
    """
    factor = max(1, label.width // seen[0])
    if label.size != (factor * seen[0], factor * seen[1]):
        raise ValueError(f"is {label.height}x{label.width}, and its picture {seen[1]}x{seen[0]}")
    covering = {"crop": seen, "squash": (size[1], size[0])}.get(fit) or _covering(seen, *size)
    finer = label.resize((factor * covering[0], factor * covering[1]), Image.Resampling.NEAREST)
    return finer.crop(tuple(factor * edge for edge in _middle(covering, size)))  # type: ignore[arg-type]


def _covering(seen: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """The size (width, height) of a picture that is ``seen`` in another one where it just covers that of the input."""
    scale = max(height / seen[1], width / seen[0])
    return max(width, int(seen[0] * scale)), max(height, int(seen[1] * scale))


def _centre(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture.crop(_middle(picture.size, size))


def _middle(seen: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what has (height, width) ``size`` amid a picture of (width, height) ``seen``."""
    height, width = size
    top, left = round((seen[1] - height) / 2), round((seen[0] - width) / 2)
    return left, top, left + width, top + height


def told(facts: Sequence[Facts], how: Preparation) -> list[str]:
    """What the user should know of what was done to pictures, a line for each thing.

    Raises :class:`UserError` where pictures of more than 8 bits are all nearly black, as those of 12 bits in 16 are.
    """
    lines = []
    for white in sorted({each.white for each in facts} - {0.0}):
        deep = [each for each in facts if each.white == white]
        largest = max(each.largest for each in deep)
        if white > 1 and 0 < largest < (white + 1) * DARKEST:
            bits = int(largest).bit_length()
            raise UserError(
                f"nothing in the pictures with values of 0 to {white:g}, {_of(deep, facts)}, is above {largest:g}: all "
                f"would be nearly black. If their values are of {bits} bits, multiply them by "
                f"{int(white) // ((1 << bits) - 1)}, or save them in 8 bits"
            )
        lines.append(f"{_of(deep, facts)}: 0 to {white:g} became 0 to 255; the largest value was {largest:g}")
    kept = sum(each.kept for each in facts) / max(len(facts), 1)
    lines += [
        f"{_of(some, facts)}: {what}"
        for some, what in (
            ([each for each in facts if each.turned], "turned upright, as their EXIF orientation says"),
            ([each for each in facts if each.see_through], "partly transparent; that was left out of account"),
            ([each for each in facts if each.cmyk], "CMYK, taken as RGB without a colour profile"),
            ([each for each in facts if each.pages > 1], "several pictures in the file; the first was taken"),
        )
        if some
    ]
    if kept < 0.9995:
        remedy = {
            "crop": '; `fit="resize"` makes pictures smaller first, `fit="squash"` keeps all of them',
            "resize": '; `fit="squash"` keeps all of them',
        }[how.fit]
        lines.append(
            f'`fit="{how.fit}"` cuts {100 * (1 - kept):.4g} % of the pictures\' area away{remedy if kept < 0.5 else ""}'
        )
    return lines


def _of(some: Sequence[Facts], every: Sequence[Facts]) -> str:
    if len(every) == 1:
        return "the picture"
    return f"{len(some)} of {len(every)} pictures"
