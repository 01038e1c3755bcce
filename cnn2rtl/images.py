"""Images for calibration, evaluation and simulation: pixels, or numbers, in the order the hardware streams them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cnn2rtl import arrays as in_arrays
from cnn2rtl.errors import UserError
from cnn2rtl.guard import absurd_images, tell
from cnn2rtl.image_files import Reading, Skip, read_files
from cnn2rtl.label_files import LABELS, layout
from cnn2rtl.label_files import Found as Beside
from cnn2rtl.labels import Labels
from cnn2rtl.pictures import Channels, Fit, Pixels, Preparation
from cnn2rtl.quant.qformat import QFormat
from cnn2rtl.tensors import INPUT, Codes, Shape, batch_of, times

__all__ = [
    "SUFFIXES", "Channels", "Fit", "ImageSet", "Pixels", "Skip", "from_array", "given_images", "images_for",
    "load_images", "raw_arrays", "several",
]  # fmt: skip

NO_NUMBERS: Mapping[str, QFormat] = {}
"""All inputs take pixels."""

NAMES_OF_LABELS = (LABELS, "y")
"""What labels are called, in a file of arrays."""

SUFFIXES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))
"""The files of a folder that are images; others are passed over."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """``images`` (n, h, w, c) of raw pixels, 0 to 255, or codes; ``labels`` index ``class_names`` if folders name them.

    For a network with several inputs, ``images`` is a structured array (n,) with a field (h, w, c) for each.
    ``names`` says where each image comes from: its file, relative to the folder, or ``FILE[index]``. Labels that are
    anything but the number of a class are ``targets``, by the name that they came under; ``flaws`` say of labels that
    cannot be used why, for whoever wants them.
    """

    images: Codes
    labels: tuple[int, ...] | None
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    targets: Mapping[str, Labels] = field(default_factory=dict)
    flaws: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def every(self, step: int, first: int) -> ImageSet:
        """One image out of ``step``, from number ``first`` on."""
        return self.take(range(first, len(self), step))

    def take(self, indices: Sequence[int]) -> ImageSet:
        """The images with these numbers."""
        labels = None if self.labels is None else tuple(self.labels[i] for i in indices)
        return replace(
            self,
            images=np.ascontiguousarray(self.images[list(indices)]),
            labels=labels,
            names=tuple(self.names[i] for i in indices),
            targets={name: target.take(indices) for name, target in self.targets.items()},
        )

    def labels_of(self, outputs: Sequence[str]) -> Mapping[str, Labels]:
        """Labels of any kind, as far as there are any, by the names of a network's ``outputs``.

        Those of an output come under its name; what is called labels is the first one's. Raises :class:`UserError`
        where there are labels and they are not one for each image.
        """
        if self.flaws:
            raise UserError(self.flaws)
        found = {name: self.targets[name] for name in outputs if name in self.targets}
        if self.labels is not None:
            found.setdefault(outputs[0], Labels(np.array(self.labels, np.int64), self.class_names))
        elif LABELS in self.targets:
            found.setdefault(outputs[0], self.targets[LABELS])
        return found

    def mismatch(self, classes: int) -> str:
        """Why the labels cannot be the numbers of a network's ``classes`` outputs; empty if they can."""
        if self.class_names and len(self.class_names) != classes:
            return (
                f"{len(self.class_names)} class folders, but the network has {classes} outputs: "
                "folder names cannot be matched to outputs"
            )
        wrong = [label for label in self.labels or () if not 0 <= label < classes]
        return f"label {wrong[0]} is none of the network's outputs, 0 to {classes - 1}" if wrong else ""


def load_images(
    source: str | Path | Sequence[str | Path],
    shape: Shape,
    fit: Fit = "crop",
    limit: int | None = None,
    skip: Skip | None = None,
    progress: Callable[[int, int], None] | None = None,
    channels: Channels = "rgb",
    numbers: QFormat | None = None,
) -> ImageSet:
    """Images for a network with an input of ``shape`` (c, h, w).

    ``source`` is an image file, a list of them, a folder of them (searched to any depth; subfolders that
    hold all the images are classes, in sorted order; see :mod:`cnn2rtl.label_files` for other labels), or a file of
    arrays: ``.npz`` (``images`` or ``x``, perhaps ``labels`` or ``y``), ``.npy``, or ``.pt`` (a tensor, a pair
    (images, labels), or a dict with the names of ``.npz``).

    ``fit`` says how an image file becomes h x w: ``crop`` cuts out the centre, ``resize`` scales the image to cover
    h x w and then cuts out the centre, ``squash`` scales it to h x w, whatever becomes of its proportions. ``channels``
    (rgb or bgr) is their order in the network's input; those of arrays stay as they are. What was done to image files,
    and how much is cut away, is told (:class:`cnn2rtl.Notice`). Arrays must have the right size already, as
    (n, h, w, c) or (n, c, h, w) (where both readings are possible, the latter for ``.pt`` and the former otherwise),
    without the height where that is 1, and values of 0 to 255, or floats of 0 to 1, which are scaled and rounded, or
    truth values. An input of ``numbers`` of another format takes arrays alone: integers are its codes, floats what
    these are worth. ``limit`` keeps so many images, spread evenly over the classes, the first ones of each.

    The order is that of the sorted file names, or of the array. Raises :class:`UserError`; one lists all
    files that cannot be used. With ``skip`` those are left out instead, and it hears of each; only if none can be
    used, that is an error. ``progress`` hears how many files have been read, and of how many.
    """
    if limit is not None and limit < 1:
        raise UserError(f"a limit of {limit} images leaves none")
    found = _loaded(source, Reading(shape, Preparation(fit, channels), skip, progress), limit, numbers)
    named = str(source) if isinstance(source, (str, Path)) else "the images"
    return _guarded(named, found, {} if numbers is None else {INPUT: numbers})


def _guarded(source: str, found: ImageSet, numbers: Mapping[str, QFormat]) -> ImageSet:
    """The same images, after the guard has looked at them; inputs that take no pixels are among ``numbers``."""
    tell(absurd_images(source, found.images, numbers))
    return found


def _loaded(
    source: str | Path | Sequence[str | Path], reading: Reading, limit: int | None, numbers: QFormat | None
) -> ImageSet:
    if isinstance(source, (str, Path)):
        path = Path(source)
        if path.is_dir():
            _check_pixels(path, numbers)
            return _from_folder(path, reading, limit)
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
        if path.suffix.lower() in in_arrays.READERS:
            return _from_arrays(path, reading.shape, limit, numbers)
        source = [path]
    files = [Path(file) for file in source][:limit]
    if not files:
        raise UserError("no image files are given")
    _check_pixels(files[0], numbers)
    images, good = read_files(files, reading)
    return ImageSet(images, None, (), tuple(str(files[i]) for i in good))


def _check_pixels(path: Path, numbers: QFormat | None) -> None:
    """Raise :class:`UserError` where pixels are no codes of an input of ``numbers``."""
    if numbers is not None and (numbers.bits, numbers.signed) != (8, False):
        raise UserError(
            f"{path}: image files hold 8-bit pixels, and the network's input takes numbers, {numbers}; give these as "
            "arrays, in .npz, .npy or .pt"
        )


def images_for(
    source: str | Path,
    shapes: Mapping[str, Shape],
    fit: Fit = "crop",
    limit: int | None = None,
    channels: Channels = "rgb",
    numbers: Mapping[str, QFormat] = NO_NUMBERS,
) -> ImageSet:
    """Images for a network with inputs of ``shapes``, by their names; of one input, as :func:`load_images` has it.

    For several, ``source`` is an ``.npz`` with an array for each under its name (and perhaps ``labels`` or ``y``), or
    a ``.pt`` with such a dict. Inputs that take no pixels have their format in ``numbers``.
    """
    if len(shapes) == 1:
        ((name, shape),) = shapes.items()
        return load_images(source, shape, fit, limit, channels=channels, numbers=numbers.get(name))
    path = Path(source)
    if not path.is_file() or path.suffix.lower() not in (".npz", ".pt", ".pth"):
        raise UserError(
            f"{path}: the network has {len(shapes)} inputs ({', '.join(shapes)}); an .npz file with an array for each, "
            "under its name, is expected"
        )
    arrays = in_arrays.read(path, partial(in_arrays.arrays, shapes))
    images = several(arrays, shapes, path, path.suffix.lower() == ".npz", numbers)
    known = {key: values for key, values in arrays.items() if key not in shapes}
    return _guarded(str(path), _labelled(images, path, known, limit), numbers)


def given_images(
    parameter: str,
    given: Any,
    shapes: Mapping[str, Shape] | None,
    fit: Fit = "crop",
    limit: int | None = None,
    labels: Any = None,
    channels: Channels = "rgb",
    numbers: Mapping[str, QFormat] = NO_NUMBERS,
) -> ImageSet | None:
    """Images for a network with inputs of ``shapes`` from a path, as :func:`images_for`, or from arrays in memory.

    Those are numpy arrays (n, h, w, c) or tensors (n, c, h, w), as :func:`from_array`; of several inputs, a mapping
    from their names to such arrays. Inputs that take no pixels have their format in ``numbers``. ``labels`` go with
    them: an array or, of several outputs, a mapping from their names to arrays. ``parameter`` is what the user gave
    them as. Without ``shapes``, nothing is read: only whether a file is there is told, and the result is ``None``.
    """
    if isinstance(given, (str, os.PathLike)):
        path = Path(given)
        if not path.exists():
            raise UserError(f"`{parameter}={path}`: no such file or folder")
        if labels is not None:
            raise UserError(f"labels: those of {path} are in it; leave them out")
        return None if shapes is None else images_for(path, shapes, fit, limit, channels, numbers)
    if shapes is None:
        return None
    images = _in_memory(parameter, given, shapes, numbers)
    named = labels if isinstance(labels, Mapping) else {} if labels is None else {LABELS: labels}
    known = {name: np.asarray(_on_cpu(value)) for name, value in named.items()}
    return _guarded(parameter, _labelled(images, parameter, known, limit), numbers)


def raw_arrays(parameter: str, given: Any, shapes: Mapping[str, Shape]) -> Mapping[str, np.ndarray[Any, Any]]:
    """What there is for each input, whatever its values, where :func:`given_images` takes arrays.

    Raises :class:`UserError` where there are none.
    """
    named: object = given
    if isinstance(given, (str, os.PathLike)):
        path = Path(given)
        if path.suffix.lower() not in in_arrays.READERS:
            raise UserError(
                f"`{parameter}={path}`: holds no numbers but pixels; arrays are expected, in .npz, .npy or .pt"
            )
        if not path.exists():
            raise UserError(f"`{parameter}={path}`: no such file or folder")
        if len(shapes) == 1:
            return dict.fromkeys(shapes, in_arrays.read(path, in_arrays.images_and_others)[0])
        named, parameter = in_arrays.read(path, partial(in_arrays.arrays, shapes)), str(path)
    elif len(shapes) == 1:
        named = dict.fromkeys(shapes, given)
    if not isinstance(named, Mapping) or not all(hasattr(named.get(name), "__array__") for name in shapes):
        raise UserError(f"{parameter}: an array for each of the network's inputs, {', '.join(shapes)}, is expected")
    return {name: np.asarray(_on_cpu(named[name])) for name in shapes}


def _in_memory(name: str, given: Any, shapes: Mapping[str, Shape], numbers: Mapping[str, QFormat]) -> Codes:
    if len(shapes) == 1:
        ((only, shape),) = shapes.items()
        return from_array(_on_cpu(given), shape, name, numbers.get(only))
    if not isinstance(given, Mapping):
        raise UserError(
            f"{name}: a {type(given).__name__}, where a mapping is expected, with an array for each of the network's "
            f"inputs: {', '.join(shapes)}"
        )
    tensors = any(hasattr(images, "detach") for images in given.values())
    return several({key: _on_cpu(images) for key, images in given.items()}, shapes, name, not tensors, numbers)


def _on_cpu(images: Any) -> Any:
    return images.detach().cpu() if hasattr(images, "detach") else images


def several(
    arrays: Mapping[str, Any],
    shapes: Mapping[str, Shape],
    name: Path | str,
    channels_last: bool = True,
    numbers: Mapping[str, QFormat] = NO_NUMBERS,
) -> Codes:
    """Images for several inputs of ``shapes``, from an array for each: a structured array.

    What :func:`from_array` says of each holds here too.
    """
    missing = [key for key in shapes if key not in arrays]
    if missing:
        raise UserError(
            f"{name}: holds {', '.join(map(str, arrays)) or 'nothing'}; the network's inputs {', '.join(missing)} are "
            "missing"
        )
    found = {
        key: in_arrays.codes(f"{name}, {key}", np.asarray(arrays[key]), shape, channels_last, numbers.get(key))
        for key, shape in shapes.items()
    }
    counts = {len(codes) for codes in found.values()}
    if len(counts) > 1:
        sizes = ", ".join(f"{len(codes)} for {key}" for key, codes in found.items())
        raise UserError(f"{name}: {sizes}; as many images for every input are expected")
    return batch_of(found)


def from_array(array: object, shape: Shape, name: str, numbers: QFormat | None = None) -> Codes:
    """Images in memory for a network with an input of ``shape`` (c, h, w): a numpy array or a torch tensor.

    What :func:`load_images` says of arrays in files holds here too; where both orders are possible, a numpy
    array is (n, h, w, c) and a tensor (n, c, h, w). ``name`` is what errors call it.
    """
    if not hasattr(array, "__array__"):
        raise UserError(f"{name}: holds a {type(array).__name__} where an array of images is expected")
    return np.ascontiguousarray(in_arrays.codes(name, np.asarray(array), shape, isinstance(array, np.ndarray), numbers))


def _from_folder(folder: Path, reading: Reading, limit: int | None) -> ImageSet:
    found = layout(folder)
    files = sorted(
        file.relative_to(found.images)
        for file in found.images.rglob("*")
        if file.suffix.lower() in SUFFIXES and file.is_file() and not _hidden(file.relative_to(found.images))
    )
    if not files:
        raise UserError(f"{found.images}: holds no images ({', '.join(sorted(SUFFIXES))})")
    labels: tuple[int, ...] | None = None
    classes: tuple[str, ...] = ()
    if found.read is None and all(len(file.parts) == 2 for file in files):
        # A class without images still counts: the network's outputs are numbered with it.
        classes = tuple(
            sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not _hidden(Path(entry.name)))
        )
        number = {name: index for index, name in enumerate(classes)}
        labels = tuple(number[file.parts[0]] for file in files)
    kept = _spread(len(files), labels, limit)
    images, good = read_files([found.images / files[i] for i in kept], reading)
    kept = [kept[i] for i in good]
    names = [files[i] for i in kept]
    beside = Beside() if found.read is None else found.read(names, reading.shape[1:], reading.how.fit)
    return ImageSet(
        images,
        None if labels is None else tuple(labels[i] for i in kept),
        classes,
        tuple(name.as_posix() for name in names),
        beside.targets,
        beside.flaws,
    )


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _spread(count: int, labels: tuple[int, ...] | None, limit: int | None) -> list[int]:
    """Which of ``count`` images to keep: the first of every class, then the second, until there are ``limit``."""
    if limit is None or limit >= count:
        return list(range(count))
    if labels is None:
        return list(range(limit))
    seen: dict[int, int] = {}
    turns = []
    for index, label in enumerate(labels):
        seen[label] = seen.get(label, 0) + 1
        turns.append((seen[label], label, index))
    return sorted(index for _, _, index in sorted(turns)[:limit])


def _from_arrays(path: Path, shape: Shape, limit: int | None, numbers: QFormat | None) -> ImageSet:
    found, others = in_arrays.read(path, in_arrays.images_and_others)
    images = in_arrays.codes(path, found, shape, path.suffix.lower() in (".npz", ".npy"), numbers)
    return _labelled(images, path, others, limit)


def _labelled(images: Codes, source: Path | str, others: Mapping[str, np.ndarray], limit: int | None) -> ImageSet:
    """``images`` with what of the ``others``, arrays from the same ``source``, are labels."""
    count, flaws = len(images), []
    given = next((name for name in NAMES_OF_LABELS if name in others), "")
    labels: tuple[int, ...] | None = None
    targets = {
        name: Labels(values)
        for name, values in others.items()
        if name != given and values.ndim and len(values) == count and values.dtype.kind in "biuf"
    }
    if given:
        values = others[given]
        if not values.ndim or len(values) != count:
            size = times(values.shape) or "one"
            flaws.append(
                f"{source}: the labels are {size} of {values.dtype}; one for each of the {count} images is expected"
            )
        elif values.shape in ((count,), (count, 1)) and values.dtype.kind in "iu":
            labels = tuple(int(label) for label in values.reshape(-1))
        else:
            targets[LABELS] = Labels(values)
    names = tuple(f"{source}[{i}]" for i in range(count))
    return ImageSet(images, labels, (), names, targets, tuple(flaws)).take(_spread(count, labels, limit))
