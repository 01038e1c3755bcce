"""Units with random parameters, as networks have them: what the coefficients of the resource estimate are fitted to."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from cnn2rtl.estimation import FAMILIES, Family
from cnn2rtl.hardware import units
from cnn2rtl.hardware.constants import Constants, Matrix
from cnn2rtl.hardware.moves import Sources
from cnn2rtl.hardware.parts import DESCRIPTIONS, Parameters
from cnn2rtl.hardware.unit import Bits, Counts, Numbers, ParameterValue, Place, pack
from cnn2rtl.hardware.units import window_buffer
from cnn2rtl.hardware.units.lookup import functions
from cnn2rtl.hardware.units.mac_array import spared
from cnn2rtl.hardware.window import Window
from cnn2rtl.ops.functions import FUNCTIONS
from cnn2rtl.quant.qformat import QFormat, signed_bits
from cnn2rtl.render import templates


@dataclass(frozen=True)
class Sample:
    """A unit with parameters. ``ports`` is everything but clock and reset: direction, name, bits.

    With a ``text`` it is a module of its own, and the parameters are what its estimate is made from; so are ``known``,
    which are no parameters.
    """

    module: str
    parameters: Mapping[str, ParameterValue]
    ports: tuple[tuple[str, str, int], ...]
    file: str = ""
    words: tuple[int, ...] = field(default=(), repr=False)
    text: str = field(default="", repr=False)
    known: Mapping[str, ParameterValue] = field(default_factory=dict)

    @property
    def facts(self) -> Mapping[str, ParameterValue]:
        return {**self.parameters, **self.known}


def stream(
    module: str, parameters: Mapping[str, ParameterValue], bits_in: int, bits_out: int, streams: int = 1, **rom: object
) -> Sample:
    ports = (
        ("input", "s_valid", streams), ("output", "s_ready", streams), ("input", "s_data", bits_in),
        ("output", "m_valid", 1), ("input", "m_ready", 1), ("output", "m_data", bits_out),
    )  # fmt: skip
    return Sample(module, parameters, ports, **rom)  # type: ignore[arg-type]


# ---------------------------------------------------------------- random parameters, as networks have them


def spread(rng: random.Random, low: float, high: float) -> int:
    """Evenly over the orders of magnitude."""
    return round(low * (high / low) ** rng.random())


def random_words(rng: random.Random, width: int, depth: int) -> tuple[int, ...]:
    return tuple(rng.getrandbits(width) for _ in range(depth))


def numbers(rng: random.Random, shape: tuple[int, ...], bits: int) -> np.ndarray:
    """Numbers as weights are: most are small."""
    generator = np.random.default_rng(rng.getrandbits(32))
    return np.clip(np.rint(generator.normal(0, 2 ** (bits - 1) / 3, shape)), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def cyclic_rom(rng: random.Random) -> Sample:
    width, depth = spread(rng, 4, 100), spread(rng, 2, 1200)
    if width * depth > 12000:
        depth = 12000 // width
    ports = (("input", "next", 1), ("output", "data", width))
    parameters = {"WIDTH": width, "DEPTH": depth, "PLACE": rng.choice((0, 2, 2))}
    return Sample("cyclic_rom", parameters, ports, "FILE", random_words(rng, width, depth))


def simple_ram(rng: random.Random) -> Sample:
    place = rng.choice((0, 1, 2, 3))
    width, depth = spread(rng, 2, 100), spread(rng, 2, (600, 20000, 600, 12)[place])
    if width * depth > (8000, 400000, 8000, 500)[place]:
        width = max(1, (8000, 400000, 8000, 500)[place] // depth)
    address = max(1, (depth - 1).bit_length())
    ports = (
        ("input", "write", 1), ("input", "write_addr", address), ("input", "write_data", width), ("input", "read", 1),
        ("input", "read_addr", address), ("output", "read_data", width),
    )  # fmt: skip
    return Sample("simple_ram", {"WIDTH": width, "DEPTH": depth, "PLACE": place}, ports)


def frame_check(rng: random.Random) -> Sample:
    ports = (("input", "beat", 1), ("input", "tlast", 1), ("output", "last", 1), ("output", "error", 1))
    return Sample("frame_check", {"BEATS": spread(rng, 1, 300000)}, ports)


def stream_fifo(rng: random.Random) -> Sample:
    width, depth = spread(rng, 2, 80), rng.choice((2, 2, 3, spread(rng, 2, 64), spread(rng, 2, 2000)))
    return stream("stream_fifo", {"WIDTH": width, "DEPTH": depth}, width, width)


def stream_add(rng: random.Random) -> Sample:
    lanes = spread(rng, 1, 8)
    # Powers of two, whatever subtracts, and scales that are no power of two apart.
    low, high = rng.choice(((1, 1), (1, 1 << rng.randint(1, 6)), (1, -1), (rng.randrange(8193, 32768, 2), 1 << 15)))
    factors = rng.sample((low, high), 2)
    formats = [QFormat.full(rng.choice((8, 8, rng.randint(2, 10))), bool(rng.randint(0, 1)), 1.0) for _ in factors]
    ends = [sorted((q.lo * factor, q.hi * factor)) for q, factor in zip(formats, factors, strict=True)]
    total = max(signed_bits(*map(sum, zip(*ends, strict=True))), *(q.bits for q in formats))
    parameters = {"LANES": lanes, "OUT_W": total}
    for name, q, factor in zip("AB", formats, factors, strict=True):
        parameters |= {f"{name}_BITS": q.bits, f"{name}_SIGNED": int(q.signed), f"{name}_FACTOR": factor}
    return stream("stream_add", parameters, lanes * sum(q.bits for q in formats), lanes * total, 2)


def stream_concat(rng: random.Random) -> Sample:
    inputs, width = rng.choice((2, 2, 3, 4)), 8 * spread(rng, 1, 16)
    beats = [spread(rng, 1, 200) for _ in range(inputs)]
    parameters = {"INPUTS": inputs, "WIDTH": width, "BEATS": Counts.of(beats)}
    return stream("stream_concat", parameters, inputs * width, width, inputs)


def replay_buffer(rng: random.Random) -> Sample:
    width, words, repeat = spread(rng, 3, 64), spread(rng, 1, 512), spread(rng, 2, 128)
    return stream("replay_buffer", {"WIDTH": width, "WORDS": words, "REPEAT": repeat}, width, width)


def gearbox(rng: random.Random) -> Sample:
    bits = rng.choice((8, 8, rng.randint(2, 24)))
    kind = rng.choice(("serialise", "slice", "widen", "convert"))
    if kind == "serialise":
        lanes_out = spread(rng, 1, 4)
        lanes_in = lanes_out * rng.randint(2, 8)
        count = lanes_in * rng.randint(1, 16)
    elif kind == "slice":
        count = lanes_in = rng.randint(2, 36)
        lanes_out = rng.randint(1, lanes_in - 1)
    elif kind == "widen":
        lanes_in = spread(rng, 1, 4)
        lanes_out = lanes_in * rng.randint(2, 8)
        count = lanes_out * rng.randint(1, 16)
    else:
        lanes_in, lanes_out = rng.sample(range(1, 10), 2)
        count = rng.randint(max(lanes_in, lanes_out), 64)
    parameters = {"ELEMENT_W": bits, "COUNT": count, "IN_LANES": lanes_in, "OUT_LANES": lanes_out}
    return stream("gearbox", parameters, lanes_in * bits, lanes_out * bits)


def mac_array(rng: random.Random) -> Sample:
    style = rng.choice((0, 0, 1, 2, 2))
    shapes = ((1, 1), (spread(rng, 1, 24), 1), (1, spread(rng, 1, 12)), (rng.randint(1, 4), rng.randint(1, 9)))
    pe, simd = rng.choice(shapes)
    # Only depthwise layers have activations of their own for each PE.
    shared = 1 if style == 1 else rng.choice((0, 1, 1))
    a, w = rng.choice(((8, 8), (8, 8), (rng.randint(2, 10), rng.randint(2, 10)), (4, 4)))
    steps = rng.choice((1, 9, spread(rng, 2, 300)))
    words = min(steps * rng.choice((1, spread(rng, 1, 64))), 1024)
    a_signed = rng.randint(0, 1)
    product = a + (not a_signed) + w + (simd - 1).bit_length()
    acc = product + max(0, (steps - 1).bit_length() - rng.randint(0, 3))
    parameters = {
        "PE": pe, "SIMD": simd, "SHARED": shared, "STEPS": steps, "STYLE": style, "A_BITS": a, "A_SIGNED": a_signed,
        "W_BITS": w, "ACC_W": acc, "WEIGHT_WORDS": words,
    }  # fmt: skip
    weights = numbers(rng, (words, pe * simd), w).astype(np.int64)
    bits_in = (1 if shared else pe) * simd * a
    known = {"SPARED": spared(weights[0], w)} if words == 1 else {}
    return stream("mac_array", parameters, bits_in, pe * acc, file="WEIGHT_FILE", words=pack(weights, w), known=known)


def constants(rng: random.Random) -> Sample:
    outputs, products, shared = rng.choice(((1, rng.randint(2, 25), True), (spread(rng, 1, 16), 9, False),
                                            (spread(rng, 1, 24), spread(rng, 1, 32), True)))  # fmt: skip
    a, w = rng.choice(((8, 8), (8, 8), (rng.randint(2, 10), rng.randint(2, 10)), (4, 4)))
    source = QFormat.full(a, bool(rng.randint(0, 1)), 1.0)
    weights = numbers(rng, (outputs, products), w).astype(np.int64)
    most = int(np.abs(weights).sum(1).max()) * max(source.hi, -source.lo)
    matrix = Matrix(weights, shared, w, source, source.lo, source.hi, signed_bits(-most, most))
    built = Constants.of(matrix)
    text = templates.fill(built.template, unit=built, module="MODULE", layer="sample")
    return stream("constants", built.facts, built.in_bits, built.out_bits, text=text)


def requantise(rng: random.Random) -> Sample:
    lanes, folds = rng.choice((1, 1, 2, spread(rng, 1, 6))), rng.choice((1, spread(rng, 2, 300), spread(rng, 2, 64)))
    acc = rng.randint(12, 26)
    total = acc + rng.choice((0, 0, 1, rng.randint(0, 6)))
    signed_out, q = rng.randint(0, 1), rng.choice((8, 8, rng.randint(2, 16)))
    factor = rng.choice((0, 0, rng.randint(8, 17), 16))
    shifts = rng.choice((0, rng.randint(1, 4), 3)) if folds > 1 else 0
    # What is left of the largest sum is a few bits more than the result, or fewer, as before the outputs of a network.
    more = rng.choice((rng.randint(1, 6), rng.randint(1, 6), -rng.randint(0, 6)))
    q, signed_out = (min(16, q + 8), 1) if more <= 0 else (q, signed_out)
    base = max(1, total + factor - q - more)
    low, high = (-(1 << (q - 1)), (1 << (q - 1)) - 1) if signed_out else (0, (1 << q) - 1)
    if more > 0 and rng.random() < 0.3:
        high = high * 3 // 4
    parameters = {
        "LANES": lanes, "FOLDS": folds, "ACC_W": acc, "ACC_SIGNED": 1, "SUM_W": total, "MULT_BITS": factor,
        "PRE_SHIFT": 0, "SHIFT_BASE": base, "SHIFT_BITS": shifts, "Q_BITS": q, "LO": low, "HI": high,
    }  # fmt: skip
    # As in networks: a bias is far from the largest sum, and most channels' shifts are close to each other.
    generator = np.random.default_rng(rng.getrandbits(32))
    most = (1 << shifts) - 1
    counts = np.clip(np.rint(generator.normal(most / 2, most / 4, (folds, lanes))), 0, most)
    factors = generator.integers(1 << factor >> 1, 1 << factor, (folds, lanes))
    bias = numbers(rng, (folds, lanes), total - rng.randint(1, 6))
    entries = np.stack([bias, factors, counts], -1).astype(np.int64)
    rom = pack(entries.reshape(folds, -1), np.tile([total, factor, shifts], lanes))
    return stream("requantise", parameters, lanes * acc, lanes * q, file="PARAM_FILE", words=rom)


def tap_reduce(rng: random.Random) -> Sample:
    maximum, lanes = rng.randint(0, 1), spread(rng, 1, 6)
    taps, bits = rng.choice((1, 2, 3, 4, 9)), rng.choice((8, 8, 5))
    steps = rng.choice((1, 2, 3, 4, 9)) if taps > 1 else rng.choice((2, 3, 4, 9))
    out = bits if maximum else bits + (taps * steps - 1).bit_length()
    parameters = {
        "MAX": maximum, "LANES": lanes, "TAPS": taps, "STEPS": steps, "BITS": bits, "SIGNED": rng.randint(0, 1),
        "OUT_BITS": out,
    }  # fmt: skip
    return stream("tap_reduce", parameters, taps * lanes * bits, lanes * out)


def tile_reduce(rng: random.Random) -> Sample:
    maximum, lanes, bits = rng.choice((0, 1, 1)), rng.choice((1, 1, spread(rng, 1, 6))), rng.choice((8, 8, 5))
    size, tile = spread(rng, 4, 128), rng.choice((2, 2, 2, 3, 4))
    folds = spread(rng, 1, 128)
    if maximum == 0 and rng.random() < 0.5:
        tile = size = spread(rng, 2, 12)
    out = bits if maximum else bits + (tile * tile - 1).bit_length()
    parameters = {
        "MAX": maximum, "LANES": lanes, "FOLDS": folds, "IN_H": size, "IN_W": size, "TILE_Y": tile, "TILE_X": tile,
        "BITS": bits, "SIGNED": rng.randint(0, 1), "OUT_BITS": out,
    }  # fmt: skip
    return stream("tile_reduce", parameters, lanes * bits, lanes * out)


def argmax(rng: random.Random) -> Sample:
    lanes, bits, index = rng.choice((1, 1, spread(rng, 2, 6))), rng.choice((8, 16, 16)), rng.choice((8, 16))
    parameters = {
        "LANES": lanes, "BEATS": spread(rng, 2, 40), "BITS": bits, "SIGNED": rng.randint(0, 1), "INDEX_BITS": index,
    }  # fmt: skip
    return stream("argmax", parameters, lanes * bits, index)


def line_buffer(rng: random.Random) -> Sample:
    kernel = rng.choice(((3, 3), (3, 3), (3, 3), (5, 5), (2, 2), (rng.randint(1, 4), rng.randint(2, 4))))
    stride = rng.choice(((1, 1), (1, 1), (2, 2)))
    pads = tuple(k // 2 for k in kernel) if rng.random() < 0.7 else (0, 0)
    window = Window(kernel, stride, (pads[0], pads[0], pads[1], pads[1]))
    size = spread(rng, 4, 128)
    taps = rng.choice(((1, 1), (1, 1), (kernel[0], 1), kernel))
    lanes = spread(rng, 1, 4) if taps != (1, 1) else spread(rng, 1, 8)
    groups = rng.choice((1, 1, 1, 2))
    folds = spread(rng, 1, 64)
    bits = rng.choice((8, 8, 8, 4))
    channels = lanes * folds * groups
    built = window_buffer(
        window, (channels, size, size), QFormat.full(bits, False, 1.0), lanes=lanes, taps=taps, groups=groups,
        repeat=spread(rng, 1, 32),
        pad=numbers(rng, (channels,), bits).astype(np.int64) & (2**bits - 1) if rng.random() < 0.1 else None,
    )  # fmt: skip
    spacing = rng.choice((1, 1, spread(rng, 1, 4096)))
    parameters = {**built.parameters, "ROWS": kernel[0] + rng.choice((0, 0, 1)), "SPACING": spacing}
    return stream("window_buffer", parameters, built.in_bits, built.out_bits)


def lookup(rng: random.Random) -> Sample:
    lanes, bits, out = spread(rng, 1, 8), rng.choice((8, 8, rng.randint(3, 10))), rng.choice((8, 8, rng.randint(2, 12)))
    parameters = {"LANES": lanes, "BITS": bits, "Q_BITS": out, "PLACE": rng.choice((0, 1, 2))}
    function = FUNCTIONS[rng.choice(("sigmoid", "tanh", "silu", "gelu", "exp", "softplus", "elu"))]
    codes = np.arange(1 << bits) - (rng.randint(0, 1) << (bits - 1))
    reals = function(
        np.roll(codes, codes[0]) * rng.uniform(2, 16) / (1 << bits), *[1.0] * (function is FUNCTIONS["elu"])
    )
    table = np.rint(np.clip(reals / np.abs(reals).max(), -1, 1) * ((1 << out) - 1) / (1 + (reals.min() < 0)))
    table = table.astype(np.int64) & ((1 << out) - 1)
    leaves, choices = functions(table)
    known = {"LEAVES": leaves, "CHOICES": choices}
    words = tuple(table.tolist())
    return stream("lookup", parameters, lanes * bits, lanes * out, file="TABLE_FILE", words=words, known=known)


def stream_select(rng: random.Random) -> Sample:
    lanes, beats, bits = spread(rng, 1, 64), rng.choice((1, spread(rng, 2, 64))), rng.choice((8, 8, rng.randint(2, 16)))
    order = tuple(rng.randrange(lanes) for _ in range(spread(rng, 1, 64)))
    keep = Bits(beats, rng.getrandbits(beats) | 1)
    parameters = {
        "BITS": bits, "IN_LANES": lanes, "OUT_LANES": len(order), "BEATS": beats, "KEEP": keep,
        "LANES": Numbers.of(order),
    }  # fmt: skip
    return stream("stream_select", parameters, lanes * bits, len(order) * bits)


def stream_multiply(rng: random.Random) -> Sample:
    lanes = spread(rng, 1, 8)
    parameters = {"LANES": lanes, "LOGIC": rng.randint(0, 1)}
    formats = []
    for name in "AB":
        q = QFormat.full(rng.choice((8, 8, rng.randint(2, 12))), bool(rng.randint(0, 1)), 1.0)
        formats.append(replace(q, zero=rng.choice((0, 0, rng.randint(q.lo, q.hi)))))
        parameters |= {f"{name}_BITS": q.bits, f"{name}_SIGNED": int(q.signed), f"{name}_ZERO": formats[-1].zero}
    ends = [(q.lo - q.zero, q.hi - q.zero) for q in formats]
    corners = [a * b for a in ends[0] for b in ends[1]]
    parameters["OUT_W"] = signed_bits(min(corners), max(corners))
    return stream("stream_multiply", parameters, lanes * sum(q.bits for q in formats), lanes * parameters["OUT_W"], 2)


def resample(rng: random.Random) -> Sample:
    height, width, lanes, folds = spread(rng, 1, 100), spread(rng, 1, 100), spread(rng, 1, 8), spread(rng, 1, 32)
    block = rng.choice(((1, 1), (1, 1), (2, 2)))
    factor = rng.choice((1, 2, 3)) if block == (1, 1) else 1
    pad = rng.choice((0, 0, 1, 2))
    axes = [
        (*[-1] * pad, *(n // factor for n in range(size * factor * b)), *[-1] * pad)
        for size, b in zip((height, width), block, strict=True)
    ]
    sources, bits = Sources(axes[0], axes[1], block), rng.choice((8, 8, rng.randint(2, 16)))
    channels = folds * lanes
    built = units.resample(
        sources, (channels * block[0] * block[1], height, width), QFormat.full(bits, False, 1.0), lanes,
        np.full(channels, rng.choice((0, 0, 1))),
    )  # fmt: skip
    rows = min(built.timing.rows + rng.choice((0, 1)), max(1, 60000 // built.memory_bits) + built.timing.rows - 1)
    parameters = {**built.parameters, "ROWS": rows, "SPACING": rng.choice((1, 1, spread(rng, 1, 4096)))}
    return stream("resample", parameters, built.in_bits, built.out_bits)


SAMPLES: dict[str, tuple[Callable[[random.Random], Sample], int]] = {
    "simple_ram": (simple_ram, 36),
    "cyclic_rom": (cyclic_rom, 36),
    "frame_check": (frame_check, 6),
    "stream_fifo": (stream_fifo, 16),
    "mac_array": (mac_array, 60),
    "stream_add": (stream_add, 24),
    "stream_concat": (stream_concat, 12),
    "replay_buffer": (replay_buffer, 16),
    "gearbox": (gearbox, 40),
    "constants": (constants, 40),
    "requantise": (requantise, 48),
    "tap_reduce": (tap_reduce, 20),
    "tile_reduce": (tile_reduce, 20),
    "argmax": (argmax, 10),
    "window_buffer": (line_buffer, 48),
    "lookup": (lookup, 16),
    "stream_select": (stream_select, 12),
    "stream_multiply": (stream_multiply, 24),
    "resample": (resample, 24),
}
"""Of every unit a source of samples, and how many. Memories come first: the others contain them."""
INSIDE = {"rom": "cyclic_rom", "ram": "simple_ram", "table": "lookup", "multiply": "mac_array"}
"""What is a part of several units, and the one that it is fitted with."""


def samples_of(module: str, family: str) -> list[Sample]:
    """Always the same ones, but those with a memory in look-up tables where the family's cannot hold any."""
    rng = random.Random(module)
    source, count = SAMPLES[module]
    return [sample for sample in (source(rng) for _ in range(count)) if possible(sample, FAMILIES[family])]


def possible(sample: Sample, family: Family) -> bool:
    memories = DESCRIPTIONS[sample.module](Parameters(sample.facts)).memories
    in_tables = any(memory.writable and memory.place == Place.TABLES for memory in memories)
    return not in_tables or any(cell.luts for cell in family.library.cells)
