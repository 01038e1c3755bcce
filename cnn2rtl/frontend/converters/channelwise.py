"""What is done to every value of a map by itself: activations, factors and addends."""

from __future__ import annotations

from math import inf

import numpy as np

from cnn2rtl.frontend.call import Call, Map, Refused
from cnn2rtl.graph import Clamp, FloatArray
from cnn2rtl.ops import Affine


def relu(call: Call) -> Clamp:
    """The clamp of the layer before, else ``rescale``."""
    return Clamp(0.0, inf)


def relu6(call: Call) -> Clamp:
    """The clamp of the layer before, else ``rescale``."""
    return Clamp(0.0, 6.0)


def hardtanh(call: Call) -> Clamp:
    """The clamp of the layer before, else ``rescale``."""
    return _clamp(call.args["min_val"], call.args["max_val"])


def clamp(call: Call) -> Clamp:
    """The clamp of the layer before, else ``rescale``; its bounds are numbers."""
    return _clamp(call.args.get("min"), call.args.get("max"))


def _clamp(lo: object, hi: object) -> Clamp:
    bounds = [default if bound is None else bound for bound, default in ((lo, -inf), (hi, inf))]
    if not all(isinstance(bound, (int, float)) for bound in bounds):
        raise Refused("only constant bounds are supported")
    low, high = (float(bound) for bound in bounds)  # type: ignore[arg-type]
    # As torch has it: where the bounds are the wrong way round, all is the upper one.
    return Clamp(min(low, high), high)


def affine(
    call: Call,
    source: Map,
    scale: FloatArray,
    shift: FloatArray,
    *,
    statistics: tuple[FloatArray, FloatArray] | None = None,
    trained: int = 0,
) -> Map:
    """``source * scale + shift``; both broadcast to ``call.out``, and are one number per channel of some map.

    So are the ``statistics``, mean and standard deviation of the result.
    """
    source = source.expanded(call.out)
    if source.permutes:
        # Before what reorders the values, so that the layer ahead can take it over.
        base, where = Map(source.node, source.shape, source.shape), source.positions
    else:
        base, where = source, np.arange(source.positions.size).reshape(source.dims)

    def column(values: FloatArray) -> FloatArray:
        return _per_channel(values, where, base)

    mean, std = (None, None) if statistics is None else (column(array) for array in statistics)
    op = Affine(column(scale), column(shift), mean, std, trained)
    made = call.layer(op, base)
    return source.of(made.node, made.shape) if source.permutes else made.reshaped(source.dims)


def _per_channel(values: FloatArray, where: np.ndarray, base: Map) -> FloatArray:
    """``values``, broadcast to ``where`` they meet positions of ``base``, as one per channel, (c,)."""
    c, h, w = base.sized
    spread = np.empty(c * h * w)
    spread[where.ravel()] = np.broadcast_to(values, where.shape).ravel()
    columns = spread.reshape(c, h * w)
    if np.any(columns != columns[:, :1]):
        raise Refused("only constants of one number, or of one per channel, are supported")
    return columns[:, 0].copy()


def identity(call: Call) -> Map:
    """Nothing."""
    return call.source


def dropout(call: Call) -> Map:
    """Nothing, in evaluation mode."""
    if call.args.get("train"):
        raise Refused("dropout in training mode; call model.eval() before torch.export.export")
    return call.source
