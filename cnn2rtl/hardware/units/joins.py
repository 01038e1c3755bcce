"""``stream_add``, ``stream_multiply`` and ``stream_concat`` join streams; ``stream_select`` picks lanes of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnn2rtl.hardware.parts import Parameters, Parts, Product, describes
from cnn2rtl.hardware.timing import InTurn, Picked, Pipeline, Together
from cnn2rtl.hardware.unit import Bits, Counts, Instance, Numbers, ParameterValue, ceil_div, pack
from cnn2rtl.quant.qformat import QFormat


def stream_add(formats: Sequence[QFormat], factors: Sequence[int], lanes: int, bits: int) -> Instance:
    """Two maps of ``formats``, each value times the factor of its map, added to ``bits``."""
    parameters: dict[str, int] = {"LANES": lanes}
    for name, q, factor in zip("AB", formats, factors, strict=True):
        parameters |= {f"{name}_BITS": q.bits, f"{name}_SIGNED": int(q.signed), f"{name}_FACTOR": factor}
    in_bits = lanes * sum(q.bits for q in formats)
    parameters["OUT_W"] = bits
    return Instance("add", "stream_add", parameters, in_bits, lanes * bits, Pipeline(2), join=Together(2))


@describes("stream_add")
def stream_add_parts(p: Parameters) -> Parts:
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


def stream_multiply(formats: Sequence[QFormat], lanes: int, bits: int, *, logic: bool) -> Instance:
    """The product of two maps of ``formats``, of ``bits``; in ``logic`` or in DSP blocks."""
    parameters: dict[str, ParameterValue] = {"LANES": lanes}
    for name, q in zip("AB", formats, strict=True):
        parameters |= {f"{name}_BITS": q.bits, f"{name}_SIGNED": int(q.signed), f"{name}_ZERO": q.zero}
    parameters |= {"OUT_W": bits, "LOGIC": int(logic)}
    return Instance(
        "multiply",
        "stream_multiply",
        parameters,
        lanes * sum(q.bits for q in formats),
        lanes * bits,
        Pipeline(2 + (real_bits(formats[1]) + 1) // 2 if logic else 3),
        join=Together(2),
    )


def real_bits(q: QFormat) -> int:
    """Bits, two's complement, of a code less its zero point."""
    return q.bits + (not q.signed) + bool(q.zero)


@describes("stream_multiply")
def stream_multiply_parts(p: Parameters) -> Parts:
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


def stream_concat(bits: int, beats: tuple[int, ...]) -> Instance:
    """So many ``beats`` of each stream behind each other, again and again."""
    parameters: dict[str, ParameterValue] = {"INPUTS": len(beats), "WIDTH": bits, "BEATS": Counts.of(beats)}
    return Instance("concat", "stream_concat", parameters, bits * len(beats), bits, Pipeline(0), join=InTurn(beats))


@describes("stream_concat")
def stream_concat_parts(p: Parameters) -> Parts:
    inputs, beats = p["INPUTS"], p["BEATS"]
    most = max(beats >> Counts.BITS * number & (1 << Counts.BITS) - 1 for number in range(inputs))
    return Parts({
        "one": 1,
        "inputs": inputs,
        "count": most.bit_length(),
        # As many look-up tables as are needed for two or for three streams each.
        "choices of two": (inputs - 1) * p["WIDTH"],
        "choices of three": inputs // 2 * p["WIDTH"],
    })  # fmt: skip


def stream_select(keep: tuple[bool, ...], order: tuple[int, ...], lanes: int, bits: int) -> Instance:
    """Of the beats of a pixel those to ``keep``, and of each the lanes in this ``order``."""
    parameters: dict[str, ParameterValue] = {
        "BITS": bits,
        "IN_LANES": lanes,
        "OUT_LANES": len(order),
        "BEATS": len(keep),
        "KEEP": Bits(len(keep), pack(np.array([keep], np.int64), 1)[0]),
        "LANES": Numbers.of(order),
    }
    return Instance("select", "stream_select", parameters, lanes * bits, len(order) * bits, Picked(keep))


@describes("stream_select")
def stream_select_parts(p: Parameters) -> Parts:
    return Parts({"one": 1, "turns": p["BEATS"] if p["BEATS"] > 1 else 0, "data": p["OUT_LANES"] * p["BITS"]})
