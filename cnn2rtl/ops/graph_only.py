"""Kinds that exist in the float graph alone: the passes remove or rewrite each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

from cnn2rtl.ops.base import Op
from cnn2rtl.quant.qformat import PIXEL, QFormat
from cnn2rtl.tensors import FloatArray, Shape


@dataclass(frozen=True, eq=False)
class Input(Op):
    """The network's input, (c, h, w): pixels, 0 to 255. ``dtype`` is what the model declares, by numpy's name."""

    kind = "input"
    shape: Shape
    dtype: str = "float32"

    @property
    def whole(self) -> bool:
        """Whether the model takes whole numbers: then pixels go in as they are, and it normalises them itself."""
        return not self.dtype.startswith(("float", "bfloat"))

    @property
    def format(self) -> QFormat:
        """How to read the codes that come."""
        return PIXEL

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        return self.shape

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        """What the codes are worth."""
        return inputs[0]


@dataclass(frozen=True, eq=False)
class NumberInput(Input):
    """An input of numbers that are no pixels, in codes of the format ``numbers``."""

    numbers: QFormat = field(kw_only=True)

    @property
    def whole(self) -> bool:
        """Numbers are what their format says, whether the model takes whole ones or not."""
        return False

    @property
    def format(self) -> QFormat:
        return self.numbers

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self.numbers.reals(inputs[0])


@dataclass(frozen=True, eq=False)
class Identity(Op):
    """Dropout, Identity and their like; also a bare activation, which the node's clamp carries."""

    kind = "identity"

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return inputs[0]


@dataclass(frozen=True, eq=False)
class Affine(Op):
    """``x * scale + shift`` per channel: an evaluated BatchNorm, or a factor and an addend of the model's own.

    ``mean_out`` and ``std_out``, (c,), are the output's statistics over the training data where a
    BatchNorm knows them (its bias and |weight|); calibration uses them when there are no images.
    ``trained`` is how many parameters the model has for it.
    """

    kind = "affine"
    scale: FloatArray
    shift: FloatArray
    mean_out: FloatArray | None = None
    std_out: FloatArray | None = None
    trained: int = 0

    @property
    def parameters(self) -> int:
        return self.trained

    def like_study(self, shapes: Sequence[Shape]) -> int:
        return 0 if self.mean_out is None else 2 * prod(shapes[0])

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        if shapes[0][0] != self.scale.size:
            raise ValueError(f"{self.scale.size} per-channel factors for {shapes[0][0]} channels")
        return shapes[0]

    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return inputs[0] * self.scale + self.shift
