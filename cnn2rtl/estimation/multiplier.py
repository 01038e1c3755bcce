"""How many DSP blocks a multiplication takes: the choice that Yosys' ``mul2dsp`` makes."""

from __future__ import annotations

from dataclasses import dataclass

from cnn2rtl.hardware.parts import Product


@dataclass(frozen=True)
class Block:
    """A DSP block multiplies ``a`` by ``b`` bits at most.

    Of a longer factor it takes ``partial`` bits at a time. Factors below ``least`` bits, of which the longer one has
    ``longer`` at least, and products below ``least_product``, are left to smaller blocks and to logic. Where
    ``signed_only``, a slice gives one bit away for its sign. A block counts ``units``.
    """

    a: int
    b: int
    partial: int
    least: int = 2
    longer: int = 0
    least_product: int = 0
    signed_only: bool = False
    units: int = 1

    def count(self, product: Product, *smaller: Block) -> int:
        """DSP blocks, in units, for one of the multiplications; ``smaller`` kinds take what is left, largest first."""
        a, b = max(product.a, product.b), min(product.a, product.b)
        return _count((self, *smaller), a, b, product.out or a + b)

    def slices(self, bits: int, most: int) -> tuple[int, int]:
        """Whole slices of a factor, and the bits that are left for the last one."""
        step = (self.partial if most == self.a else self.b) - self.signed_only
        slices = -(-(bits - most) // step)
        return slices, bits - slices * step


def _count(kinds: tuple[Block, ...], a: int, b: int, out: int) -> int:
    if not kinds:
        return 0
    kind = kinds[0]
    # What is left of a longer factor stays the first one, however short it is.
    if min(a, b) < kind.least or a < kind.longer or out < kind.least_product:
        return _count(kinds[1:], max(a, b), min(a, b), out)
    if a > kind.a:
        slices, last = kind.slices(a, kind.a)
        return slices * _count(kinds, kind.partial, b, min(out, b + kind.partial)) + _count(kinds, last, b, b + last)
    if b > kind.b:
        slices, last = kind.slices(b, kind.b)
        return slices * _count(kinds, a, kind.b, min(out, a + kind.b)) + _count(kinds, a, last, a + last)
    return kind.units


def blocks(kinds: tuple[Block, ...], product: Product) -> int:
    """DSP blocks, in units, for one of the multiplications: the largest kind of ``kinds`` comes first."""
    return kinds[0].count(product, *kinds[1:]) if kinds else 0
