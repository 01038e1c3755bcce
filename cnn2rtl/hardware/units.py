"""Builders for the units that layer kinds share; each mirrors one file of ``templates/units``."""

from __future__ import annotations

from dataclasses import replace
from math import gcd

import numpy as np

from cnn2rtl.hardware.constants import Constants, Matrix
from cnn2rtl.hardware.timing import FIFO, Gearbox, Pipeline, Replay, Tiles, Windows, reduction
from cnn2rtl.hardware.unit import (
    Bits,
    Folding,
    Instance,
    Packed,
    Rom,
    RomFile,
    RowBuffer,
    Style,
    ceil_div,
    pack,
    pareto,
    rom_place,
    useful,
)
from cnn2rtl.hardware.window import Window
from cnn2rtl.quant.layers import QuantLayer
from cnn2rtl.quant.qformat import IntArray, QFormat, signed_bits
from cnn2rtl.quant.weighted import reach
from cnn2rtl.tensors import Shape


def window_buffer(
    window: Window,
    shape: Shape,
    source: QFormat,
    *,
    lanes: int,
    taps: tuple[int, int],
    groups: int = 1,
    repeat: int = 1,
    slices: int = 1,
    pad: IntArray | None = None,
) -> RowBuffer:
    """Line buffer for ``shape`` (c, h, w); the next unit takes ``slices`` cycles over a beat.

    It gets a row more than the window has, until it is fitted. ``pad`` are the codes around the map, one per channel;
    default 0.
    """
    channels, height, width = shape
    folds = ceil_div(channels // groups, lanes)
    h_out, w_out = window.out_size(height, width)
    pad_word = np.zeros(groups * folds * lanes, np.int64)
    if pad is not None:
        pad_word[:channels] = pad
    window_beats = groups * folds * repeat * (window.taps // (taps[0] * taps[1]))
    columns = ceil_div(width + window.padding[2] % taps[1], taps[1]) * taps[1]
    rows = window.reach[0] + 1
    return RowBuffer(
        "window",
        "window_buffer",
        {
            "BITS": source.bits,
            "LANES": lanes,
            "GROUPS": groups,
            "FOLDS": folds,
            "REPEAT": repeat,
            "IN_H": height,
            "IN_W": width,
            "OUT_H": h_out,
            "OUT_W": w_out,
            "KERNEL_Y": window.kernel[0],
            "KERNEL_X": window.kernel[1],
            "STRIDE_Y": window.stride[0],
            "STRIDE_X": window.stride[1],
            "DILATION_Y": window.dilation[0],
            "DILATION_X": window.dilation[1],
            "PAD_TOP": window.padding[0],
            "PAD_LEFT": window.padding[2],
            "TAPS_Y": taps[0],
            "TAPS_X": taps[1],
            "ROWS": rows,
            "SPACING": 1,
            "PAD": Bits(pad_word.size * source.bits, pack(pad_word[None], source.bits)[0]),
        },
        lanes * source.bits,
        taps[0] * taps[1] * lanes * source.bits,
        Windows(window, (height, width), groups * folds, window_beats, slices, rows=rows),
        rows * columns * pad_word.size * source.bits,
    )


def gearbox(role: str, element_bits: int, count: int, lanes_in: int, lanes_out: int) -> tuple[Instance, ...]:
    """Change the elements per beat; nothing at all where they are equal."""
    if lanes_in == lanes_out:
        return ()
    parameters = {"ELEMENT_W": element_bits, "COUNT": count, "IN_LANES": lanes_in, "OUT_LANES": lanes_out}
    timing = Gearbox(count, lanes_in, lanes_out)
    return (Instance(role, "gearbox", parameters, lanes_in * element_bits, lanes_out * element_bits, timing),)


def fifo(role: str, bits: int, depth: int = 2) -> Instance:
    """A FIFO between two units of a layer."""
    parameters = {"WIDTH": bits, "DEPTH": depth}
    return Instance(role, "stream_fifo", parameters, bits, bits, FIFO, depth * bits)


def with_depth(fifo: Instance, depth: int) -> Instance:
    """The same FIFO with room for ``depth`` beats."""
    return replace(fifo, parameters={**fifo.parameters, "DEPTH": depth}, memory_bits=depth * fifo.in_bits)


def replay_buffer(bits: int, words: int, repeat: int) -> tuple[Instance, ...]:
    """Show each vector of ``words`` beats ``repeat`` times; nothing at all for once."""
    if repeat == 1:
        return ()
    parameters = {"WIDTH": bits, "WORDS": words, "REPEAT": repeat}
    timing = Replay(words, repeat)
    return (Instance("replay", "replay_buffer", parameters, bits, bits, timing, timing.vectors * words * bits),)


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


def mac_array(layer: QuantLayer, folding: Folding, weights: IntArray, steps: int) -> tuple[Instance, dict[str, Rom]]:
    """The multiply-accumulate array with its ROM; ``weights`` and ``steps`` as for :func:`dot_product`."""
    source, acc_bits, pe, simd = layer.source, layer.acc_bits, folding.pe, folding.simd
    words, word_bits = weights.shape[0], pe * simd * layer.weight_bits
    instance = Instance(
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


def requantise(
    layer: QuantLayer, *, channels: int, lanes: int, acc_bits: int, acc_signed: bool
) -> tuple[Instance, Rom]:
    """The requantisation of ``channels`` channels, ``lanes`` per beat, with its parameter ROM.

    Parameters that are the same for all channels shrink to one word (a per-tensor rescaling). They may differ from
    pixel to pixel as well, as (h, w, channels).
    """
    requant = layer.requant
    assert requant is not None
    each = (*requant.shift.shape[:-1], channels)
    bias = np.broadcast_to(0 if layer.bias is None else layer.bias, each)
    shift, multiplier = np.broadcast_to(requant.shift, each), np.broadcast_to(requant.multiplier, each)
    # Where a shift leaves nothing of any sum, a longer one, whose half might not fit, leaves no less.
    reach = np.stack([bias, bias + layer.acc_lo, bias + layer.acc_hi])
    product_bits = signed_bits(int(reach.min()), int(reach.max())) + (requant.multiplier_bits or requant.pre_shift)
    shift = np.minimum(shift, product_bits)
    if requant.multiplier_bits == 0:
        # The rounding half goes into the bias; where the net shift is to the left there is nothing to round.
        net = shift - requant.pre_shift
        bias = bias + np.where(net > 0, np.int64(1) << np.maximum(net - 1, 0), 0)
    reach = np.stack([bias, bias + layer.acc_lo, bias + layer.acc_hi])
    sum_bits = max(signed_bits(int(reach.min()), int(reach.max())), acc_bits + (not acc_signed))
    base = int(shift.min())
    shift_bits = int(shift.max() - base).bit_length()

    folds = ceil_div(channels, lanes)
    found = np.stack([bias, multiplier, shift - base], -1).reshape(-1, channels, 3)
    entries = np.zeros((len(found), folds * lanes, 3), np.int64)
    entries[:, :channels] = found
    if not np.any(found != found[0, 0]):
        entries = np.tile(found[0, 0], (1, lanes, 1))
    folds = entries.size // (3 * lanes)
    widths = np.tile([sum_bits, requant.multiplier_bits, shift_bits], lanes)
    word_bits = int(widths.sum())
    instance = Instance(
        "requantise",
        "requantise",
        {
            "LANES": lanes,
            "FOLDS": folds,
            "ACC_W": acc_bits,
            "ACC_SIGNED": int(acc_signed),
            "SUM_W": sum_bits,
            "MULT_BITS": requant.multiplier_bits,
            "PRE_SHIFT": requant.pre_shift,
            "SHIFT_BASE": base,
            "SHIFT_BITS": shift_bits,
            "Q_BITS": layer.out.bits,
            "LO": requant.lo,
            "HI": requant.hi,
            "ZERO": requant.zero,
            "PLACE": int(rom_place(word_bits, folds)),
            "PARAM_FILE": RomFile("requant"),
        },
        lanes * acc_bits,
        lanes * layer.out.bits,
        Pipeline(5 if requant.multiplier_bits else 4),
    )
    return instance, Rom(word_bits, Packed(entries.reshape(folds, -1), widths))


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


def pad_axis(values: IntArray, axis: int, length: int) -> IntArray:
    """``values`` with zeros appended along ``axis`` up to ``length``."""
    pads = [(0, 0)] * values.ndim
    pads[axis] = (0, length - values.shape[axis])
    return np.pad(values, pads)


def tap_choices(window: Window) -> tuple[tuple[int, int], ...]:
    """How many tap rows and columns a beat of the window may hold."""
    ky, kx = window.kernel
    # Columns lie in as many memories as are read side by side: with some dilations two taps would share one.
    apart = gcd(window.dilation[1], kx) == 1
    return tuple(dict.fromkeys(((1, 1), (ky, 1), *(((ky, kx),) if apart else ()))))


def lane_foldings(shape: Shape) -> tuple[Folding, ...]:
    """Foldings of what takes every value of a map once, whatever the lanes."""
    channels, height, width = shape
    return pareto(
        Folding(lanes, 1, lanes, lanes, height * width * ceil_div(channels, lanes), multiplies=False)
        for lanes in useful(channels)
    )


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
    reduce = {**common, "TAPS": together, "STEPS": steps, **values}
    tree = reduction(together, steps)
    return buffer, Instance("reduce", "tap_reduce", reduce, buffer.out_bits, lanes * out_bits, tree)
