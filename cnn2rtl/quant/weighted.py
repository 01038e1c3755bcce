"""Integer weights, biases and accumulator bounds of layers that multiply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import SHIFT_LIMIT, IntArray, QFormat, Requant, power_of_two_at_least
from cnn2rtl.tensors import Clamp, FloatArray


def weight_scales(
    weight: FloatArray, bias: FloatArray, source: QFormat, out: QFormat, options: QuantOptions
) -> np.ndarray:
    """Per-channel scales, (channels,), under which the largest weight of each channel just fits.

    A channel whose weights are all but zero would ask for an endlessly fine scale and with it an
    endlessly wide bias; a scale finer than the output can show is pointless, so it stops there.
    """
    flat = weight.reshape(weight.shape[0], -1)
    top = (1 << (options.weight_bits - 1)) - 1
    scale: np.ndarray = np.maximum(flat.max(1) / top, -flat.min(1) / (top + 1))
    finest = np.maximum(out.scales, np.abs(bias)) / source.coarsest * 2.0**-SHIFT_LIMIT
    scale = np.maximum(scale, finest)
    if options.scheme == "pow2":
        # Powers of two in units of what makes an accumulator step an output step.
        unit = np.broadcast_to(out.scales / source.coarsest, scale.shape)
        scale = unit * np.array([power_of_two_at_least(s) for s in scale / unit])
    return scale


def quantise_weighted(
    weight: FloatArray,
    bias: FloatArray,
    pad: IntArray | None,
    source: QFormat,
    out: QFormat,
    clamp: Clamp,
    options: QuantOptions,
) -> QuantLayer:
    """Quantise a layer ``clamp(sum(weight * x) + bias)``; the first axis of ``weight`` is the output channel.

    Where the channels of ``source`` have scales of their own, ``weight`` is for inputs in units of the coarsest one.
    ``pad`` are the codes around the map, one per input channel, where they are not 0.
    """
    scale = weight_scales(weight, bias, source, out, options)
    lowest, highest = -(1 << (options.weight_bits - 1)), (1 << (options.weight_bits - 1)) - 1
    columns = (-1,) + (1,) * (weight.ndim - 1)
    codes = np.clip(np.floor(weight / scale.reshape(columns) + 0.5), lowest, highest).astype(np.int64)
    acc_scale = scale * source.coarsest
    layer = QuantLayer(
        source=source,
        out=out.clamped(clamp.lo, clamp.hi),
        weight_bits=options.weight_bits,
        weight_scale=scale,
        bias=np.floor(bias / acc_scale + 0.5).astype(np.int64) - zero_share(source, codes),
        pad=pad,
        requant=Requant.between(acc_scale, out.clamped(clamp.lo, clamp.hi), options.scheme),
    )
    return with_weights(layer, codes)


def zero_share(source: QFormat, codes: IntArray) -> IntArray:
    """What the zero point of ``source`` adds to each sum of products with the weights ``codes``, (channels,).

    It is the same for all inputs, so the bias takes it off again: sum(w * (q - zero)) = sum(w * q) - zero * sum(w).
    """
    shares: IntArray = source.zero * codes.reshape(codes.shape[0], -1).sum(1)
    return shares


def with_weights(layer: QuantLayer, codes: IntArray) -> QuantLayer:
    """``layer`` with other weights, and the bounds of its accumulators that follow from them."""
    lo, hi = reach(layer.source, layer.pad)
    # Any order of summation stays between the sum of all negative and of all positive products.
    flat = codes.reshape(codes.shape[0], -1)
    positive, negative = np.maximum(flat, 0).sum(1), np.minimum(flat, 0).sum(1)
    acc_hi, acc_lo = positive * hi + negative * lo, positive * lo + negative * hi
    return replace(layer, weight=codes, acc_lo=acc_lo, acc_hi=acc_hi)


def reach(source: QFormat, pad: IntArray | None) -> tuple[int, int]:
    """The lowest and the highest code that a weight can meet: 0, the input's, those around the map."""
    codes = [0, source.lo, source.hi, *([] if pad is None else pad.tolist())]
    return min(codes), max(codes)


def integer_sums(
    accumulate: Callable[[FloatArray, FloatArray, FloatArray], FloatArray], x: IntArray, layer: QuantLayer
) -> IntArray:
    """The golden arithmetic of a weighted layer: exact sums of products, bias, requantisation.

    The sums run as floating point matrix products, whose every intermediate is an integer below 2**53
    (2**24 in single precision), so nothing is ever rounded.
    """
    assert layer.requant is not None
    return layer.requant(weighted_sums(accumulate, x, layer), layer.reach)


def weighted_sums(
    accumulate: Callable[[FloatArray, FloatArray, FloatArray], FloatArray], x: IntArray, layer: QuantLayer
) -> FloatArray:
    """Sums of products plus bias, integers in floats that hold them exactly."""
    assert layer.weight is not None and layer.bias is not None
    exact = layer.exact_float
    pad = np.zeros(1) if layer.pad is None else layer.pad
    acc = accumulate(x.astype(exact), layer.weight.astype(exact), pad.astype(exact))
    acc += layer.bias.astype(exact)
    return acc
