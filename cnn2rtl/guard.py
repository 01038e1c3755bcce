"""The one guard against absurd data: what cannot be meant is told, as a :class:`Notice`, with the likely cause.

Whatever brings images in asks it of them; calibration and evaluation ask it of what the network makes of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from cnn2rtl.errors import Notice
from cnn2rtl.tensors import FloatArray, part

DARK, LIGHT = 16, 239
"""Pixels of which none is brighter, or none darker, are nearly black or white: a sixteenth of the range.

Digits of scikit-learn go to 16.
"""

CLIPPED = 0.99
"""The share of pixels that are black or white from which on all others seem to be lost."""

STILL = 0.01
"""Outputs that change by less than this share of their largest value do not tell images apart."""

SPARSE = 1 / 3
"""Of the codes that a quantised input has, so many at least are for pixels."""

FEW = 8
"""A class, or any single value, may well be the same for fewer images."""

BEHIND = (
    "the images are most likely not prepared as in training: look at `mean=`, `std=` and the values of the images; or "
    "the network's own weights are at fault, as those of an untrained one"
)


def tell(lines: Iterable[str]) -> None:
    """Warn of each."""
    for line in lines:
        warnings.warn(Notice(line), stacklevel=3)


def absurd_images(source: str, images: np.ndarray, numbers: Collection[str] = ()) -> list[str]:
    """What is strange about ``images`` (n, h, w, c), of one input or several, from ``source``, in lines.

    Inputs among ``numbers`` take no pixels; the one of a network with one input goes by any name.
    """
    names = images.dtype.names
    if names is None:
        return _absurd(source, images, not numbers)
    return [line for name in names for line in _absurd(f"{source}, {name}", part(images, name), name not in numbers)]


def _absurd(source: str, images: np.ndarray, pixels: bool) -> list[str]:
    many = f"all {len(images)} images" if len(images) > 1 else "the image"
    if images[0].size > 1 and all(image.min() == image.max() for image in images):
        low, high = images.min(), images.max()
        value = f"{low}" if low == high else f"a single value, from {low} to {high},"
        return [f"{source}: {many} {_be(images)} {value} throughout; they show nothing: are these the right files?"]
    lines = []
    if len(images) > 1 and not varied(images):
        lines.append(f"{source}: {many} are equal; they show no more than one of them")
    if pixels:
        lines += [f"{source}: {line}" for line in _dim(images)]
    return lines


def varied(images: np.ndarray) -> bool:
    """Whether any of ``images`` (n, h, w, c) differs from the others."""
    return any(not np.array_equal(image, images[0]) for image in images)


def _be(images: np.ndarray) -> str:
    return "are" if len(images) > 1 else "is"


def _dim(images: np.ndarray) -> list[str]:
    """What is strange about the range of raw pixels."""
    low, high = int(images.min()), int(images.max())
    range_of = "and pixels go from 0 to 255, so that all images are nearly"
    if high <= DARK:
        white = high if high == DARK else (1 << high.bit_length()) - 1
        remedy = f"if {white} means white, multiply by {255 / white:g}, or give floats of 0 to 1"
        return [f"the largest of all values is {high}, {range_of} black; {remedy}"]
    if low >= LIGHT:
        return [f"the smallest of all values is {low}, {range_of} white"]
    ends = sum(int(np.count_nonzero((image == 0) | (image == 255))) for image in images) / images.size
    if ends < CLIPPED or (low, high) != (0, 255):
        return []
    return [f"{ends:.1%} of all pixels are 0 or 255: right for black and white alone, else the images were clipped"]


def collapsed(seen: Mapping[str, tuple[FloatArray, FloatArray]], varied: bool) -> list[str]:
    """What is strange about the ranges of layers, smallest and largest by channel, over ``varied`` images or not."""
    dead = [name for name, (low, high) in seen.items() if _still(low, high, varied)]
    if not dead:
        return []
    low, high = seen[dead[0]]
    value = f"{low[0]:g}" if low.min() == high.max() else "the same"
    others = len(dead) - 1
    more = f", and so {'is one layer' if others == 1 else f'are {others} layers'} more" if others else ""
    return [f"`{dead[0]}`: is {value} wherever one looks, in all images{more}: nothing gets past it; {BEHIND}"]


def _still(low: FloatArray, high: FloatArray, varied: bool) -> bool:
    """Whether a layer has one value per channel; if the images are all alike, 0 alone is strange, in many channels."""
    return bool(np.array_equal(low, high) and (varied or (low.size > 1 and not low.any())))


def unused_codes(name: str, codes: np.ndarray, of: int) -> list[str]:
    """What is strange where pixels become ``codes`` (256, channels), of which the input ``name`` has so many."""
    used, available = max(len(np.unique(channel)) for channel in codes.T), min(len(codes), of)
    if used >= available * SPARSE:
        return []
    cause = "most likely `mean=` and `std=` are not those that it was trained with"
    remedy = "where it takes pixels as they are, give `std=1/255`"
    told = f"pixels of 0 to 255 take {used} of {available} codes alone: it was quantised on inputs of another range"
    return [f"`{name}`: {told}; {cause}; {remedy}"]


class Outputs:
    """Outputs of the float network over images, of which it is told whether they change."""

    def __init__(self) -> None:
        self._low: dict[str, FloatArray] = {}
        self._high: dict[str, FloatArray] = {}
        self._images: dict[str, int] = {}

    def add(self, outputs: Mapping[str, FloatArray]) -> None:
        """Values (n, h, w, c) of outputs, by their names, of more images."""
        for name, values in outputs.items():
            low, high = values.min(0), values.max(0)
            self._low[name] = np.minimum(self._low.get(name, low), low)
            self._high[name] = np.maximum(self._high.get(name, high), high)
            self._images[name] = self._images.get(name, 0) + len(values)

    def absurd(self, images: np.ndarray) -> list[str]:
        """A line for each output that hardly changes over ``images`` (n, h, w, c), which do."""
        lines: list[str] = []
        if not varied(images):
            return lines
        for name, low in self._low.items():
            high, count = self._high[name], self._images[name]
            size = float(max(abs(low).max(), abs(high).max()))
            change = float((high - low).max())
            if count >= (FEW if low.size == 1 else 2) and change <= STILL * size:
                by = "do not change at all" if change == 0 else f"change by {change:.2g} of {size:.2g} at most"
                lines.append(f"`{name}`: the float network's outputs {by} over the {count} images; {BEHIND}")
        return lines
