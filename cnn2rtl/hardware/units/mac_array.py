"""Products of weights and activations: ``mac_array``, and the module that is made for weights that are constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cnn2rtl.hardware.constants import Constants, Matrix
from cnn2rtl.hardware.parts import Memory, Parameters, Parts, Product, clog2, describes, rom_address
from cnn2rtl.hardware.timing import Pipeline
from cnn2rtl.hardware.unit import Folding, Instance, Packed, ParameterValue, Rom, RomFile, Style, ceil_div, rom_place
from cnn2rtl.hardware.units.gearbox import gearbox
from cnn2rtl.hardware.units.lanes import pad_axis
from cnn2rtl.hardware.units.requantise import requantise
from cnn2rtl.quant.layers import QuantLayer
from cnn2rtl.quant.qformat import IntArray
from cnn2rtl.quant.weighted import reach


def adder_tree_bits(terms: int, width: int) -> tuple[int, int, int]:
    """Bits of the sums of the first level, of those of the others, and of numbers that only wait."""
    first = rest = waiting = level = 0
    while terms > 1:
        width, level = width + 1, level + 1
        if level == 1:
            first = terms // 2 * width
        else:
            rest += terms // 2 * width
        waiting += terms % 2 * (width - 1)
        terms = ceil_div(terms, 2)
    return first, rest, waiting


def dot_product(
    layer: QuantLayer, folding: Folding, *, weights: IntArray, steps: int
) -> tuple[tuple[Instance, ...], dict[str, Rom]]:
    """From activations to output channels: sums of products, serialiser, requantisation.

    ``weights`` are (words, pe, simd) in the order of the beats, ``steps`` of them per output.
    """
    acc_bits, channels = layer.acc_bits, layer.acc_lo.size
    pe, lanes_out = folding.pe, folding.lanes_out
    multiply = constants if folding.style == Style.CONSTANT else mac_array
    sums, roms = multiply(layer, folding, weights, steps)
    scale, scale_rom = requantise(layer, channels=channels, lanes=lanes_out, acc_bits=acc_bits, acc_signed=True)
    return (sums, *gearbox("serialise", acc_bits, channels, pe, lanes_out), scale), {**roms, "requant": scale_rom}


@dataclass(frozen=True, eq=False)
class MacArray(Instance):
    """The unit ``mac_array``; ``weights`` (words, pe, simd) are those of its ROM."""

    weights: IntArray | None = None

    @property
    def facts(self) -> Mapping[str, ParameterValue]:
        """A single word of weights is constant, which matters to products in logic."""
        assert self.weights is not None
        if len(self.weights) > 1:  # looking at them all would take longer than the rest of the estimate
            return self.parameters
        return {**self.parameters, "SPARED": spared(self.weights, self._weight_bits)}

    @property
    def typical(self) -> Mapping[str, ParameterValue]:
        """The same of any weights: these very ones do not count before calibration, which changes them."""
        assert self.weights is not None
        if len(self.weights) > 1:
            return self.parameters
        return {**self.parameters, "SPARED": self.weights.size * self._weight_bits // 2}

    @property
    def _weight_bits(self) -> int:
        return Parameters(self.parameters)["W_BITS"]


def spared(weights: IntArray, bits: int) -> int:
    """Of the bits of constant ``weights``, those that no adder is needed for: zeros, and the first one of each."""
    ones = ((weights.ravel()[:, None] >> np.arange(bits)) & 1).sum(1)
    return int(weights.size * bits - np.maximum(ones - 1, 0).sum())


def mac_array(layer: QuantLayer, folding: Folding, weights: IntArray, steps: int) -> tuple[Instance, dict[str, Rom]]:
    """The multiply-accumulate array with its ROM; ``weights`` and ``steps`` as for :func:`dot_product`."""
    source, acc_bits, pe, simd = layer.source, layer.acc_bits, folding.pe, folding.simd
    words, word_bits = weights.shape[0], pe * simd * layer.weight_bits
    instance = MacArray(
        "mac",
        "mac_array",
        {
            "PE": pe,
            "SIMD": simd,
            "SHARED": int(folding.shared),
            "STEPS": steps,
            "STYLE": int(folding.style),
            "A_BITS": source.bits,
            "A_SIGNED": int(source.signed),
            "W_BITS": layer.weight_bits,
            "ACC_W": acc_bits,
            "WEIGHT_WORDS": words,
            "PLACE": int(rom_place(word_bits, words)),
            "WEIGHT_FILE": RomFile("weights"),
        },
        (1 if folding.shared else pe) * simd * source.bits,
        pe * acc_bits,
        mac_timing(simd=simd, steps=steps, weight_bits=layer.weight_bits, style=folding.style),
        weights=weights,
    )
    return instance, {"weights": Rom(word_bits, Packed(weights.reshape(words, -1), layer.weight_bits))}


def constants(layer: QuantLayer, folding: Folding, weights: IntArray, steps: int) -> tuple[Instance, dict[str, Rom]]:
    """What stands for the array, without a ROM, where there is a single word of weights and a single step."""
    (word,) = weights
    lo, hi = reach(layer.source, layer.pad)
    matrix = Matrix(word, folding.shared, layer.weight_bits, layer.source, lo, hi, layer.acc_bits)
    return Constants.of(matrix), {}


def mac_timing(*, simd: int, steps: int, weight_bits: int, style: int = 0) -> Pipeline:
    """The timing of ``mac_array``: how long a product takes depends on the ``style`` of its multipliers."""
    product = (4, 5, 3 + (weight_bits + 1) // 2)[style]
    return Pipeline(product + (simd - 1).bit_length(), steps)


def fold_taps(weights: IntArray, taps: tuple[int, int]) -> IntArray:
    """Reorder kernels (..., ky, kx) as (..., beats, taps per beat): ``taps`` rows and columns are read at once."""
    *lead, ky, kx = weights.shape
    blocks = weights.reshape(*lead, ky // taps[0], taps[0], kx // taps[1], taps[1])
    return np.moveaxis(blocks, -3, -2).reshape(*lead, ky * kx // (taps[0] * taps[1]), taps[0] * taps[1])


def slice_beats(weights: IntArray, simd: int) -> IntArray:
    """Cut the last axis into zero-padded slices of ``simd``: (..., beats, n) becomes (..., beats * slices, simd)."""
    *lead, beats, n = weights.shape
    slices = ceil_div(n, simd)
    padded = pad_axis(weights, -1, slices * simd)
    return padded.reshape(*lead, beats * slices, simd)


@describes("mac_array")
def mac_array_parts(p: Parameters) -> Parts:
    pe, simd, shared, steps = p["PE"], p["SIMD"], p["SHARED"], p["STEPS"]
    style, words, weight, sum_bits = p["STYLE"], p["WEIGHT_WORDS"], p["W_BITS"], p["ACC_W"]
    unsigned = not p["A_SIGNED"]
    a = p["A_BITS"] + unsigned
    product, inputs = a + weight, (1 if shared else pe) * simd
    first, rest, waiting = (pe * bits for bits in adder_tree_bits(simd, product))
    depth = 1 + (2, 3, 1 + ceil_div(weight, 2))[style] + clog2(simd)
    features: dict[str, float] = {
        "one": 1,
        "step": clog2(steps),
        "stages": depth,
        "tree": rest,
        "waiting": waiting,
        **rom_address(words),
    }
    products: tuple[Product, ...] = ()
    if style == 0:
        products = (Product(a, weight, pe * simd, min(product, sum_bits) if simd == 1 else product, p["SPARED"]),)
        features |= {
            "activations": inputs * p["A_BITS"],
            "weights": pe * simd * weight * (words > 1),
            "products": pe * simd * product,
            "first sums": first,
            # The sum of a single product per beat can be taken in the DSP block.
            "sums of one": pe * sum_bits if simd == 1 else 0,
            "sums": pe * sum_bits if simd > 1 else 0,
        }
    elif style == 1:
        # The last one of an odd number has no partner, and is a product like any other.
        pairs, both = pe // 2 * simd, p["A_BITS"] + 2 * weight + 1
        products = (Product(a, both, pairs), Product(a, weight, pe % 2 * simd, p["A_BITS"] + weight))
        features |= {
            "paired activations": inputs * p["A_BITS"],
            "pairs": pairs * both,
            "paired products": pe * simd * product,
            "first sums of pairs": first,
            "sums of pairs": pe * sum_bits,
        }
    else:
        digits = ceil_div(weight, 2)
        features |= {
            "activations to logic": inputs * a,
            "activations on the way": inputs * a * digits,
            "partial sums": pe * simd * digits * (a + 2) * (words > 1),
            "partial sums of constants": pe * simd * digits * (a + 2) * (words == 1),
            "digits on the way": pe * simd * (2 * digits * digits + digits) * (words > 1),
            "first sums of logic": first,
            "sums of logic": pe * sum_bits,
        }
    return Parts(features, (Memory(pe * simd * weight, words, False, p.place),), products)


@describes("constants")
def constants_parts(p: Parameters) -> Parts:
    return Parts({"sums": p["SUM_BITS"], "registers": p["REGISTER_BITS"], "stages": p["STAGES"]})
