"""The operators of a float ONNX network that move values, in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cnn2rtl.frontend.onnx_operands import Operands
from cnn2rtl.frontend.view import Refused


def concat(o: Operands) -> Tensor:
    """As `cat`."""
    return torch.cat([o.tensor(position) for position in range(len(o.values))], o.axis(1))


def split(o: Operands) -> Sequence[Tensor]:
    """As `split`."""
    x, axis = o.tensor(), o.axis(0)
    sizes, count = o.integers(1, "split"), o.get("num_outputs", len(o.outputs))
    if sizes is None:
        each = -(-x.shape[axis] // count)
        return torch.split(x, each, axis)
    return torch.split(x, sizes, axis)


MOST = (1 << 31) - 1
"""What stands for no end in files of 32 bits; those of 64 bits have more."""


def slices(o: Operands) -> Tensor:
    """As `slice`, or `index_select` where it goes backwards."""
    x = o.tensor()
    starts, ends = o.integers(1, "starts") or [], o.integers(2, "ends") or []
    axes = o.integers(3, "axes") or list(range(len(starts)))
    steps = o.integers(4, "steps") or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if axis % x.ndim == 0 and (start, step) == (0, 1) and (end >= MOST or (o.single and end >= 1)):
            continue
        axis = o.beside_batch(axis, x.ndim)
        size = x.shape[axis]
        chosen = range(size)[start if step > 0 else min(start, size - 1) : end if end >= -size else None : step]
        if list(chosen) == list(range(size)):
            continue
        x = torch.index_select(x, axis, torch.tensor(list(chosen)))
    return x


def gather(o: Operands) -> Tensor:
    """As `index_select`."""
    x, axis, indices = o.tensor(), o.axis(0), o.constant(1)
    if indices.ndim > 1:
        raise Refused("is supported with constant indices of one dimension")
    positive = [int(index) % x.shape[axis] for index in np.atleast_1d(indices)]
    chosen = torch.index_select(x, axis, torch.tensor(positive))
    return chosen.squeeze(axis) if indices.ndim == 0 else chosen


def reshape(o: Operands) -> Tensor:
    """As `reshape`."""
    x, sizes = o.tensor(), o.integers(1) or []
    if not o.get("allowzero", 0):
        sizes = [x.shape[position] if size == 0 else size for position, size in enumerate(sizes)]
    if -1 in sizes:
        rest = -int(np.prod(sizes))
        sizes = [x.numel() // rest if size == -1 else size for size in sizes]
    if not sizes or sizes[0] != x.shape[0]:
        raise Refused(f"makes {sizes} of one image; the batch must stay the first dimension")
    return x.reshape(sizes)


def flatten(o: Operands) -> Tensor:
    """As `flatten`."""
    x, axis = o.tensor(), o.get("axis", 1)
    # All before the axis is one dimension, which must be the batch alone.
    axis += 0 if axis >= 0 else x.ndim
    before = x.shape[1:axis]
    if (axis == 0 and not o.single) or any(size != 1 for size in before):
        raise Refused("puts the channels into the batch; only axis 1 is supported")
    return x.flatten(1)


def squeeze(o: Operands) -> Tensor:
    """As `squeeze`."""
    x, axes = o.tensor(), o.integers(1, "axes")
    if axes is None:
        axes = [axis for axis, size in enumerate(x.shape) if axis and size == 1]
    for axis in sorted((o.beside_batch(axis, x.ndim) for axis in axes), reverse=True):
        if x.shape[axis] != 1:
            raise Refused(f"takes away dimension {axis}, which has {x.shape[axis]} values")
        x = x.squeeze(axis)
    return x


def unsqueeze(o: Operands) -> Tensor:
    """As `unsqueeze`."""
    x, axes = o.tensor(), o.integers(1, "axes") or []
    for axis in sorted(o.beside_batch(axis, x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def transpose(o: Operands) -> Tensor:
    """As `permute`."""
    x = o.tensor()
    order = list(o.get("perm", list(reversed(range(x.ndim)))))
    if order[0] != 0:
        raise Refused(f"perm={order} moves the batch, which must stay the first dimension")
    return x.permute(*order)


def expand(o: Operands) -> Tensor:
    """As `expand`."""
    x = o.tensor()
    return x.expand(np.broadcast_shapes(tuple(x.shape), tuple(o.integers(1) or ())))


def tile(o: Operands) -> Tensor:
    """As `repeat`."""
    return o.tensor().repeat(*(o.integers(1) or []))


def pad(o: Operands) -> Tensor:
    """As `pad`."""
    x = o.tensor()
    axes = [axis % x.ndim for axis in o.integers(3) or range(x.ndim)]
    given = o.integers(1, "pads") or []
    pads = dict(zip(axes, zip(given[: len(axes)], given[len(axes) :], strict=True), strict=True))
    mode = o.get("mode", "constant")
    if any(pads.get(0, (0, 0))):
        raise Refused("adds images to a batch; pad rows and columns, and channels with a constant")
    first = min((axis for axis in pads if any(pads[axis])), default=x.ndim)
    # torch has the last dimension first, and the modes that copy pixels need all spatial dimensions.
    first = first if mode == "constant" else min(first, 2)
    around = [size for axis in range(x.ndim - 1, first - 1, -1) for size in pads.get(axis, (0, 0))]
    if mode == "constant":
        return F.pad(x, around, value=o.number(2, 0.0, "value")) if any(around) else x
    names = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if mode not in names or first < 2:
        raise Refused(f"mode {mode} of channels is not supported; a constant is")
    return F.pad(x, around, mode=names[mode])


def _mode(o: Operands) -> str:
    mode = str(o.get("mode", "DCR"))
    if mode not in ("DCR", "CRD"):
        raise Refused(f"mode={mode} is not supported; DCR and CRD are")
    return mode


def depth_to_space(o: Operands) -> Tensor:
    """As `pixel_shuffle`."""
    x, block, mode = o.tensor(), o.get("blocksize", 1), _mode(o)
    n, c, h, w = x.shape
    if mode == "CRD":
        return F.pixel_shuffle(x, block)
    parts = x.reshape(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(n, c // block**2, h * block, w * block)


def space_to_depth(o: Operands) -> Tensor:
    """As `pixel_unshuffle`."""
    x, block, mode = o.tensor(), o.get("blocksize", 1), _mode(o)
    n, c, h, w = x.shape
    if mode == "CRD":
        return F.pixel_unshuffle(x, block)
    parts = x.reshape(n, c, h // block, block, w // block, block).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(n, c * block**2, h // block, w // block)


def upsample(o: Operands) -> Tensor:
    """As `Resize` of opset 10, whose name it had before."""
    return _resized(o.tensor(), _scaled(o, 1), _Places(str(o.get("mode", "nearest")), "asymmetric", "floor"))


def resize(o: Operands) -> Tensor:
    """As `index_select` of nearest pixels, or `upsample_bilinear2d`."""
    mode = str(o.get("mode", "nearest"))
    if o.since < RESIZE_SAYS_WHERE:
        scales = _scaled(o, 1)
        return _resized(o.tensor(), scales, _Places(mode, "asymmetric", "floor" if min(scales) >= 1 else "ceil"))
    how = str(o.get("coordinate_transformation_mode", "half_pixel"))
    rounding = str(o.get("nearest_mode", "round_prefer_floor"))
    if how != "tf_crop_and_resize":
        o.ignore("extrapolation_value")
    if mode != "cubic":
        o.ignore("cubic_coeff_a")
    if mode != "nearest":
        # What is beyond the map counts for nothing where it would be the average of its pixels; else it is their last.
        rounding = ""
    else:
        o.ignore("exclude_outside", "antialias")
    scales, sizes = _scales_and_sizes(o)
    return _resized(o.tensor(), scales, _Places(mode, how, rounding), sizes)


RESIZE_SAYS_WHERE = 11
"""The opset since which it tells where a pixel of the result lies in the map."""


@dataclass(frozen=True)
class _Places:
    """Where the pixels of a resized map come from: the attributes `mode`, `coordinate_transformation_mode` and
    `nearest_mode`."""

    mode: str
    how: str
    rounding: str


def _scaled(o: Operands, position: int) -> list[float]:
    """The scales of all dimensions, from an input or from the attribute of the oldest form."""
    given = o.constant(position).tolist() if o.given(position) else o.get("scales", [])
    return [float(scale) for scale in given]


def _scales_and_sizes(o: Operands) -> tuple[list[float], list[int] | None]:
    """The scales of all dimensions; the sizes, where those are what is given."""
    x, policy = o.tensor(), o.get("keep_aspect_ratio_policy", "stretch")
    axes = [axis % x.ndim for axis in o.get("axes", None) or range(x.ndim)]
    if o.given(3):
        if policy != "stretch":
            raise Refused(f"keep_aspect_ratio_policy={policy} is not supported; stretch is")
        told = dict(zip(axes, o.integers(3) or [], strict=True))
        sizes = [told.get(axis, size) for axis, size in enumerate(x.shape)]
        return [out / size for out, size in zip(sizes, x.shape, strict=True)], sizes
    scaled = dict(zip(axes, _scaled(o, 2), strict=True))
    return [scaled.get(axis, 1.0) for axis in range(x.ndim)], None


def _resized(x: Tensor, scales: Sequence[float], places: _Places, sizes: Sequence[int] | None = None) -> Tensor:
    if len(scales) != x.ndim or list(scales[:2]) != [1.0, 1.0]:
        raise Refused("changes the channels; only height and width can be resized")
    mode, how = places.mode, places.how
    exact = [size * scale for size, scale in zip(x.shape, scales, strict=True)]
    if sizes is None and how == "align_corners" and not np.allclose(exact, np.floor(exact), rtol=1e-6, atol=0):
        # The corner is that of the fraction of a pixel to onnx's own implementation, of the last pixel to others.
        raise Refused(f"scales {list(scales[2:])} do not make a whole number of pixels; give sizes instead")
    sizes = sizes or [int(size) for size in exact]
    if mode == "nearest":
        for axis in range(2, x.ndim):
            indices = _nearest(x.shape[axis], sizes[axis], scales[axis], how, places.rounding)
            if indices != list(range(x.shape[axis])):
                x = torch.index_select(x, axis, torch.tensor(indices))
        return x
    if mode != "linear" or x.ndim != 4 or how not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise Refused(
            f"mode {mode} with {how} is not supported; nearest is, and linear with half_pixel or align_corners"
        )
    if how == "align_corners":
        return F.interpolate(x, sizes[2:], mode="bilinear", align_corners=True)
    if any(size * scale != out for size, scale, out in zip(x.shape, scales, sizes, strict=True)):
        raise Refused(f"scales {list(scales[2:])} do not make a whole number of pixels; give sizes instead")
    for axis in (2, 3):
        if how == "pytorch_half_pixel" and sizes[axis] == 1 < x.shape[axis]:
            # A single pixel is the first one, not that in the middle.
            x = torch.index_select(x, axis, torch.tensor([0]))
    return F.interpolate(x, sizes[2:], mode="bilinear", align_corners=False)


def _nearest(size: int, out: int, scale: float, how: str, rounding: str) -> list[int]:
    """Which pixel each of a row of ``out`` is."""
    y = np.arange(out, dtype=np.float64)
    places: dict[str, np.ndarray] = {
        "half_pixel": (y + 0.5) / scale - 0.5,
        "pytorch_half_pixel": (y + 0.5) / scale - 0.5 if out > 1 else np.zeros(out),
        "half_pixel_symmetric": size / 2 * (1 - out / (scale * size)) + (y + 0.5) / scale - 0.5,
        "asymmetric": y / scale,
        "align_corners": y * (size - 1) / (out - 1) if out > 1 else np.zeros(out),
    }
    rounds: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": lambda place: np.ceil(place - 0.5),
        "round_prefer_ceil": lambda place: np.floor(place + 0.5),
    }
    if how not in places or rounding not in rounds:
        raise Refused(f"{how} with {rounding} is not supported")
    return [int(place) for place in np.clip(rounds[rounding](places[how]), 0, size - 1)]
