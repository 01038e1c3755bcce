"""What a unit consists of, as far as it costs something: memories, multiplications, and features its logic grows with.

A unit is known in one file of ``hardware/units``: how it is built for a layer, what time it takes, and its parts, which
``describes`` registers; the names of parameters are those in the Verilog. How much logic a feature takes is measured:
``benchmarks/calibrate_estimate.py`` fits a coefficient per feature, family and resource. A feature counts bits: of
counters (each an adder and a comparison), of additions, of choices of one number among several, of registers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cnn2rtl.hardware.unit import Bits, ParameterValue, Place

Features = Mapping[str, float]


@dataclass(frozen=True)
class Memory:
    """``width`` bits by ``depth`` words; ``copies`` are how many of them a unit has.

    ``contents`` are features of what a ROM's contents take in logic, where they are known; else they are as random.
    """

    width: int
    depth: int
    writable: bool
    place: Place = Place.ANY
    copies: int = 1
    contents: Mapping[str, float] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Product:
    """``count`` multiplications of two's complement numbers of ``a`` and ``b`` bits.

    Somebody needs ``out`` bits of the product; 0 stands for all. Outside a DSP block each bit of ``b`` adds
    ``a``, but for those that are ``spared``, of all of them together, because ``b`` is constant.
    """

    a: int
    b: int
    count: int = 1
    out: int = 0
    spared: int = 0


@dataclass(frozen=True)
class Parts:
    """What a unit consists of. ``luts`` and ``flip_flops`` are counted as they are, whatever the family."""

    features: Features = field(default_factory=dict)
    memories: tuple[Memory, ...] = ()
    products: tuple[Product, ...] = ()
    luts: float = 0.0
    flip_flops: float = 0.0


Description = Callable[["Parameters"], Parts]
DESCRIPTIONS: dict[str, Description] = {}


class Parameters:
    """Verilog parameters; one that is not given is 0."""

    def __init__(self, values: Mapping[str, ParameterValue]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> int:
        value = self._values.get(name, 0)
        return value.value if isinstance(value, Bits) else value if isinstance(value, int) else 0

    @property
    def place(self) -> Place:
        return Place(self["PLACE"])


def describes(module: str) -> Callable[[Description], Description]:
    """Register the description of a unit; a layer kind from outside the package may do so for its own."""

    def register(description: Description) -> Description:
        DESCRIPTIONS[module] = description
        return description

    return register


def clog2(n: int) -> int:
    return (n - 1).bit_length()


def at_least_1(bits: int) -> int:
    return max(1, bits)


def rom_address(depth: int) -> Features:
    return {"address": clog2(depth)}
