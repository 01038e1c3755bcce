"""What quantisation makes of a layer, and of the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnn2rtl.errors import UserError
from cnn2rtl.finite import REMEDY
from cnn2rtl.graph import Shape, part
from cnn2rtl.quant.qformat import IntArray, QFormat, Requant, Scheme, float_type, signed_bits

if TYPE_CHECKING:
    from cnn2rtl.ops.base import Op


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


class Port(NamedTuple):
    """An input of a layer, by the layer's name and the input's number; without a name, an output of the network."""

    layer: str = ""
    number: int = 0


@dataclass(frozen=True, eq=False)
class QuantNode:
    """One layer of the integer graph; ``layer`` is ``None`` for inputs alone."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: Shape
    out: QFormat
    layer: QuantLayer | None = None

    @property
    def flaw(self) -> str:
        """Which of its scales is none, in words; empty if all are."""
        scales = {"output": self.out.scales}
        if self.layer is not None and self.layer.weight_scale is not None:
            scales["weights"] = np.asarray(self.layer.weight_scale)
        wrong = [name for name, each in scales.items() if not np.all((each > 0) & np.isfinite(each))]
        return f"the scale of its {' and of its '.join(wrong)} is NaN, infinite, or not above 0" if wrong else ""


@dataclass(frozen=True, eq=False)
class QuantGraph:
    """The integer network, in topological order; nodes that are no layers are inputs (raw pixels).

    Every scale in it is a finite number above 0: else it raises one :class:`UserError` for all that are not.
    """

    name: str
    nodes: tuple[QuantNode, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        problems = [f"`{node.name}`: {node.flaw}; {REMEDY}" for node in self.nodes if node.flaw]
        if problems:
            raise UserError(problems)

    @cached_property
    def by_name(self) -> Mapping[str, QuantNode]:
        return {node.name: node for node in self.nodes}

    def __getitem__(self, name: str) -> QuantNode:
        return self.by_name[name]

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """The shape of each input, in the model's order."""
        return {node.name: node.shape for node in self.nodes if node.layer is None}

    @property
    def output(self) -> str:
        """The first one: that which tells classes apart."""
        return self.outputs[0]

    @property
    def layers(self) -> tuple[QuantNode, ...]:
        """Every node that computes."""
        return tuple(node for node in self.nodes if node.layer is not None)

    def run(self, images: np.ndarray, on_tensor: Callable[[QuantNode, IntArray], None] | None = None) -> IntArray:
        """Codes of the (first) output for ``images`` (n, h, w, c), raw pixels; every tensor is shown on request."""
        last_use = {name: node.name for node in self.nodes for name in node.inputs}
        values: dict[str, IntArray] = {}
        result = images
        for node in self.nodes:
            if node.layer is None:
                value = part(images, node.name).astype(np.int32)
            else:
                value = node.op.integer([values[name] for name in node.inputs], node.layer)
            values[node.name] = value
            if on_tensor is not None:
                on_tensor(node, value)
            if node.name == self.output:
                result = value
            for name in node.inputs:
                if last_use[name] == node.name:
                    values.pop(name, None)
        return result

    @cached_property
    def ports(self) -> Mapping[str, tuple[Port, ...]]:
        """Who takes each tensor: layers in the order of the data, then the network's outputs."""
        found: dict[str, list[Port]] = {node.name: [] for node in self.nodes}
        for node in self.layers:
            for number, source in enumerate(node.inputs):
                found[source].append(Port(node.name, number))
        for number, name in enumerate(self.outputs):
            found[name].append(Port("", number))
        return {name: tuple(ports) for name, ports in found.items()}

    def shapes(self, node: QuantNode) -> tuple[Shape, ...]:
        """The shapes of a node's inputs."""
        return tuple(self[name].shape for name in node.inputs)
