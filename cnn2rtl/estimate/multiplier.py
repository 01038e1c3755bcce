"""How many DSP blocks a multiplication takes: the choice that Yosys' ``mul2dsp`` makes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    """``count`` multiplications of two's complement numbers of ``a`` and ``b`` bits.

    Somebody needs ``out`` bits of the product; 0 stands for all.
    """

    a: int
    b: int
    count: int = 1
    out: int = 0


@dataclass(frozen=True)
class Block:
    """A DSP block multiplies ``a`` by ``b`` bits at most.

    Of a longer factor it takes ``partial`` bits at a time. Factors below ``least`` bits, and products below
    ``least_product``, are left to logic. Where ``signed_only``, a slice gives one bit away for its sign. A block counts
    ``units``.
    """

    a: int
    b: int
    partial: int
    least: int = 2
    least_product: int = 0
    signed_only: bool = False
    units: int = 1

    def fits(self, product: Product) -> bool:
        """Whether it takes one block at most."""
        return max(product.a, product.b) <= self.a and min(product.a, product.b) <= self.b

    def count(self, product: Product) -> int:
        """DSP blocks for one of the multiplications."""
        a, b = max(product.a, product.b), min(product.a, product.b)
        return self._count(a, b, product.out or a + b)

    def _count(self, a: int, b: int, out: int) -> int:
        if min(a, b) < self.least or out < self.least_product:
            return 0
        if a > self.a:
            slices, last = self._slices(a, self.a)
            return slices * self._count(self.partial, b, min(out, b + self.partial)) + self._count(last, b, b + last)
        if b > self.b:
            slices, last = self._slices(b, self.b)
            return slices * self._count(a, self.b, min(out, a + self.b)) + self._count(a, last, a + last)
        return 1

    def _slices(self, bits: int, most: int) -> tuple[int, int]:
        """Whole slices of a factor, and the bits that are left for the last one."""
        step = (self.partial if most == self.a else self.b) - self.signed_only
        slices = -(-(bits - most) // step)
        return slices, bits - slices * step


def blocks(kinds: tuple[Block, ...], product: Product) -> int:
    """DSP blocks, in units, for one of the multiplications: of the smallest kind that can do it, else of the last."""
    if not kinds:
        return 0
    kind = next((kind for kind in kinds if kind.fits(product)), kinds[-1])
    return kind.units * kind.count(product)
