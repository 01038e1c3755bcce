"""Pools, and means over some dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from cnn2rtl.frontend.call import Call, Map, Refused
from cnn2rtl.frontend.relabel import axes_of, channels_first
from cnn2rtl.ops import AvgPool2d, ChannelMax, Conv2d, MaxPool2d, Op, Window
from cnn2rtl.quant.qformat import IntArray


def max_pool(call: Call) -> Map:
    """``maxpool2d``; in the 1-D form with one row."""
    source, around = call.image.unpadded(-inf)
    window = _window(call, call.pair("dilation", (1, 1)))
    top, bottom, left, right = map(sum, zip(around, window.padding, strict=True))
    window = replace(window, padding=(top, bottom, left, right))
    if not window.sees_pixels(*source.sized[1:]):
        raise Refused("some window lies in the padding alone, and has no largest pixel; use less padding or dilation")
    return call.layer(MaxPool2d(window), source).reshaped(call.out)


def avg_pool(call: Call) -> Op:
    """``avgpool2d``; in the 1-D form with one row."""
    window, override = _window(call), call.args.get("divisor_override")
    counts = _counts(call, window)
    if override is not None:
        counts = np.full_like(counts, override)
    return AvgPool2d(window, None if np.all(counts == window.taps) else counts)


def _window(call: Call, dilation: tuple[int, int] = (1, 1)) -> Window:
    """Where ``ceil_mode`` lets the last window stick out, with more padding below and on the right."""
    size, out = call.image.sized[1:], _pixels(call)
    kernel = call.pair("kernel_size")
    stride, (y, x) = call.pair("stride", kernel), call.pair("padding", (0, 0), along=0)
    reach = Window(kernel, dilation=dilation).reach
    bottom, right = (
        max(before, (count - 1) * step + length - before - pixels)
        for before, count, step, length, pixels in zip((y, x), out, stride, reach, size, strict=True)
    )
    return Window(kernel, stride, (y, bottom, x, right), dilation)


def _counts(call: Call, window: Window) -> IntArray:
    """What torch divides the sum under each window by, (h_out, w_out).

    That is the pixels under it, with those of the padding if ``count_include_pad``, but never what ``ceil_mode`` adds.
    """
    lengths = []
    sizes, paddings = call.image.sized[1:], call.pair("padding", (0, 0), along=0)
    for size, padding, out, kernel, stride in zip(
        sizes, paddings, _pixels(call), window.kernel, window.stride, strict=True
    ):
        first = np.arange(out) * stride - padding
        end = np.minimum(first + kernel, size + padding)
        if not call.args["count_include_pad"]:
            first, end = np.maximum(first, 0), np.minimum(end, size)
        lengths.append(end - first)
    counts: IntArray = np.outer(*lengths)
    return counts


def _pixels(call: Call) -> tuple[int, int]:
    """Height and width of the result."""
    return (call.out[1], call.out[2]) if len(call.out) == 3 else (1, call.out[1])


def adaptive_avg_pool(call: Call) -> Map:
    """``avgpool2d``; where the map does not divide into equal windows, of rows and columns laid out by ``resample``."""
    heights, widths = parts = _parts(call)
    counts = np.array([[len(rows) * len(columns) for columns in widths] for rows in heights])
    # Shorter windows are filled up with zeros, which do not count.
    window, laid_out = _side_by_side(call, parts, lambda part: -1)
    return call.layer(AvgPool2d(window, None if np.all(counts == window.taps) else counts), laid_out).reshaped(call.out)


def adaptive_max_pool(call: Call) -> Map:
    """``maxpool2d``; where the map does not divide into equal windows, of rows and columns laid out by ``resample``."""
    # A pixel that is there twice changes no maximum.
    window, laid_out = _side_by_side(call, _parts(call), lambda part: part[-1])
    return call.layer(MaxPool2d(window), laid_out).reshaped(call.out)


Parts = list[tuple[int, ...]]


def _parts(call: Call) -> tuple[Parts, Parts]:
    """The rows, and the columns, under each window, as torch cuts them."""
    y, x = (
        [tuple(range(count * i // parts, -(-count * (i + 1) // parts))) for i in range(parts)]
        for count, parts in zip(call.image.sized[1:], _pixels(call), strict=True)
    )
    return y, x


def _side_by_side(call: Call, parts: tuple[Parts, Parts], fill: Callable[[tuple[int, ...]], int]) -> tuple[Window, Map]:
    """Windows of one size that lie side by side, and the map for them; ``fill`` tells what makes a part longer."""
    lengths = [max(map(len, axis)) for axis in parts]
    rows, columns = (
        np.array([(*part, *[fill(part)] * (length - len(part))) for part in axis]).ravel()
        for axis, length in zip(parts, lengths, strict=True)
    )
    source = call.image
    if np.any(source.positions < 0) and source.value != 0:
        source = call.builder.plain(source)
    kernel = (lengths[0], lengths[1])
    return Window(kernel, kernel), source.pixels(rows, columns, call.name)


def mean(call: Call) -> Map:
    """``avgpool2d`` over rows, columns or both; over the channels a 1x1 ``conv2d``."""
    return _over(call, sums=False)


def total(call: Call) -> Map:
    """As ``avgpool2d`` over rows, columns or both; over the channels a 1x1 ``conv2d``."""
    return _over(call, sums=True)


def largest(call: Call) -> Map:
    """``maxpool2d`` over rows, columns or both; over the channels ``channel_max``."""
    over = _Reduced.of(call)
    source = over.source
    if over.window.taps > 1 or not over.channels:
        source = call.layer(MaxPool2d(over.window), source, part="pixels" if over.channels else "")
    if over.channels:
        source = call.layer(ChannelMax(), source)
    return over.result(call, source)


def _over(call: Call, sums: bool) -> Map:
    over = _Reduced.of(call)
    source, window = over.source, over.window
    if window.taps > 1 or not over.channels:
        out = window.out_size(*source.sized[1:])
        op = AvgPool2d(window, np.ones(out, np.int64) if sums else None)
        source = call.layer(op, source, part="pixels" if over.channels else "")
    if over.channels:
        count = source.sized[0]
        weight = np.full((1, count, 1, 1), 1.0 if sums else 1.0 / count)
        source = call.layer(Conv2d(weight=weight, bias=np.zeros(1), window=Window((1, 1)), biased=False), source)
    return over.result(call, source)


@dataclass(frozen=True)
class _Reduced:
    """What a reduction goes over: the ``channels`` of a map or not, and a ``window`` of rows and columns.

    ``source`` has its channels first; where they are ``last`` in the tensor, they are last in the result.
    """

    source: Map
    channels: bool
    window: Window
    last: bool

    @classmethod
    def of(cls, call: Call) -> _Reduced:
        source, given = call.source, call.args["dim"]
        rank = 1 + len(source.dims)
        dims = {dim % rank for dim in ([given] if isinstance(given, int) else given or range(rank))}
        if 0 in dims:
            raise Refused(
                "goes over the images of a batch, too; give it the dimensions behind the first, as in dim=(2, 3)"
            )
        source, last = channels_first(source)
        axes = axes_of(rank, last)
        _, height, width = source.sized
        reduced = {axes[dim] for dim in dims}
        kernel = (height if 1 in reduced else 1, width if 2 in reduced else 1)
        return cls(source, 0 in reduced, Window(kernel, kernel), last)

    def result(self, call: Call, made: Map) -> Map:
        """The reduced map as the tensor that the model has."""
        if self.last:
            made = made.at(np.moveaxis(made.positions, 0, -1), name=call.name)
        return made.reshaped(call.out)
