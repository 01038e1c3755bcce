"""What quantisation makes of a layer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cnn2rtl.quant.qformat import IntArray, QFormat, Requant, Scheme, float_type, signed_bits


def _none() -> IntArray:
    return np.zeros(1, np.int64)


@dataclass(frozen=True)
class QuantOptions:
    """Widths in bits (2 to 16) and the requantisation scheme."""

    weight_bits: int
    scheme: Scheme


@dataclass(frozen=True, eq=False)
class QuantLayer:
    """Integer parameters of one layer.

    ``weight`` has the shape of the op's float weight and two's complement ``weight_bits``; ``bias``
    is (channels,) in accumulator units, and takes off what the zero point of ``source`` adds to the sums;
    ``pad`` (channels in,) are the codes around the map, ``None`` where these are 0.
    ``weight_scale``, (channels,), is what a step of a weight is worth on inputs in steps of the coarsest scale
    of ``source``. ``acc_lo`` and ``acc_hi``, (channels,), bound every partial sum before the bias over all inputs of
    format ``source``: proven from these very weights. A layer that only passes codes on has no
    ``requant`` and no accumulator. A layer with several inputs has the formats of all but the first in ``others``, and
    where it adds them up, what each input's codes are multiplied by in ``factors``. ``table`` holds the result for each
    code of ``source``, by the code's bits.
    """

    source: QFormat
    out: QFormat
    weight: IntArray | None = None
    weight_bits: int = 0
    weight_scale: np.ndarray | None = None
    bias: IntArray | None = None
    pad: IntArray | None = None
    requant: Requant | None = None
    acc_lo: IntArray = field(default_factory=_none)
    acc_hi: IntArray = field(default_factory=_none)
    others: tuple[QFormat, ...] = ()
    factors: tuple[int, ...] = ()
    table: IntArray | None = None

    @property
    def acc_bits(self) -> int:
        """Accumulator bits, two's complement, that no partial sum can exceed."""
        return signed_bits(int(self.acc_lo.min()), int(self.acc_hi.max()))

    @property
    def reach(self) -> int:
        """What no partial sum and no sum with the bias exceeds in size."""
        bias = 0 if self.bias is None else self.bias
        ends = (self.acc_lo, self.acc_hi, self.acc_lo + bias, self.acc_hi + bias, np.atleast_1d(bias))
        return max(int(np.abs(end).max()) for end in ends)

    @property
    def exact_float(self) -> type[np.floating]:
        """The floating point type in which the golden model adds up: it holds every sum exactly."""
        exact = float_type(self.reach.bit_length())
        if exact is None:
            raise OverflowError(f"sums of {self.reach.bit_length()} bits exceed what the golden model computes exactly")
        return exact
