"""Pools, and means over some dimensions."""

from __future__ import annotations

from cnn2rtl.frontend.call import Call, Refused
from cnn2rtl.ops import AvgPool2d, MaxPool2d, Op, Window


def max_pool(call: Call) -> Op:
    """``maxpool2d``; in the 1-D form with one row."""
    if call.pair("dilation", (1, 1)) != (1, 1):
        raise Refused("dilation is not supported in pooling; use dilation=1")
    return MaxPool2d(_window(call))


def avg_pool(call: Call) -> Op:
    """``avgpool2d``; in the 1-D form with one row."""
    window = _window(call)
    if window.padded and not call.args["count_include_pad"]:
        raise Refused("padding with count_include_pad=False is not supported; use count_include_pad=True or padding=0")
    if call.args.get("divisor_override") not in (None, window.taps):
        raise Refused("divisor_override is not supported")
    return AvgPool2d(window)


def _window(call: Call) -> Window:
    _, height, width = call.image.sized
    kernel = call.pair("kernel_size")
    y, x = call.pair("padding", (0, 0), along=0)
    window = Window(kernel, call.pair("stride", kernel), (y, y, x, x))
    # ceil_mode matters only where the last window would stick out.
    if call.args["ceil_mode"] and window.out_size(height, width) != _pixels(call):
        raise Refused(f"ceil_mode=True is not supported where windows stick out of the {height}x{width} map")
    return window


def _pixels(call: Call) -> tuple[int, int]:
    """Height and width of the result."""
    return (call.out[1], call.out[2]) if len(call.out) == 3 else (1, call.out[1])


def adaptive_avg_pool(call: Call) -> Op:
    """``avgpool2d``, where the map divides into equal windows."""
    _, height, width = call.image.sized
    rows, columns = _pixels(call)
    if height % rows or width % columns:
        raise Refused(f"a {height}x{width} map does not divide into {rows}x{columns} equal windows; use output size 1")
    kernel = (height // rows, width // columns)
    return AvgPool2d(Window(kernel, kernel))


def mean(call: Call) -> Op:
    """``avgpool2d`` over the whole map."""
    _, height, width = call.image.sized
    rank = 1 + len(call.source.dims)
    if {dim % rank for dim in call.args["dim"] or ()} != set(range(2, rank)):
        raise Refused("only the mean over height and width (dim=(2, 3)) is supported")
    return AvgPool2d(Window((height, width), (height, width)))
