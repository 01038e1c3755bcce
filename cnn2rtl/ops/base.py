"""What every layer kind answers: shape, float and integer arithmetic, foldings, hardware.

A layer kind is one file in this package. It declares frozen dataclasses derived from :class:`Op`
and registers them with :func:`register`; no other code asks what kind a layer is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, TypeVar

import numpy as np

from cnn2rtl.finite import flaws_of
from cnn2rtl.hardware.unit import Folding, Unit
from cnn2rtl.onnx_writer import OnnxWriter
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.tensors import Clamp, FloatArray, Shape

REGISTRY: dict[str, type[Op]] = {}
OpType = TypeVar("OpType", bound="type[Op]")


def register(cls: OpType) -> OpType:
    """Class decorator: make a layer kind known to the conformance tests and the documentation."""
    REGISTRY[cls.kind] = cls
    return cls


@dataclass(frozen=True, eq=False)
class Op(ABC):
    """One layer kind with its attributes and float parameters."""

    kind: ClassVar[str]
    channelwise: ClassVar[bool] = False
    """Whether each output channel depends on the input channel of its number alone, and takes any scale of it."""

    keeps_channels: ClassVar[bool] = True
    """Whether channel i of the output comes from channel i of the input, where the layer passes codes on."""

    ties_inputs: ClassVar[bool] = False
    """Whether all inputs must come in one format."""

    @cached_property
    def flaws(self) -> tuple[str, ...]:
        """Which of its own numbers are NaN or infinite, in words; empty if none. A graph takes no such layer."""
        return flaws_of(self)

    @abstractmethod
    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Output (c, h, w) from the inputs' shapes; raises ``ValueError`` with the rule if impossible."""

    @abstractmethod
    def forward(self, inputs: Sequence[FloatArray]) -> FloatArray:
        """Float arithmetic on NHWC batches, before the node's clamp."""

    def macs(self, shapes: Sequence[Shape]) -> int:
        """Multiply-accumulates for one frame."""
        return 0

    @property
    def parameters(self) -> int:
        """Trained numbers this layer carries (weights and biases)."""
        return 0

    @property
    def weights(self) -> int:
        """Of these, the numbers that multiply activations and are stored at the weights' width."""
        return 0

    def like_study(self, shapes: Sequence[Shape]) -> int:
        """Operations for one frame as the reference study counted them (see :mod:`cnn2rtl.counting`)."""
        return 0

    def class_count(self, shapes: Sequence[Shape]) -> int:
        """How many classes outputs of this layer tell apart."""
        return self.out_shape(shapes)[0]

    def keeps_format(self, clamp: Clamp) -> bool:
        """Whether the layer passes codes on as they are, whatever output format it is offered."""
        return False

    # What follows is asked of hardware layers only; a kind that a pass always rewrites need not answer.

    def quantise(self, inputs: Sequence[QFormat], out: QFormat, clamp: Clamp, options: QuantOptions) -> QuantLayer:
        """Integer parameters and output format of this layer.

        ``out`` is the calibrated output format (a wish: a kind that keeps its input's format ignores it).
        """
        raise NotImplementedError(self.kind)

    def integer(self, inputs: Sequence[IntArray], layer: QuantLayer) -> IntArray:
        """The golden arithmetic: integer NHWC batches in, the layer's output codes out."""
        raise NotImplementedError(self.kind)

    def limits(self, inputs: Sequence[QFormat]) -> Clamp:
        """Between which reals the results lie, before the node's clamp, whatever codes of these formats come."""
        return Clamp()

    def caution(self, layer: QuantLayer) -> str:
        """What should be known of the layer in integers, in words; of most, nothing."""
        return ""

    def sums(self, inputs: Sequence[IntArray], layer: QuantLayer) -> np.ndarray | None:
        """What the accumulators hold in the end, before any bias; ``None`` for a layer without."""
        return None

    def onnx(self, writer: OnnxWriter, inputs: Sequence[str], layer: QuantLayer, shapes: Sequence[Shape]) -> str:
        """The same integers as operators of ONNX, from the tensors ``inputs`` (n, c, h, w) on: the result's name."""
        raise NotImplementedError(self.kind)

    def foldings(self, layer: QuantLayer, shapes: Sequence[Shape]) -> Sequence[Folding]:
        """Every sensible degree of parallelism, each with its multipliers and cycles per frame."""
        raise NotImplementedError(self.kind)

    def unit(self, layer: QuantLayer, shapes: Sequence[Shape], folding: Folding) -> Unit:
        """The Verilog unit that computes this layer at ``folding``: module, parameters, ROM contents."""
        raise NotImplementedError(self.kind)
