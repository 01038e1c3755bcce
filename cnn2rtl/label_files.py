"""Labels that lie beside images: a picture or an array for each, or a table of numbers for all.

A folder with the subfolder ``images`` and one called ``labels``, ``masks`` or ``targets`` has the label of
``images/a/b.jpg`` in ``labels/a/b.png``, or another file of pixels, or ``labels/a/b.npy``. A folder with ``labels.csv``
has a row for each image there: its path within the folder, then its numbers.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from cnn2rtl.labels import Labels
from cnn2rtl.limits import too_many
from cnn2rtl.pictures import aligned, upright_size
from cnn2rtl.tensors import times

IMAGES, BESIDE, TABLE = "images", ("labels", "masks", "targets"), "labels.csv"
LABELS = "labels"
"""What the labels of a network's only, or first, output are called."""

SUFFIXES = (".png", ".npy", ".tif", ".tiff", ".bmp", ".pgm", ".gif")
"""Of a label's file, the first that there is; none whose compression changes values."""


@dataclass(frozen=True)
class Found:
    """Labels by their names, each as many as images; ``flaws`` say what of them cannot be used."""

    targets: Mapping[str, Labels] = field(default_factory=dict)
    flaws: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """Where, in a folder, ``images`` are, and ``read``, of those of these names, the labels.

    ``read`` takes the size (height, width) of the network's input, and how pictures become images of it, too.
    """

    images: Path
    read: Callable[[Sequence[Path], tuple[int, int], str], Found] | None = None


def layout(folder: Path) -> Layout:
    """How ``folder`` is laid out: without labels of these kinds, all of it is images."""
    images = folder / IMAGES
    beside = next((folder / name for name in BESIDE if (folder / name).is_dir()), None)
    if images.is_dir() and beside is not None:
        return Layout(images, lambda names, size, fit: _beside(images, beside, names, size, fit))
    if (folder / TABLE).is_file():
        return Layout(folder, lambda names, size, fit: _table(folder / TABLE, names))
    return Layout(folder)


def _beside(images: Path, labels: Path, names: Sequence[Path], size: tuple[int, int], fit: str) -> Found:
    """A file for each image."""
    values: list[np.ndarray] = []
    problems: list[str] = []
    white = 0.0
    for name in names:
        file = next((file for suffix in SUFFIXES if (file := (labels / name).with_suffix(suffix)).is_file()), None)
        if file is None:
            problems.append(f"{labels / name.with_suffix(SUFFIXES[0])}: no such file, so {name} has no label")
            continue
        try:
            one, top = _one(file, images / name, size, fit)
        except Exception as error:
            # Each kind of file has its own ways to fail on what is damaged.
            problems.append(f"{file}: {error}")
            continue
        shapes = {each.shape for each in values[:1]} | {one.shape}
        excess = too_many(len(names), one.shape)
        if excess or len(shapes) > 1:
            problems.append(
                excess or f"{file}: is {times(one.shape)}, and the label before it {times(values[0].shape)}"
            )
            continue
        values.append(one)
        white = max(white, top)
    if problems:
        return Found(flaws=_few(problems))
    return Found({LABELS: Labels(np.stack(values), white=white)})


def _one(file: Path, picture: Path, size: tuple[int, int], fit: str) -> tuple[np.ndarray, float]:
    """The label in ``file``, of the same part of the image as ``picture``'s, and the value of white, 0 for arrays.

    Raises ``ValueError`` where it does not go with the picture.
    """
    seen = upright_size(picture)
    if file.suffix == ".npy":
        found: np.ndarray = np.load(file, allow_pickle=False)
        if found.ndim > 1 and seen != (size[1], size[0]):
            raise ValueError(f"an array cannot be cut out as {picture.name} is; give pictures of {times(size)}")
        return found, 0.0
    with Image.open(file) as opened:
        plain = opened.convert("RGB") if opened.mode in ("RGBA", "CMYK", "YCbCr") else opened
        found = np.asarray(aligned(plain.convert("L") if plain.mode == "LA" else plain, seen, size, fit))
    tops = {"b": 1.0, "f": 1.0}
    return found, tops.get(found.dtype.kind, 255.0 if found.dtype == np.uint8 else 65535.0)


def _table(file: Path, names: Sequence[Path]) -> Found:
    """Numbers of each image: all columns together, and each by the name in its head."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            rows = [row for row in csv.reader(text) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return Found(flaws=(f"{file}: cannot be read ({error})",))
    head = rows.pop(0)[1:] if rows and not any(map(_is_number, rows[0][1:])) else []
    told = {row[0]: row[1:] for row in rows}
    width = len(head or next(iter(told.values()), []))
    problems = [f"{file}: no row for {name.as_posix()}" for name in names if name.as_posix() not in told]
    chosen = [told.get(name.as_posix(), []) for name in names]
    problems += [
        f"{file}: {width} numbers are expected for {name.as_posix()}, but there {'is' if len(row) == 1 else 'are'} "
        f"{', '.join(row)}"
        for name, row in zip(names, chosen, strict=True)
        if row and (len(row) != width or not all(map(_is_number, row)))
    ]
    if problems or not width:
        return Found(flaws=_few(problems) or (f"{file}: holds no numbers",))
    values = np.array(chosen, np.float64)
    targets = {name: Labels(values[:, column]) for column, name in enumerate(head)}
    return Found({**targets, LABELS: Labels(values[:, 0] if width == 1 else values)})


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _few(problems: Sequence[str]) -> tuple[str, ...]:
    """Not a line for each of thousands."""
    more = len(problems) - 3
    return (*problems[:3], f"{more} more labels like these cannot be used") if more > 0 else tuple(problems)
