"""``gearbox``: another number of elements per beat."""

from __future__ import annotations

from math import gcd

from cnn2rtl.hardware.parts import Parameters, Parts, clog2, describes
from cnn2rtl.hardware.timing import Gearbox
from cnn2rtl.hardware.unit import Instance, ceil_div


def gearbox(role: str, element_bits: int, count: int, lanes_in: int, lanes_out: int) -> tuple[Instance, ...]:
    """Change the elements per beat; nothing at all where they are equal."""
    if lanes_in == lanes_out:
        return ()
    parameters = {"ELEMENT_W": element_bits, "COUNT": count, "IN_LANES": lanes_in, "OUT_LANES": lanes_out}
    timing = Gearbox(count, lanes_in, lanes_out)
    return (Instance(role, "gearbox", parameters, lanes_in * element_bits, lanes_out * element_bits, timing),)


@describes("gearbox")
def gearbox_parts(p: Parameters) -> Parts:
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
