"""What all layers that multiply have in common: weights, biases, sums of products."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from cnn2rtl.ops.base import Op
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.quant.weighted import integer_sums, quantise_weighted, weighted_sums
from cnn2rtl.tensors import Clamp, FloatArray, Shape


@dataclass(frozen=True, eq=False)
class Weighted(Op):
    """A layer ``sum(weight * x) + bias``; the first axis of ``weight`` is the output channel, ``bias`` is (c_out,).

    Where the model has no bias, its zeros count for nothing: ``biased`` is false.
    """

    weight: FloatArray
    bias: FloatArray
    biased: bool = field(default=True, kw_only=True)

    @property
    def parameters(self) -> int:
        return self.weight.size + self.biased * self.bias.size

    @property
    def weights(self) -> int:
        return self.weight.size

    def like_study(self, shapes: Sequence[Shape]) -> int:
        return self.macs(shapes) + self.biased * prod(self.out_shape(shapes))

    @property
    def groups(self) -> int:
        """Sets of outputs with inputs of their own."""
        return 1

    @property
    def taps(self) -> int:
        """Pixels under a kernel."""
        return int(self.weight[0, 0].size)

    @property
    def border(self) -> FloatArray:
        """What surrounds the map, (c_in,) or (1,)."""
        return np.zeros(1)

    @abstractmethod
    def accumulate(self, x: FloatArray, weight: FloatArray, pad_value: FloatArray) -> FloatArray:
        """Sum of products, (n, h_out, w_out, c_out), on floats or on integers that the floats hold exactly."""

    @abstractmethod
    def absorbing(self, gain: FloatArray) -> FloatArray:
        """The weights for an input ``x / gain`` where it was ``x``; ``gain`` is (c_in,) or (1,)."""

    @abstractmethod
    def samples(self, x: FloatArray, pad_value: FloatArray) -> FloatArray:
        """What the weights meet at every output pixel, (pixels, groups, inputs).

        The ``inputs`` are in the order of ``weight.reshape(groups, outputs per group, inputs)``.
        """

    def pad_codes(self, source: QFormat) -> IntArray | None:
        """The codes around the map, (c_in,), or ``None`` where they are all 0."""
        return None

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self.accumulate(inputs[0], self.weight, self.border) + self.bias

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        (source,) = inputs
        # One scale for the sums: the weights absorb by how much that of a channel differs.
        weight = self.absorbing(np.atleast_1d(source.scales / source.coarsest))
        return quantise_weighted(weight, self.bias, self.pad_codes(source), source, out, clamp, options)

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        return integer_sums(self.accumulate, inputs[0], layer)

    def sums(self, inputs: Sequence[IntArray], layer: QuantLayer) -> np.ndarray:
        return weighted_sums(self.accumulate, inputs[0], replace(layer, bias=np.zeros(1, np.int64)))
