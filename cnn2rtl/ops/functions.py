"""Functions of one value that a :class:`~cnn2rtl.ops.table.Table` can hold, as PyTorch defines and names them.

Each takes an array of float64 and then its parameters. Where torch gives NaN or an infinity, so do they.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import erf, pi, sqrt

import numpy as np

from cnn2rtl.tensors import FloatArray

Function = Callable[..., FloatArray]

SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
"""Klambauer et al.: Self-Normalizing Neural Networks, 2017."""

_erf: Function = np.vectorize(erf, otypes=[np.float64])


def _sigmoid(x: FloatArray) -> FloatArray:
    # Neither branch overflows.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def _softplus(x: FloatArray, beta: float = 1.0, threshold: float = 20.0) -> FloatArray:
    return np.where(x * beta > threshold, x, np.logaddexp(0.0, x * beta) / beta)


def _elu(x: FloatArray, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> FloatArray:
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0) * input_scale))


def _gelu_tanh(x: FloatArray) -> FloatArray:
    return 0.5 * x * (1.0 + np.tanh(sqrt(2.0 / pi) * (x + 0.044715 * x**3)))


def _hardsigmoid(x: FloatArray) -> FloatArray:
    return np.clip(x + 3.0, 0.0, 6.0) / 6.0


def _power(x: FloatArray, exponent: float) -> FloatArray:
    return np.power(x, exponent)


def _threshold(x: FloatArray, threshold: float, value: float) -> FloatArray:
    return np.where(x > threshold, x, value)


FUNCTIONS: Mapping[str, Function] = {
    "abs": np.abs,
    "celu": lambda x, alpha=1.0: _elu(x, alpha, 1.0, 1.0 / alpha),
    "ceil": np.ceil,
    "cos": np.cos,
    "elu": _elu,
    "erf": _erf,
    "exp": np.exp,
    "floor": np.floor,
    "gelu": lambda x: 0.5 * x * (1.0 + _erf(x / sqrt(2.0))),
    "gelu_tanh": _gelu_tanh,
    "hardshrink": lambda x, lambd=0.5: np.where(np.abs(x) > lambd, x, 0.0),
    "hardsigmoid": _hardsigmoid,
    "hardswish": lambda x: x * _hardsigmoid(x),
    "leaky_relu": lambda x, slope=0.01: np.where(x > 0, x, x * slope),
    "log": np.log,
    "log1p": np.log1p,
    "log_sigmoid": lambda x: -np.logaddexp(0.0, -x),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "pow": _power,
    "reciprocal": lambda x: 1.0 / x,
    "round": np.rint,
    "rsqrt": lambda x: 1.0 / np.sqrt(x),
    "selu": lambda x: _elu(x, SELU_ALPHA, SELU_SCALE),
    "sigmoid": _sigmoid,
    "sign": np.sign,
    "silu": lambda x: x * _sigmoid(x),
    "sin": np.sin,
    "softplus": _softplus,
    "softshrink": lambda x, lambd=0.5: np.where(x > lambd, x - lambd, np.where(x < -lambd, x + lambd, 0.0)),
    "softsign": lambda x: x / (1.0 + np.abs(x)),
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "tanhshrink": lambda x: x - np.tanh(x),
    "threshold": _threshold,
}
"""Every function, by its name."""
