"""Layers that move values: what a view costs where it is needed as a map of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cnn2rtl.frontend.view import Map, Refused
from cnn2rtl.graph import times
from cnn2rtl.ops import Op, Select
from cnn2rtl.quant.qformat import IntArray


def layers(view: Map) -> Iterator[tuple[str, Op]]:
    """The layers, each with a word for its name, that make a map of ``view`` from its node's; else :class:`Refused`."""
    _, h, w = view.shape
    index = view.positions.reshape(view.sized)
    channel = index // (h * w)
    if np.any(index < 0):
        raise refusal(view)
    channels = channel[:, 0, 0]
    if index[0].size == h * w and np.all(index == channels[:, None, None] * (h * w) + _raster(index.shape[1:])):
        size = index.shape[1:]
        yield "select", Select(tuple(channels.tolist()), None if size == (h, w) else (size[0], size[1]))
        return
    raise refusal(view)


def _raster(size: tuple[int, ...]) -> IntArray:
    """The number of each pixel, (1, h, w)."""
    return np.arange(size[0] * size[1]).reshape(1, *size)


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
