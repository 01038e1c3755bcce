"""Weights and biases fitted to what the layer has to reproduce: bias correction and adaptive rounding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cnn2rtl.ops.weighted import Weighted
from cnn2rtl.quant.layers import QuantLayer
from cnn2rtl.quant.qformat import IntArray
from cnn2rtl.quant.weighted import weighted_sums, with_weights
from cnn2rtl.tensors import FloatArray

BATCH = 4
"""Images at once."""

SAMPLES = 4096
"""Pixels of an image, evenly spread, from which the inputs' covariance is taken."""

WIDEST = 4096
"""Inputs of a sum above which rounding is not adapted: the covariance would not fit."""

SWEEPS = 20
"""Most passes of coordinate descent over the weights."""


def corrected(op: Weighted, layer: QuantLayer, exact: FloatArray, codes: IntArray) -> QuantLayer:
    """``layer`` with a bias that gives its sums the mean of the float network's, for every channel.

    Empirical bias correction (Nagel et al., arXiv 1906.04721, section 4.2): ``exact`` are the float
    network's inputs of the layer and ``codes`` the integer network's, both (n, h, w, c), so that the
    errors of all layers before are in it as well.
    """
    assert layer.weight_scale is not None and layer.bias is not None
    wanted = np.mean([op.forward([x]).mean((0, 1, 2), np.float64) for x in _parts(exact)], axis=0)
    found = np.mean([weighted_sums(op.accumulate, x, layer).mean((0, 1, 2), np.float64) for x in _parts(codes)], axis=0)
    step = layer.weight_scale * layer.source.coarsest
    return replace(layer, bias=layer.bias + np.floor(wanted / step - found + 0.5).astype(np.int64))


def adapted(op: Weighted, layer: QuantLayer, codes: IntArray) -> QuantLayer:
    """``layer`` with each weight rounded up or down so that its sums come closest to the float weights' sums.

    It minimises the layer's squared error over its inputs, d' H d for each output, where d is what
    rounding adds to the weights and H the covariance of ``codes`` (n, h, w, c), the inputs of the integer
    network; a mean error is the bias correction's business. This is the objective of AdaRound (Nagel et
    al., arXiv 2004.10568, equation 14). Instead of relaxing it, the weights are rounded one after the
    other, each error made good by those to come (GPTQ, Frantar et al., arXiv 2210.17323), and then changed
    one at a time as long as that lowers the error (coordinate descent): no randomness, and no torch.
    """
    assert layer.weight is not None and layer.weight_scale is not None
    groups, outputs, inputs = op.groups, op.weight.shape[0] // op.groups, op.weight[0].size
    if inputs > WIDEST:
        return layer
    covariance = _covariance(op, layer, codes)
    gain = np.atleast_1d(layer.source.scales / layer.source.coarsest)
    scale = layer.weight_scale.reshape(-1, *(1,) * (op.weight.ndim - 1))
    wanted = (op.absorbing(gain) / scale).reshape(groups, outputs, inputs)
    top = (1 << (layer.weight_bits - 1)) - 1
    found = [_round(rows, h, top) for rows, h in zip(wanted, covariance, strict=True)]
    return with_weights(layer, np.stack(found).reshape(op.weight.shape).astype(np.int64))


def _parts(x: np.ndarray) -> list[np.ndarray]:
    """Batches of equal weight in a mean: single images where they do not divide evenly."""
    size = BATCH if len(x) % BATCH == 0 else 1
    return [x[start : start + size] for start in range(0, len(x), size)]


def _covariance(op: Weighted, layer: QuantLayer, codes: IntArray) -> FloatArray:
    """That of the inputs of a sum, (groups, inputs, inputs)."""
    pad = np.zeros(1) if layer.pad is None else layer.pad
    second: FloatArray = np.zeros((op.groups, op.weight[0].size, op.weight[0].size))
    first, count = np.zeros(second.shape[:2]), 0
    for image in codes:
        x = op.samples(image[None].astype(np.float32), pad.astype(np.float32))
        x = x[:: max(1, len(x) // SAMPLES)].transpose(1, 0, 2).astype(np.float64)
        second += x.swapaxes(1, 2) @ x
        first += x.sum(1)
        count += x.shape[1]
    mean = first / count
    # Part of the mean square on the diagonal: subtracting the squared mean leaves rounding errors.
    power = np.einsum("gii->gi", second) / count
    slack = 1e-10 * power.max(1)[:, None, None] * np.eye(second.shape[1])
    covariance: FloatArray = second / count - mean[:, :, None] * mean[:, None, :] + slack
    return covariance


def _round(wanted: FloatArray, covariance: FloatArray, top: int) -> FloatArray:
    """Integers from -top - 1 to top near ``wanted`` (outputs, inputs)."""
    # A trace of the identity keeps the inverse finite, and the weights of dead inputs where they were.
    h = covariance + np.eye(len(covariance)) * (1e-4 * np.trace(covariance) / len(covariance) + 1e-6)
    order = np.argsort(-np.diag(h), kind="stable")
    h, target = h[order][:, order], wanted[:, order]
    # Row i: how the weights after i best make good an error of weight i.
    passing_on = np.linalg.cholesky(np.linalg.inv(h)).T
    rest = target.copy()
    codes = np.empty_like(target)
    for i in range(len(h)):
        codes[:, i] = np.clip(np.floor(rest[:, i] + 0.5), -top - 1, top)
        error = (rest[:, i] - codes[:, i]) / passing_on[i, i]
        rest[:, i:] -= error[:, None] * passing_on[i, i:]
    slope = (codes - target) @ h
    for _ in range(SWEEPS):
        changed = False
        for i in range(len(h)):
            better = np.clip(np.floor(codes[:, i] - slope[:, i] / h[i, i] + 0.5), -top - 1, top)
            change = better - codes[:, i]
            if change.any():
                changed = True
                codes[:, i] = better
                slope += change[:, None] * h[i]
        if not changed:
            break
    result = np.empty_like(codes)
    result[:, order] = codes
    return result
