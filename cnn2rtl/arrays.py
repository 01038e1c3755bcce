"""Arrays, in memory and in files, as pixels or numbers in the order the hardware streams them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cnn2rtl.errors import UserError
from cnn2rtl.finite import not_finite
from cnn2rtl.label_files import LABELS
from cnn2rtl.limits import check_zip, too_many
from cnn2rtl.pictures import HALF_A_PIXEL, Pixels
from cnn2rtl.quant.qformat import QFormat
from cnn2rtl.samples import codes_of
from cnn2rtl.tensors import Codes, Shape, times

Read = TypeVar("Read")

NO_PICTURES = (
    'If these are no pictures, make the design for what comes: `input_format="s16"`, say, for integers, and '
    '`input_scale=` with what one is worth, or `input_scale="auto"`, for floats'
)


def read(path: Path, take: Callable[[Path, object], Read]) -> Read:
    """What ``take`` finds in the contents of a file of arrays; both may hold anything."""
    try:
        return take(path, READERS[path.suffix.lower()](path))
    except UserError:
        raise
    except Exception as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: cannot be read as {path.suffix.lower()} ({line})") from None


def _read_npz(path: Path) -> object:
    check_zip(path)
    with np.load(path, allow_pickle=False) as archive:
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UserError(f"{path}: holds one array; call it .npy")
        return {name: archive[name] for name in archive.files}


def _read_npy(path: Path) -> object:
    return np.load(path, "r", allow_pickle=False)  # what is left out is never read


def _read_pt(path: Path) -> object:
    # Slow to import, and needed for this kind of file only.
    import torch

    check_zip(path)
    return torch.load(path, map_location="cpu", weights_only=True)


READERS: Mapping[str, Callable[[Path], object]] = {
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".pt": _read_pt,
    ".pth": _read_pt,
}
"""Who reads a file of arrays, by its suffix."""


def arrays(shapes: Mapping[str, Shape], path: Path, content: object) -> Mapping[str, np.ndarray[Any, Any]]:
    """All of them, by their names; a network with inputs of ``shapes`` is to take them."""
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: holds a {type(content).__name__}; arrays called {', '.join(shapes)} are expected")
    return {str(key): np.asarray(values) for key, values in content.items()}


def images_and_others(path: Path, content: object) -> tuple[np.ndarray[Any, Any], Mapping[str, np.ndarray[Any, Any]]]:
    """The images, and what else there is, by its names."""
    images: object = content
    others: Mapping[str, object] = {}
    if isinstance(content, Mapping):
        name = next((key for key in ("images", "x") if key in content), None)
        if name is None:
            raise UserError(f"{path}: holds {', '.join(map(str, content))}; `images` (or `x`) is expected")
        images, others = content[name], {str(key): value for key, value in content.items() if key != name}
    elif isinstance(content, (tuple, list)) and len(content) == 2:
        images, others = content[0], {LABELS: content[1]}
    if isinstance(images, (tuple, list)) or not hasattr(images, "__array__"):
        raise UserError(f"{path}: holds a {type(images).__name__} where an array of images is expected")
    listed = {name: value for name, value in others.items() if hasattr(value, "__array__") or isinstance(value, list)}
    return np.asarray(images), {name: np.asarray(value) for name, value in listed.items()}


def _nhwc(path: Path | str, array: np.ndarray[Any, Any], shape: Shape, channels_last: bool) -> np.ndarray[Any, Any]:
    """``array`` as (n, h, w, c); ``channels_last`` decides where both readings are possible."""
    channels, height, width = shape
    if array.ndim == 3 and channels == 1 and height > 1:
        array = array[..., None]
    elif array.ndim < 4 and height == 1:
        array = _with_height(array, shape)
    first, last = shape, (height, width, channels)
    found = array.shape[1:]
    if found not in (first, last):
        either = f"n x {times(last)} or n x {times(first)}"
        raise UserError(f"{path}: the images are {times(array.shape)}; {either} expected")
    channels_first = found == first and not (found == last and channels_last)
    if not len(array):
        raise UserError(f"{path}: holds no images")
    return array.transpose(0, 2, 3, 1) if channels_first else array


def _with_height(array: np.ndarray[Any, Any], shape: Shape) -> np.ndarray[Any, Any]:
    """Time series (n, c, length) or (n, length, c) and vectors (n, features), as images with one row."""
    channels, _, width = shape
    if array.ndim == 2 and array.shape[1] == channels * width and 1 in (channels, width):
        return array.reshape(-1, channels, 1, width)
    if array.ndim == 3:
        return array[:, None] if array.shape[1:] == (width, channels) else array[:, :, None]
    return array


def codes(
    path: Path | str, array: np.ndarray[Any, Any], shape: Shape, channels_last: bool, numbers: QFormat | None
) -> Codes:
    """``array`` as (n, h, w, c) of raw pixels or, for an input of ``numbers``, of these."""
    ordered = _nhwc(path, array, shape, channels_last)
    return _pixels(path, ordered) if numbers is None else codes_of(path, ordered, numbers)


def _remedy(low: float, high: float, whole: bool) -> str:
    """How values become pixels of which the smallest and largest are no such."""
    if low < 0:
        return "leave the normalisation out, the hardware does it"
    if not whole and high <= 255 + HALF_A_PIXEL:
        return "if 255 is white, divide them by 255, or give them as uint8"
    white = (1 << int(high).bit_length()) - 1
    return f"if {white} is white, give them as floats, divided by {white}"


def _pixels(path: Path | str, array: np.ndarray[Any, Any]) -> Pixels:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    whole = np.issubdtype(array.dtype, np.integer)
    if not whole and not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"{path}: the images are of type {array.dtype}; raw pixels (uint8) are expected")
    top = 255 if whole else 1
    if array.dtype == np.int8:
        raise UserError(f"{path}: the values are of type int8, and raw pixels go from 0 to 255. {NO_PICTURES}")
    flaw = not_finite(array)
    if flaw:
        raise UserError(f"{path}: {flaw}; raw pixels are expected, whole numbers of 0 to 255 or floats of 0 to 1")
    excess = too_many(len(array), array.shape[1:])
    if excess:
        raise UserError(f"{path}: {excess}")
    lo, hi = array.min(), array.max()
    # Floats that round to a pixel are one: interpolation overshoots.
    slack = 0.0 if whole else HALF_A_PIXEL
    if lo < -slack or hi > top + slack:
        raise UserError(
            f"{path}: the values go from {lo:g} to {hi:g}; raw pixels are expected, whole numbers of 0 to 255 or "
            f"floats of 0 to 1: {_remedy(float(lo), float(hi), whole)}. {NO_PICTURES}"
        )
    pixels: Pixels = np.empty(array.shape, np.uint8)
    # One at a time: of all of them, what is made on the way would take eight times as much.
    for image, values in zip(pixels, array, strict=True):
        image[:] = np.rint(values.astype(np.float64) * (255 // top))
    return pixels
