"""What is done to every value of a map by itself: activations, factors and addends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

import numpy as np

from cnn2rtl.frontend.call import Call, Map, Refused
from cnn2rtl.ops import Add, Affine, ArgMax, Identity, Table
from cnn2rtl.tensors import Clamp, FloatArray, times


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
        raise Refused("its bounds are computed; only constant bounds are supported")
    low, high = (float(bound) for bound in bounds)  # type: ignore[arg-type]
    # As torch has it: where the bounds are the wrong way round, all is the upper one.
    return Clamp(min(low, high), high)


# Operator: the function of the table, and which arguments are passed on to it.
TABLES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "celu": ("celu", ("alpha",)),
    "elu": ("elu", ("alpha", "scale", "input_scale")),
    "hardshrink": ("hardshrink", ("lambd",)),
    "leaky_relu": ("leaky_relu", ("negative_slope",)),
    "log_sigmoid_forward": ("log_sigmoid", ()),
    "softplus": ("softplus", ("beta", "threshold")),
    "softshrink": ("softshrink", ("lambd",)),
    "threshold": ("threshold", ("threshold", "value")),
}


def table(call: Call) -> Map:
    """``table``."""
    operator = call.operator.split(".")[1]
    function, names = TABLES.get(operator, (operator, ()))
    return call.pointwise(Table(function, tuple(call.number(name) for name in names)), call.source)


def gelu(call: Call) -> Map:
    """``table``, of either formula."""
    return call.pointwise(Table("gelu_tanh" if call.args["approximate"] == "tanh" else "gelu"), call.source)


def power(call: Call) -> Map:
    """``table``, with a constant exponent."""
    exponent = 2.0 if call.operator.split(".")[1] == "square" else call.number("exponent")
    return call.pointwise(Table("pow", (exponent,)), call.source)


def prelu(call: Call) -> Map:
    """``table`` where all channels have one slope; else ``add`` of the positive part and the scaled negative part."""
    slope, source = call.required("weight"), call.source
    if slope.size == 1 or np.all(slope == slope.flat[0]):
        return call.pointwise(Table("leaky_relu", (float(slope.flat[0]),)), source)
    if slope.ndim == 1:
        slope = slope.reshape(-1, *(1,) * (len(source.dims) - 1))
    positive = call.layer(Identity(), source, clamp=Clamp(0.0, inf), part="positive").reshaped(source.dims)
    negative = call.layer(Identity(), source, clamp=Clamp(-inf, 0.0), part="negative").reshaped(source.dims)
    scaled = affine(call, negative, slope, np.zeros_like(slope), part="slope")
    return call.layer(Add(), positive, scaled).reshaped(source.dims)


KEEPING = frozenset((
    *("alias", "clone", "contiguous", "detach", "to", "_to_copy", "dropout", "feature_dropout"),
    *("flatten", "unflatten", "view", "_unsafe_view", "reshape", "squeeze", "unsqueeze"),
    *("permute", "transpose", "swapaxes", "swapdims", "movedim", "mT", "adjoint", "cat"),
))  # fmt: skip
"""Operators that keep every value as it is: whoever looks for the largest of some behind them still finds it."""


def softmax(call: Call) -> Map:
    """Nothing at the end of the network, over the channels, where it changes no order; elsewhere refused."""
    source, dim = call.source, call.args["dim"] % (1 + len(call.out))
    if dim == 0:
        raise Refused("goes over the images of a batch, each of which is computed by itself; the classes are dim=1")
    # What each sum goes over, (sums, values), as places in the map.
    places = np.moveaxis(source.positions, dim - 1, -1).reshape(-1, call.out[dim - 1])
    pixels = source.pixels_of[places]
    if places.shape[1] == 1:
        raise Refused(
            f"goes over dim={dim}, which has one value alone: the result would always be the same; leave it out"
        )
    if np.any(places < 0) or np.any(pixels != pixels[:, :1]):
        raise Refused(
            f"goes over dim={dim}, that is, over several pixels of {_shapes(source)}; it is supported over the "
            "channels of each pixel alone (the classes), where it is left out. End the network before it, with "
            "`outputs=LAYER`"
        )
    # The index of the largest of all channels stays the same where all of them are in the sum.
    allowed = KEEPING | {"argmax"} if places.shape[1] == source.shape[0] else KEEPING
    if not call.behind <= allowed:
        raise Refused("is supported at the end of the network alone, where it is left out; within it, use a sigmoid")
    if "argmax" not in call.behind:
        call.note("is left out: the outputs are scores, whose order is that of the probabilities.")
    return source


def _shapes(source: Map) -> str:
    return " and ".join(f"a {times(base.shape)} map" for base in source.bases)


def argmax(call: Call) -> Map:
    """``argmax`` at the end of the network, over the channels."""
    dim, rank = call.args["dim"], 1 + len(call.source.dims)
    if call.behind or dim is None or dim % rank != 1:
        raise Refused("is supported at the end of the network alone, over the channels (dim=1)")
    return call.layer(ArgMax(), call.source)


def affine(
    call: Call,
    source: Map,
    scale: FloatArray,
    shift: FloatArray,
    *,
    statistics: tuple[FloatArray, FloatArray] | None = None,
    trained: int = 0,
    part: str = "",
) -> Map:
    """``source * scale + shift``; both broadcast to ``call.out``, and are one number per channel of some map.

    So are the ``statistics``, mean and standard deviation of the result.
    """
    source = source.expanded(call.out, call.name)
    if source.permutes:
        # Before what reorders the values, so that the layer ahead can take it over.
        bases, where = source.bases, source.positions
    else:
        bases, where = (source,), np.arange(source.positions.size).reshape(source.dims)

    def columns(values: FloatArray) -> list[FloatArray]:
        return _per_channel(values, where, bases)

    numbers = [columns(array) for array in (scale, shift, *(statistics or ()))]
    made = [
        call.layer(replace(Affine(*of_base), trained=trained), base, part=part)
        for base, *of_base in zip(bases, *numbers, strict=True)
    ]
    return source.of(*made) if source.permutes else made[0].reshaped(source.dims)


def _per_channel(values: FloatArray, where: np.ndarray, bases: Sequence[Map]) -> list[FloatArray]:
    """``values``, broadcast to ``where`` they meet positions of ``bases``, as one per channel of each, (c,)."""
    spread = np.empty(where.size)
    spread[where.ravel()] = np.broadcast_to(values, where.shape).ravel()
    found: list[FloatArray] = []
    for part in np.split(spread, np.cumsum([base.positions.size for base in bases])[:-1]):
        columns = part.reshape(bases[len(found)].sized[0], -1)
        if not np.array_equal(columns, np.broadcast_to(columns[:, :1], columns.shape), equal_nan=True):
            raise Refused("only constants of one number, or of one per channel, are supported; give others as an input")
        found.append(columns[:, 0].copy())
    return found


def identity(call: Call) -> Map:
    """Nothing."""
    return call.source


def dropout(call: Call) -> Map:
    """Nothing, in evaluation mode."""
    if call.args.get("train"):
        raise Refused("dropout in training mode; call model.eval() before torch.export.export")
    return call.source
