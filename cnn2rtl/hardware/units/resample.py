"""``resample``: pixels moved, repeated and left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cnn2rtl.hardware.moves import Moving, Sources
from cnn2rtl.hardware.parts import Memory, Parameters, Parts, at_least_1, clog2, describes
from cnn2rtl.hardware.unit import Bits, Numbers, RowBuffer, ceil_div, pack
from cnn2rtl.quant.qformat import IntArray, QFormat
from cnn2rtl.tensors import Shape


def resample(sources: Sources, shape: Shape, q: QFormat, lanes: int, pad: IntArray, patient: bool = True) -> RowBuffer:
    """The unit for maps of ``shape`` (c, h, w); ``pad`` is the constant's code, (1,) or one per channel of the result.

    It gets as many rows as it cannot do without, until it is fitted; see :class:`Moving` for ``patient``.
    """
    channels, height, width = shape
    parts = sources.block[0] * sources.block[1]
    folds = ceil_div(channels // parts, lanes)
    pad_word = np.zeros(folds * lanes, np.int64)
    pad_word[: channels // parts] = pad
    timing = Moving(sources, (height, width), folds, 1, patient=patient)
    timing = replace(timing, rows=timing.least)
    return RowBuffer(
        "move",
        "resample",
        {
            "BITS": q.bits,
            "LANES": lanes,
            "FOLDS": folds,
            "IN_H": height,
            "IN_W": width,
            "OUT_H": sources.size[0],
            "OUT_W": sources.size[1],
            "BLOCK_Y": sources.block[0],
            "BLOCK_X": sources.block[1],
            "FROM_Y": Numbers.of(sources.rows),
            "FROM_X": Numbers.of(sources.columns),
            "ROWS": timing.rows,
            "SPACING": 1,
            "PAD": Bits(pad_word.size * q.bits, pack(pad_word[None], q.bits)[0]),
        },
        lanes * q.bits,
        lanes * q.bits,
        timing,
        timing.rows * width * parts * folds * lanes * q.bits,
    )


@describes("resample")
def resample_parts(p: Parameters) -> Parts:
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
