"""``requantise``: from accumulators to the format of the output."""

from __future__ import annotations

import numpy as np

from cnn2rtl.hardware.parts import Memory, Parameters, Parts, Product, describes, rom_address
from cnn2rtl.hardware.timing import Pipeline
from cnn2rtl.hardware.unit import Instance, Packed, Rom, RomFile, ceil_div, rom_place
from cnn2rtl.quant.layers import QuantLayer
from cnn2rtl.quant.qformat import signed_bits


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


@describes("requantise")
def requantise_parts(p: Parameters) -> Parts:
    lanes, folds, acc, total = p["LANES"], p["FOLDS"], p["ACC_W"], p["SUM_W"]
    factor, base, shifts, out = p["MULT_BITS"], p["SHIFT_BASE"], p["SHIFT_BITS"], p["Q_BITS"]
    big = total + (factor or p["PRE_SHIFT"])
    based = max(1, big - base)  # bits that are left when shifted
    summed = min(total, based)  # of these, those of a sum that is not scaled; the others only carry
    fixed = folds == 1  # the parameters are constants
    least, most = p["LO"] - p["ZERO"], p["HI"] - p["ZERO"]  # what is compared, before the zero point is added
    below, above = -(1 << (based - 1)) < least, most < (1 << (based - 1)) - 1  # whether anything is
    clamps = below or above  # else the last registers are a shift register
    symmetric = least == -(most + 1) or (least == 0 and most + 1 == 1 << out)
    choices = shifts * (1 - 2.0 ** (1 - min(folds, 30)))  # a bit of a lane's shift is the same in all of few words
    features: dict[str, float] = {
        "one": 1,
        "lanes": lanes,
        "clamped": lanes * out * (clamps and not symmetric),
        **rom_address(folds),
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
            "sums": lanes * summed * (not fixed),
            "constant sums": lanes * summed * fixed,
            "carries": lanes * (total - summed) * (not fixed),
            "constant carries": lanes * (total - summed) * fixed,
            "shifted": lanes * based * clamps,
            "shift choice": lanes * based * choices,
            "results": lanes * out * clamps,
            "unclamped": lanes * based * (not clamps),
        }
    products = (Product(total, factor + 1, lanes),) if factor else ()
    memory = Memory(lanes * (total + factor + shifts), folds, False, p.place)
    return Parts(features, (memory,), products, luts=lanes * out * (p["ZERO"] != 0))
