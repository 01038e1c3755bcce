"""Layers that move values: what a view costs where it is needed as a map of its own."""

from __future__ import annotations

import numpy as np

from cnn2rtl.frontend.call import Builder
from cnn2rtl.frontend.view import Map, Refused
from cnn2rtl.ops import Affine, Concat, DepthToSpace, Op, Resample, Select
from cnn2rtl.quant.qformat import IntArray
from cnn2rtl.tensors import Clamp, Shape, times

BRANCHES = 16
"""Into so many parts, each with pixels of its own, a map is taken apart at most."""


def moved(builder: Builder, view: Map) -> Map:
    """The map of ``view`` as that of a node; raises :class:`Refused` where no layers make it."""
    return _Mover(builder, view).run()


def rearranged(builder: Builder, view: Map) -> Map:
    """As :func:`moved`, where one layer or two do it to the map as a whole."""
    return _Mover(builder, view).run(in_parts=False)


def is_map(view: Map) -> bool:
    """Whether its channels, rows and columns are channels, rows and columns of a node's map."""
    if view.parts or len(view.dims) > 3:
        return False
    return _separated(view.positions.reshape(view.sized), view.shape) is not None


def channels_first(view: Map) -> tuple[Map, bool]:
    """A tensor with its channels as the first dimension, and whether they were the last."""
    if len(view.dims) < 2 or is_map(view):
        return view, False
    first = view.at(np.moveaxis(view.positions, -1, 0))
    return (first, True) if is_map(first) else (view, False)


def axes_of(rank: int, last: bool = False) -> dict[int, int]:
    """Which of channels 0, rows 1 and columns 2 each dimension is of a tensor of so many, the images included.

    The channels are its first one behind these, or the ``last``.
    """
    axes = {2: [0], 3: [0, 2]}.get(rank, [0, 1, 2])
    return dict(enumerate(axes[1:] + axes[:1] if last else axes, 1))


class _Mover:
    """A view on its way into layers, called after whatever moved the values."""

    def __init__(self, builder: Builder, view: Map) -> None:
        self.builder, self.view = builder, view
        (self.base,) = view.bases

    def run(self, in_parts: bool = True) -> Map:
        index = self.view.positions.reshape(self.view.sized)
        whole = (self._in_raster_order, self._channels_and_pixels, self._from_channels)
        for make in (*whole, self._in_parts) if in_parts else whole:
            made = make(index)
            if made is not None:
                return made
        raise refusal(self.view)

    def _layer(self, kind: str, op: Op, *sources: Map) -> Map:
        return self.builder.layer(f"{self.view.name}.{kind}".lstrip("."), op, sources, Clamp())

    def _select(self, source: Map, channels: IntArray, size: tuple[int, int] | None = None) -> Map:
        """Some channels of ``source``, if they are not all of them in order."""
        if size is None and np.array_equal(channels, np.arange(source.shape[0])):
            return source
        return self._layer("select", Select(tuple(channels.tolist()), size), source)

    def _in_raster_order(self, index: IntArray) -> Map | None:
        """Whole channels, whose pixels stay in order."""
        _, h, w = self.view.shape
        height, width = index.shape[1:]
        channels = index[:, 0, 0] // (h * w)
        pixels = np.arange(index[0].size).reshape(height, width)
        if index[0].size != h * w or np.any(index != channels[:, None, None] * (h * w) + pixels):
            return None
        return self._select(self.base, channels, None if (height, width) == (h, w) else (height, width))

    def _channels_and_pixels(self, index: IntArray) -> Map | None:
        """The same pixels of every channel, each row from one row, each column from one column."""
        found = _separated(index, self.view.shape)
        if found is None:
            return None
        channels, rows, columns = found
        value, outside = self.view.value, channels < 0
        picked = np.where(outside, max(channels.max(), 0), channels)
        source, whole = self.base, self.view.shape[1:]
        moves = not (_in_order(rows, whole[0]) and _in_order(columns, whole[1]))
        resample = Resample(tuple(rows.tolist()), tuple(columns.tolist()), value)
        # What leaves fewer values comes first.
        if moves and len(picked) > source.shape[0]:
            source, moves = self._layer("resample", resample, source), False
        source = self._select(source, picked)
        if moves:
            source = self._layer("resample", resample, source)
        if outside.any():
            scale = np.where(outside, 0.0, 1.0)
            source = self._layer("constant", Affine(scale, value * (1 - scale)), source)
        return source

    def _from_channels(self, index: IntArray) -> Map | None:
        """Pixels of a finer map that lie side by side as channels."""
        _, h, w = self.view.shape
        count, height, width = index.shape
        if np.any(index < 0) or height % h or width % w:
            return None
        by, bx = height // h, width // w
        # (channels, rows, rows in the block, columns, columns in the block)
        blocks = index.reshape(count, h, by, w, bx)
        pixels = np.arange(h * w).reshape(h, 1, w, 1)
        channels = blocks[:, 0, :, 0, :] // (h * w)
        if np.any(blocks != channels[:, None, :, None, :] * (h * w) + pixels):
            return None
        order = channels.transpose(1, 2, 0).ravel()
        return self._layer("pixels", DepthToSpace((by, bx)), self._select(self.base, order))

    def _in_parts(self, index: IntArray) -> Map | None:
        """Channels with pixels of their own, a few such kinds: each its branch."""
        kinds: dict[tuple[bytes, bytes], list[int]] = {}
        chosen = []
        for channel in range(index.shape[0]):
            found = _separated(index[channel : channel + 1], self.view.shape)
            if found is None:
                return None
            chosen.append(found)
            kinds.setdefault((found[1].tobytes(), found[2].tobytes()), []).append(channel)
        if len(kinds) > BRANCHES or any(c < 0 for (c,), _, _ in chosen):
            return None
        branches = []
        for members in kinds.values():
            channels = np.array([chosen[channel][0][0] for channel in members])
            _, rows, columns = chosen[members[0]]
            resample = Resample(tuple(rows.tolist()), tuple(columns.tolist()), self.view.value)
            branches.append(self._layer("resample", resample, self._select(self.base, channels)))
        order = np.argsort(np.concatenate([np.array(members) for members in kinds.values()]))
        return self._select(self._layer("join", Concat(), *branches), order)


def _separated(index: IntArray, shape: Shape) -> tuple[IntArray, IntArray, IntArray] | None:
    """The channel, row and column that each channel, row and column of ``index`` comes from, -1 for the constant."""
    _, h, w = shape
    there = index >= 0
    channels, rows, columns = (
        np.where(there, part, -1).max(axes)
        for part, axes in (
            (index // (h * w), (1, 2)),
            (index // w % h, (0, 2)),
            (index % w, (0, 1)),
        )
    )
    expected = channels[:, None, None] * (h * w) + rows[:, None] * w + columns
    outside = (channels < 0)[:, None, None] | (rows < 0)[:, None] | (columns < 0)
    return (channels, rows, columns) if np.array_equal(np.where(outside, -1, expected), index) else None


def _in_order(numbers: IntArray, count: int) -> bool:
    return np.array_equal(numbers, np.arange(count))


def refusal(view: Map) -> Refused:
    """Why ``view`` cannot be had, and what to do."""
    (c, h, w), source = view.shape, times(view.shape)
    if view.dims == (c * h * w,):
        return Refused(
            f"flattens a {source} map; only a Linear can follow the flattening of a map larger than 1x1: pool the map "
            "first, for instance with AdaptiveAvgPool2d(1), or leave the flattening out"
        )
    return Refused(
        f"takes a {source} map as {view.dims}, its values in another order: no layer moves them so. Leave the "
        "reordering out, or choose one that keeps channels channels and pixels pixels"
    )
