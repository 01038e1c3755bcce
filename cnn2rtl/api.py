"""``cnn2rtl.compile``: the whole line from Python, in one call."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

import numpy as np

from cnn2rtl.compiled import Compiled
from cnn2rtl.devices import Device, default_clock, find, load
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.images import Channels, Fit, given_images
from cnn2rtl.options import Options
from cnn2rtl.pipeline import (
    Simplified,
    calibrated,
    check_feasible,
    implemented,
    quantised,
    simplified,
    with_input_formats,
)
from cnn2rtl.project import Project, open_project
from cnn2rtl.quant.inputs import InputFormat, input_formats
from cnn2rtl.quant.qformat import Scheme
from cnn2rtl.quantise.formats import Ranges
from cnn2rtl.quantise.integers import Effort, Widths
from cnn2rtl.quantised import Quantised
from cnn2rtl.reading import Source, open_file, open_module
from cnn2rtl.schedule import Target
from cnn2rtl.tensors import Codes

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

Numbers: TypeAlias = float | Sequence[float] | np.ndarray


def compile(
    model: str | os.PathLike[str] | nn.Module | ExportedProgram,
    example: Any = None,
    bits: int = 8,
    *,
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    output_bits: int = 16,
    scheme: Scheme = "pow2",
    layers: Mapping[str, Widths] | None = None,
    ranges: Ranges = "minmax",
    effort: Effort = "fast",
    mean: Numbers = 0.0,
    std: Numbers = 1.0,
    input_format: str | Sequence[str] = "u8",
    input_scale: float | str | Sequence[float | str | None] | None = None,
    class_index: bool = False,
    calibration: Any = None,
    fit: Fit = "crop",
    channels: Channels = "rgb",
    fps: float | None = None,
    clock_mhz: float | None = None,
    multipliers: int | None = None,
    dsps: int | None = None,
    device: str | None = None,
    name: str | None = None,
    arch: str | None = None,
    trust_pickle: bool = False,
    outputs: str | Sequence[str] = (),
) -> Compiled:
    """Compile ``model`` to hardware; nothing is written until the result's ``write(folder)``.

    ``model`` is a network in memory or the path of one, of any kind that the command line reads: what
    ``torch.export.save`` or ``torch.save`` wrote, ONNX, what ``cnn2rtl compress qat`` wrote, or, untrained,
    ``zoo:NAME`` or ``FILE.py:NAME``. Of a ``state_dict``, ``arch`` names the network, as ``FILE.py:NAME``: a class or a
    factory without arguments; that file is run. Files that could run code of their own when they are read are refused
    unless ``trust_pickle`` says that they may. A file that has its integers already keeps them, and takes no ``bits``.

    ``example`` tells the input's shape: a batch (n, c, h, w) as the model takes it, or the shape (c, h, w); of several
    inputs, a tuple of these; ``None`` will do for an exported program, which knows its own. The hardware takes raw
    pixels, 0 to 255: the model was trained on ``(pixel / 255 - mean) / std``, each one number or one per channel. A
    model that takes whole numbers (a program or a file says so, of a module an ``example`` of uint8) gets the pixels as
    they are. ``calibration`` are images that show the ranges of all tensors: a path as
    :func:`cnn2rtl.images.load_images` takes it, a numpy array (n, h, w, c) or a tensor (n, c, h, w), of 0 to 255,
    or floats of 0 to 1, for several inputs a mapping from their names to such arrays; without, the BatchNorm
    statistics tell them. ``fit`` (crop, resize or squash) says how pictures in files come to have the input's size,
    ``channels`` (rgb or bgr) in which order the network takes theirs; both are kept with the design. ``bits`` is the
    width of weights and activations unless they have their own, ``layers`` gives single layers their own widths, by
    name. ``ranges`` (minmax, percentile or mse) says how much of what the images show is to be covered, ``effort``
    whether to adapt the rounding of every weight as well (best) or not (fast). ``fps`` at ``clock_mhz``, at most so
    many ``multipliers``, at most so many ``dsps`` (DSP blocks), the name of a ``device`` to fit, or several of these
    are the target; with none, 64 multipliers. A clock that is not given is one that the device's family is believed to
    reach, or 100 MHz without a device. ``class_index`` delivers the index of the largest output instead of the outputs.
    ``name`` names the top module. The network ends in the layers, modules or tensors of an ONNX file, that are called
    ``outputs``, in place of its own: what comes behind them, as the boxes of a detector, is left to software.

    What is no picture comes in another ``input_format``: ``u1`` to ``u16`` or, in two's complement, ``s2`` to ``s16``.
    Each code is worth ``input_scale``, 1 if not given; ``auto`` finds the finest with which all values of
    ``calibration`` have codes. The model was trained on ``(code * input_scale - mean) / std`` then, and arrays hold
    codes where they are integers, or what codes are worth where they are floats. Several inputs may have one each.

    Raises :class:`cnn2rtl.UserError`, with a line for everything that is wrong.
    """
    problems = Problems()
    means: tuple[float, ...] = (0.0,)
    stds: tuple[float, ...] = (1.0,)
    with problems.gather():
        means = _numbers("mean", mean)
    with problems.gather():
        stds = _numbers("std", std)
    inputs: tuple[InputFormat, ...] = ()
    with problems.gather():
        inputs = input_formats(_each(input_format), _each(input_scale))
    chosen: Device | None = None
    if device is not None:
        with problems.gather():
            chosen = find(device)
    options = Options(
        weight_bits=bits if weight_bits is None else weight_bits,
        activation_bits=bits if activation_bits is None else activation_bits,
        output_bits=output_bits,
        scheme=scheme,
        layers=layers or {},
        ranges=ranges,
        effort=effort,
        mean=means,
        std=stds,
        class_index=class_index,
        fit=fit,
        channels=channels,
        inputs=inputs,
        target=Target(fps, default_clock(chosen) if clock_mhz is None else clock_mhz, multipliers, dsps, chosen),
    )
    for name_of, given, choices in (
        ("scheme", scheme, Scheme), ("ranges", ranges, Ranges), ("effort", effort, Effort), ("fit", fit, Fit),
        ("channels", channels, Channels),
    ):  # fmt: skip
        if given not in get_args(choices):
            problems.found.append(f"{name_of} {given!r}: one of {', '.join(get_args(choices))} is expected")
    with problems.gather():
        options.check()
    if isinstance(calibration, (str, os.PathLike)) and not Path(calibration).exists():
        problems.found.append(f"`calibration={calibration}`: no such file or folder")
    source: Source | None = None
    with problems.gather():
        source = _source(
            model, example, arch, trust_pickle, name or "", [outputs] if isinstance(outputs, str) else outputs
        )
        source.check()
    if source is not None and source.given:
        named = {**asdict(options), "arch": arch, "example": example, "calibration": calibration}
        named["input_format"] = named.pop("inputs")
        problems.found += _settled(source, named)
    # What follows imports torch, which takes seconds.
    problems.check()
    assert source is not None
    network = source.read(means, stds)
    if isinstance(network, Quantised):
        return implemented(network if source.normalised else network.on_pictures(fit, channels), options)
    simple: Simplified | None = None
    images: Codes | None = None
    with problems.gather():
        network, options = with_input_formats(network, options, calibration)
        with problems.gather():
            simple = simplified(network, options)
        if calibration is not None:
            found = given_images(
                "calibration", calibration, network.inputs, fit, channels=channels, numbers=network.numbers
            )
            images = None if found is None else found.images
    if calibration is not None and simple is not None:
        with problems.gather():
            check_feasible(simple, options.target)
    problems.check()
    assert simple is not None
    return implemented(quantised(calibrated(simple, images)), options)


def known_devices() -> tuple[Device, ...]:
    """The FPGAs that are known, with what they have: their names are what ``device`` may be."""
    return tuple(load().values())


def open(folder: str | os.PathLike[str]) -> Project:
    """What :meth:`Compiled.write` or ``cnn2rtl generate`` wrote into ``folder``: its description, networks, streams.

    Warns (:class:`cnn2rtl.Notice`) of files that were changed since. Raises :class:`cnn2rtl.UserError` where it is no
    project, a damaged one, another version's, or where the networks in it are not those that were written.
    """
    return open_project(Path(folder))


def _source(
    model: Any, example: Any, arch: str | None, trust_pickle: bool, name: str, outputs: Sequence[str]
) -> Source:
    """The door, for a path or a module."""
    if isinstance(model, (str, os.PathLike)):
        shapes = None if example is None else _shapes(example)
        return open_file(Path(model), arch, shapes, trust_pickle, name, outputs)
    return open_module(model, _example(model, example), name, _dtypes(example), outputs)


def _settled(source: Source, given: Mapping[str, Any]) -> list[str]:
    """What was asked for that a network with integers has settled already."""
    defaults = {**asdict(Options()), "arch": None, "example": None, "calibration": None, "input_format": ()}
    asked = {"target", "class_index"} | (set() if source.normalised else {"mean", "std", "fit", "channels"})
    return [
        f"{name}: the network is quantised already and keeps its numbers; leave it out"
        for name, value in given.items()
        if name not in asked and value != defaults[name]
    ]


def _example(model: Any, example: Any) -> tuple[tuple[int, ...], ...] | None:
    """Of a module, whose input's shape must be told; an exported program knows its own."""
    known = hasattr(model, "graph_signature")
    return None if example is None and known else _shapes(example)


def _shapes(example: Any) -> tuple[tuple[int, ...], ...]:
    """Each input's (c, h, w), (c, length) or (features,)."""
    if isinstance(example, (tuple, list)) and example and not all(isinstance(d, (int, np.integer)) for d in example):
        return tuple(_shape(one) for one in example)
    return (_shape(example),)


def _dtypes(example: Any) -> tuple[str, ...]:
    """The type of each input as numpy calls it, where arrays or tensors are given."""
    several = example if isinstance(example, (tuple, list)) else (example,)
    found = tuple(str(one.dtype).removeprefix("torch.") for one in several if hasattr(one, "dtype"))
    return found if len(found) == len(several) else ()


def _shape(example: Any) -> tuple[int, ...]:
    shape = getattr(example, "shape", None)
    dims = tuple(example) if shape is None and isinstance(example, (tuple, list)) else tuple(shape or ())[1:]
    if not 1 <= len(dims) <= 3 or not all(isinstance(size, (int, np.integer)) and size > 0 for size in dims):
        given = f"an array of shape {tuple(shape)}" if shape is not None else repr(example)
        raise UserError(
            f"example: {given}; a batch (n, c, h, w) as the model takes it, or a shape (c, h, w), is expected"
        )
    return tuple(map(int, dims))


def _each(value: Any) -> Sequence[Any]:
    """One for all inputs, or one for each."""
    return list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]


def _numbers(name: str, value: Numbers) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in np.atleast_1d(np.asarray(value, np.float64)).reshape(-1))
    except (TypeError, ValueError):
        raise UserError(f"{name} {value!r}: a number, or one per channel of the input, is expected") from None
