"""What the units consist of: memories, multiplications, and the features that their logic grows with.

One function per Verilog unit, from its parameters; the names are those in the Verilog. How much logic a feature takes
is measured: ``benchmarks/calibrate_estimate.py`` fits a coefficient per feature, family and resource. A feature counts
bits: of counters (each an adder and a comparison), of additions, of choices of one number among several, of registers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import exp, gcd

from cnn2rtl.estimate.memory import Memory
from cnn2rtl.estimate.multiplier import Product
from cnn2rtl.hardware.unit import Bits, ParameterValue, Place, ceil_div

Features = Mapping[str, float]


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


def rom_features(width: int, depth: int) -> Features:
    """A ROM in logic. A column of few words is one of few functions: many columns share one."""
    functions = 2.0 ** min(depth, 30)
    columns = functions * (1 - exp(-width / functions)) if depth > 1 else 0.0
    return {
        "columns of 8": columns if 2 < depth <= 8 else 0.0,
        "columns": columns if depth > 8 else 0.0,
        "16 to 64 words": columns * min(max(depth - 16, 0), 48),
        "64 words on": columns * max(depth - 64, 0),
        "words": max(depth - 16, 0),
        "data": width if depth > 1 else 0.0,
    }


def ram_features(width: int, depth: int, segments: int, logic: bool) -> Features:
    """Registers as memory, or blocks and tables that are chosen among by address."""
    if logic:
        return {"cells": width * depth, "cell choice": width * (depth - 1), "words": depth, "data": width}
    return {"segment choice": width * (segments - 1), "segments": segments - 1}


@describes("cyclic_rom")
def cyclic_rom(p: Parameters) -> Parts:
    depth = p["DEPTH"]
    return Parts(_rom_address(depth), (Memory(p["WIDTH"], depth, False, p.place),))


def _rom_address(depth: int) -> Features:
    return {"address": clog2(depth)}


@describes("simple_ram")
def simple_ram(p: Parameters) -> Parts:
    return Parts({}, (Memory(p["WIDTH"], p["DEPTH"], True, p.place),))


@describes("lookup")
def lookup(p: Parameters) -> Parts:
    lanes = p["LANES"]
    features = {"one": 1, "behind the ROM": lanes * p["Q_BITS"]}
    contents = {"leaves": p["LEAVES"], "choices": p["CHOICES"], "data": p["Q_BITS"]}
    return Parts(features, (Memory(p["Q_BITS"], 1 << p["BITS"], False, p.place, lanes, contents),))


@describes("stream_select")
def stream_select(p: Parameters) -> Parts:
    return Parts({"one": 1, "turns": p["BEATS"] if p["BEATS"] > 1 else 0, "data": p["OUT_LANES"] * p["BITS"]})


@describes("stream_fifo")
def stream_fifo(p: Parameters) -> Parts:
    depth = p["DEPTH"]
    features = {"one": 1, "address": clog2(depth), "count": clog2(depth + 1)}
    return Parts(features, (Memory(p["WIDTH"], depth, True, p.place),))


@describes("stream_add")
def stream_add(p: Parameters) -> Parts:
    lanes, total = p["LANES"], p["OUT_W"]
    terms = {name: p[f"{name}_FACTOR"] for name in "AB" if p[f"{name}_FACTOR"]}
    zeros = [(factor & -factor).bit_length() - 1 for factor in terms.values()]  # below the terms
    features: dict[str, float] = {"one": 1, "terms": 0, "products": 0, "negative": 0}
    fits = True
    products: list[Product] = []
    for (name, factor), low in zip(terms.items(), zeros, strict=True):
        scale = (abs(factor) >> low).bit_length()
        bits = p[f"{name}_BITS"] + (scale if scale > 1 else 0)
        features["products" if scale > 1 else "terms"] += lanes * bits
        features["negative"] += lanes * bits * (factor < 0)
        if scale > 1:
            unsigned = not p[f"{name}_SIGNED"]
            products.append(Product(p[f"{name}_BITS"] + unsigned, scale + 1, lanes))
            fits = fits and not unsigned and factor > 0 and total - bits <= 1
    # Some DSP blocks take the sum as well.
    place = " in a block" if products and fits else ""
    features |= {
        f"added{place}": lanes * (total - max(zeros)) if len(zeros) > 1 else 0,
        f"sums{place}": lanes * (total - min(zeros, default=total)),
    }
    return Parts(features, products=tuple(products))


@describes("stream_multiply")
def stream_multiply(p: Parameters) -> Parts:
    lanes, logic = p["LANES"], p["LOGIC"]
    a, b = (p[f"{name}_BITS"] + (not p[f"{name}_SIGNED"]) + (p[f"{name}_ZERO"] != 0) for name in "AB")
    digits = ceil_div(b, 2)
    features = {
        "one": 1,
        "stages": 1 + digits if logic else 2,
        "operands": lanes * (a + b),
        "less zero": lanes * sum(bits for name, bits in (("A", a), ("B", b)) if p[f"{name}_ZERO"]),
        # A digit of b takes an adder of the bits of a; what the digits behind it need goes along.
        "digits": lanes * digits * (a + 2) * logic,
        "digits on the way": lanes * digits * (a + b) * logic,
    }
    return Parts(features, products=() if logic else (Product(a, b, lanes),))


@describes("stream_concat")
def stream_concat(p: Parameters) -> Parts:
    inputs, beats = p["INPUTS"], p["BEATS"]
    most = max(beats >> 16 * number & 0xFFFF for number in range(inputs))
    return Parts({
        "one": 1,
        "inputs": inputs,
        "count": most.bit_length(),
        # As many look-up tables as are needed for two or for three streams each.
        "choices of two": (inputs - 1) * p["WIDTH"],
        "choices of three": inputs // 2 * p["WIDTH"],
    })  # fmt: skip


@describes("frame_check")
def frame_check(p: Parameters) -> Parts:
    return Parts({"one": 1, "count": clog2(p["BEATS"])})


@describes("replay_buffer")
def replay_buffer(p: Parameters) -> Parts:
    words, repeat = p["WORDS"], p["REPEAT"]
    if repeat == 1:
        return Parts()
    depth = (2 + 8 // (words * repeat) if words * repeat < 8 else 2) * words
    features = {
        "one": 1, "address": clog2(depth), "count": clog2(depth + 1), "word": clog2(words), "repetition": clog2(repeat),
    }  # fmt: skip
    return Parts(features, (Memory(p["WIDTH"], depth, True, p.place),))


@describes("gearbox")
def gearbox(p: Parameters) -> Parts:
    bits, count, lanes_in, lanes_out = (p[name] for name in ("ELEMENT_W", "COUNT", "IN_LANES", "OUT_LANES"))
    if lanes_in == lanes_out:
        return Parts()
    if count <= lanes_in or lanes_in % lanes_out == 0:
        slices = ceil_div(min(count, lanes_in), lanes_out)
        held = min(slices * lanes_out, lanes_in)
        return Parts({
            "slices": 1,
            "held to shift": (held - lanes_out) * bits,        # a choice of the beat and the neighbour above
            "held on top": lanes_out * bits,
            "slice counter": clog2(slices + 1),
            "beat counter": clog2(ceil_div(count, lanes_in)),
        })  # fmt: skip
    unit = gcd(lanes_in, lanes_out)
    units_in, units_out, units = lanes_in // unit, lanes_out // unit, ceil_div(count, unit)
    hold = ceil_div(units_out - 1 + units_in, units_out) * units_out
    end = ceil_div(units, units_out) * units_out - (ceil_div(units, units_in) - 1) * units_in
    # What may come to each place: any unit of a beat that lands, at most as many as there are places below.
    sources = [min(units_in, slot + 1) for slot in range(hold + units_out)]
    return Parts({
        "conversion": 1,
        "moved": hold * unit * bits,
        "sources": sum(sources) * unit * bits,
        "decisions": sum(sources),
        "fill": clog2(hold + units_out + max(units_in, end) + 1),
        "beat counter": clog2(ceil_div(units, units_in)),
    })  # fmt: skip


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


@describes("mac_array")
def mac_array(p: Parameters) -> Parts:
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
        **_rom_address(words),
    }
    products: tuple[Product, ...] = ()
    if style == 0:
        products = (Product(a, weight, pe * simd, min(product, sum_bits) if simd == 1 else product),)
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
def constants(p: Parameters) -> Parts:
    return Parts({"sums": p["SUM_BITS"], "registers": p["REGISTER_BITS"], "stages": p["STAGES"]})


@describes("requantise")
def requantise(p: Parameters) -> Parts:
    lanes, folds, acc, total = p["LANES"], p["FOLDS"], p["ACC_W"], p["SUM_W"]
    factor, base, shifts, out = p["MULT_BITS"], p["SHIFT_BASE"], p["SHIFT_BITS"], p["Q_BITS"]
    big = total + (factor or p["PRE_SHIFT"])
    based = max(1, big - base)  # bits that are left when shifted
    fixed = folds == 1  # the parameters are constants
    least, most = p["LO"] - p["ZERO"], p["HI"] - p["ZERO"]  # what is compared, before the zero point is added
    symmetric = least == -(most + 1) or (least == 0 and most + 1 == 1 << out)
    choices = shifts * (1 - 2.0 ** (1 - min(folds, 30)))  # a bit of a lane's shift is the same in all of few words
    clamps = based > out or not symmetric  # else the last registers are a shift register
    features: dict[str, float] = {
        "one": 1,
        "lanes": lanes,
        "clamped": lanes * out * (not symmetric),
        **_rom_address(folds),
    }
    if factor:
        # What a DSP block takes of this is its own.
        features |= {
            "accumulators to scale": lanes * acc,
            "sums to scale": lanes * total * (not fixed),
            "constant sums to scale": lanes * total * fixed,
            "long sums": lanes * max(0, total - 18) * factor,  # which some DSP blocks take in two steps
            "factors": lanes * factor * (not fixed),
            "scaled": lanes * big,
            "halves": lanes * (1 << shifts if shifts else 0),
            "scaled and shifted": lanes * based,
            "scaled shift choice": lanes * based * choices,
            "scaled results": lanes * out * clamps,
        }
    else:
        features |= {
            "accumulators": lanes * acc,
            "sums": lanes * total * (not fixed),
            "constant sums": lanes * total * fixed,
            "shifted": lanes * based * clamps,
            "shift choice": lanes * based * choices,
            "results": lanes * out * clamps,
            "unclamped": lanes * based * (not clamps),
        }
    products = (Product(total, factor + 1, lanes),) if factor else ()
    memory = Memory(lanes * (total + factor + shifts), folds, False, p.place)
    return Parts(features, (memory,), products, luts=lanes * out * (p["ZERO"] != 0))


@describes("tap_reduce")
def tap_reduce(p: Parameters) -> Parts:
    lanes, taps, steps, bits = p["LANES"], p["TAPS"], p["STEPS"], p["OUT_BITS"]
    how = "largest" if p["MAX"] else "sum"
    return Parts({
        "one": 1,
        "step": clog2(steps),
        f"{how} of taps": lanes * (taps - 1) * bits,
        "levels": sum(ceil_div(taps, 1 << level) for level in range(1, clog2(taps) + 1)) * lanes * bits,
        "waits": max(1, clog2(taps)),
        f"{how} of beats": lanes * bits * (steps > 1),
        "data": lanes * bits,
        "inputs": lanes * p["BITS"] * (taps == 1),
    })  # fmt: skip


@describes("tile_reduce")
def tile_reduce(p: Parameters) -> Parts:
    lanes, folds, bits = p["LANES"], p["FOLDS"], p["OUT_BITS"]
    depth = p["IN_W"] // p["TILE_X"] * folds
    how = "largest" if p["MAX"] else "sum"
    features = {
        "one": 1,
        "fold": clog2(folds),
        "x": clog2(p["IN_W"] + 1),
        "y": clog2(p["IN_H"] + 1),
        "address": clog2(depth),
        "inputs": lanes * p["BITS"],
        f"{how}": lanes * bits,
    }
    return Parts(features, (Memory(lanes * bits, depth, True, p.place),))


@describes("argmax")
def argmax(p: Parameters) -> Parts:
    lanes, bits, index = p["LANES"], p["BITS"], p["INDEX_BITS"]
    return Parts({
        "one": 1,
        "comparisons": (lanes - 1) * bits,
        "levels": sum(ceil_div(lanes, 1 << level) for level in range(1, clog2(lanes) + 1)) * (bits + clog2(lanes)),
        "waits": max(1, clog2(lanes)),
        "largest": bits,
        "index": index,
        "beat": clog2(p["BEATS"]),
    })  # fmt: skip


@describes("resample")
def resample(p: Parameters) -> Parts:
    beat_bits, in_beats = p["LANES"] * p["BITS"], p["BLOCK_Y"] * p["BLOCK_X"] * p["FOLDS"]
    words = p["ROWS"] * p["IN_W"] * in_beats
    position = clog2((p["ROWS"] + 2 * p["IN_H"] + 2) * p["IN_W"] + 1) + 2
    address, fold = at_least_1(clog2(words)), clog2(p["FOLDS"])
    features = {
        "one": 1,
        "position": position,
        "address": address,
        "beat": fold + clog2(in_beats),
        "coordinates": clog2(p["OUT_H"]) + clog2(p["OUT_W"]),
        # A bit of a table of constants, of so many entries.
        "row bits": ceil_div(p["OUT_H"], 64) * (2 * position + 2 * address) if p["OUT_H"] > 1 else 0,
        "column bits": ceil_div(p["OUT_W"], 64) * (position + address) if p["OUT_W"] > 1 else 0,
        "spacing": clog2(p["SPACING"] + 1) if p["SPACING"] > 1 else 0,
        "data": beat_bits,
    }
    return Parts(features, (Memory(beat_bits, words, True, p.place),))


@dataclass(frozen=True)
class _Axis:
    """Of a window buffer: rows, or columns. ``reach`` is in pixels, from a window's first tap to its last."""

    size: int
    windows: int
    reach: int
    stride: int
    pad: int
    dilation: int
    taps: int

    @classmethod
    def of(cls, p: Parameters, axis: str) -> _Axis:
        down = axis == "Y"
        dilation = max(1, p[f"DILATION_{axis}"])
        return cls(
            p["IN_H" if down else "IN_W"], p["OUT_H" if down else "OUT_W"], (p[f"KERNEL_{axis}"] - 1) * dilation,
            p[f"STRIDE_{axis}"], p["PAD_TOP" if down else "PAD_LEFT"], dilation, p[f"TAPS_{axis}"],
        )  # fmt: skip

    @property
    def most(self) -> int:
        """Pixels from the padding's first to the first tap of the last step."""
        return (self.windows - 1) * self.stride + (self.reach if self.taps == 1 else 0)

    @property
    def beyond(self) -> bool:
        """Whether the last window reaches beyond the map."""
        return (self.windows - 1) * self.stride + self.reach >= self.size + self.pad

    @property
    def live(self) -> int:
        """Taps that ever lie on the map; those that never do are padding for good, and nothing chooses for them."""
        firsts = range(-self.pad, -self.pad + self.windows * self.stride, self.stride)
        return sum(any(0 <= first + tap * self.dilation < self.size for first in firsts) for tap in range(self.taps))

    @property
    def comparisons(self) -> tuple[int, int]:
        """By which a tap is known to lie before the map, and behind it: how many taps may."""
        first = [self.pad - tap * self.dilation for tap in range(self.taps)]
        before, behind = sum(at > 0 for at in first), sum(at + self.size <= self.most for at in first)
        return min(before, self.live), min(behind, self.live)


@describes("window_buffer")
def window_buffer(p: Parameters) -> Parts:
    y, x = _Axis.of(p, "Y"), _Axis.of(p, "X")
    rows, beat_bits, beats = p["ROWS"], p["LANES"] * p["BITS"], p["GROUPS"] * p["FOLDS"]
    y_banks, x_banks = rows if y.taps > 1 else 1, x.taps
    words = ceil_div(x.size + x.pad % x_banks, x_banks) * beats * (1 if y_banks > 1 else rows)
    address, ring = at_least_1(clog2(words)), y_banks == 1 and words & (words - 1) != 0
    taps, padded = y.live * x.live, p["PAD"] != 0 and beats > 1
    loops = [beats, x.size, p["FOLDS"], p["REPEAT"], p["GROUPS"], p["KERNEL_Y"] // y.taps, p["KERNEL_X"] // x.taps]
    # What is counted only where someone asks: complete frames, rows of the ring, words where they are not dealt out.
    loops += [y.size] * (y.beyond or x.beyond) + [rows] * (y_banks * x_banks > 1) + [words] * (x_banks == 1)
    slot, column, number = (clog2(n) for n in (y_banks, x_banks, beats if padded else 1))
    places = clog2((rows + y.stride) * x.size + x.pad + 2) + 1
    ahead = clog2(max(rows, y.reach + 1, y.stride) * x.size + x.reach + 2) + 1
    known = [sum(map(bool, axis.comparisons)) and max(axis.comparisons) for axis in (y, x)]
    features = {
        "one": 1,
        # A counter has a bit more: that of its last step.
        "counters": sum(clog2(loop) + 1 for loop in loops if loop > 1),
        "positions": clog2(y.most + 2) + clog2(x.most + 2),
        "credit": places + ahead,
        "comparisons": sum(sum(axis.comparisons) * clog2(axis.most + 2) for axis in (y, x)),
        "spacing": clog2(p["SPACING"]) + 3 if p["SPACING"] > 1 else 0,
        "address": address * (1 if x_banks == 1 else 2),
        "ring address": address if ring else 0,
        "bank addresses": address * x_banks if x_banks > 1 else 0,
        "memories": y_banks * x_banks if y_banks * x_banks > 1 else 0,
        "on the way": slot + column + number + sum(known),
        "banks": slot + column,
        "slots": slot * y.live,
        "columns": column * x.live,
        "row choice": y.live * (y_banks - 1) * x.live * beat_bits,
        "column choice": taps * (x_banks - 1) * beat_bits,
        "words": y_banks * x_banks * beat_bits,
        "data": taps * beat_bits,
        "padding": taps * beat_bits * padded,
    }
    return Parts(features, (Memory(beat_bits, words, True, p.place, y_banks * x_banks),))
