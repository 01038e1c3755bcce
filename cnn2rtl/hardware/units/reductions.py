"""Sums and maxima: ``tap_reduce``, ``tile_reduce``, ``argmax``."""

from __future__ import annotations

import numpy as np

from cnn2rtl.hardware.parts import Memory, Parameters, Parts, clog2, describes
from cnn2rtl.hardware.timing import Tiles, reduction
from cnn2rtl.hardware.unit import Folding, Instance, ceil_div, pareto, useful
from cnn2rtl.hardware.units.window_buffer import tap_choices, window_buffer
from cnn2rtl.hardware.window import Window
from cnn2rtl.quant.qformat import QFormat
from cnn2rtl.tensors import Shape


def pool_foldings(window: Window, shape: Shape) -> tuple[Folding, ...]:
    """Foldings of a pool: tiles need no line buffer and one pass over the map, other windows a beat per tap block."""
    channels, height, width = shape
    h_out, w_out = window.out_size(height, width)
    found = []
    for lanes in useful(channels):
        folds = ceil_div(channels, lanes)
        passes = {(1, 1): 1} if window.tiles else {t: window.taps // (t[0] * t[1]) for t in tap_choices(window)}
        for taps, steps in passes.items():
            cycles = max(height * width, 0 if window.tiles else h_out * w_out * steps) * folds
            found.append(Folding(lanes, taps[0] * taps[1], lanes, lanes, cycles, taps, multiplies=False))
    return pareto(found)


def pool_chain(
    window: Window, shape: Shape, source: QFormat, folding: Folding, *, maximum: bool, out_bits: int, pad: int
) -> tuple[Instance, ...]:
    """Maximum or sum under ``window``; ``pad`` is the code around the map."""
    channels, height, width = shape
    lanes, taps = folding.lanes_in, folding.taps
    common = {"MAX": int(maximum), "LANES": lanes}
    values = {"BITS": source.bits, "SIGNED": int(source.signed), "OUT_BITS": out_bits}
    if window.tiles:
        tile = {
            "FOLDS": ceil_div(channels, lanes), "IN_H": height, "IN_W": width,
            "TILE_Y": window.kernel[0], "TILE_X": window.kernel[1],
        }  # fmt: skip
        memory_bits = width // window.kernel[1] * ceil_div(channels, lanes) * lanes * out_bits
        parameters = {**common, **tile, **values}
        timing = Tiles((height, width), window.kernel, ceil_div(channels, lanes))
        return (
            Instance("tile", "tile_reduce", parameters, lanes * source.bits, lanes * out_bits, timing, memory_bits),
        )
    together = taps[0] * taps[1]
    steps = window.taps // together
    buffer = window_buffer(
        window, shape, source, lanes=lanes, taps=taps, pad=np.full(channels, pad),
    )  # fmt: skip
    return buffer, tap_reduce(source, lanes, together, steps, maximum=maximum, bits=out_bits)


def tap_reduce(source: QFormat, lanes: int, taps: int, steps: int, *, maximum: bool, bits: int) -> Instance:
    """Maximum or sum, of ``bits``, of so many ``taps`` of each lane in each of so many ``steps``."""
    parameters = {
        "MAX": int(maximum), "LANES": lanes, "TAPS": taps, "STEPS": steps,
        "BITS": source.bits, "SIGNED": int(source.signed), "OUT_BITS": bits,
    }  # fmt: skip
    return Instance(
        "reduce", "tap_reduce", parameters, lanes * taps * source.bits, lanes * bits, reduction(taps, steps)
    )


@describes("tap_reduce")
def tap_reduce_parts(p: Parameters) -> Parts:
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
def tile_reduce_parts(p: Parameters) -> Parts:
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


def argmax(source: QFormat, lanes: int, beats: int, index_bits: int) -> Instance:
    """The index of the largest of ``beats`` times ``lanes`` values."""
    parameters = {
        "LANES": lanes, "BEATS": beats, "BITS": source.bits, "SIGNED": int(source.signed), "INDEX_BITS": index_bits,
    }  # fmt: skip
    return Instance("argmax", "argmax", parameters, lanes * source.bits, index_bits, reduction(lanes, beats))


@describes("argmax")
def argmax_parts(p: Parameters) -> Parts:
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
