"""Which devices the reference network fits, by estimate, and why it does not fit the others.

    python benchmarks/fits.py --write               # into docs/synthesis.md
    python benchmarks/fits.py --bits 4 --devices LFE5U-85F 5CSEBA6

Weights are random, and the BatchNorm statistics calibrate. Refusals are those of `generate`, word for word.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence

import torch
from common import ROOT, SHAPE, student

from cnn2rtl.devices import Device, default_clock, find, load
from cnn2rtl.errors import UserError
from cnn2rtl.estimation import FAMILIES
from cnn2rtl.options import Options
from cnn2rtl.pipeline import quantise_graph, scheduled
from cnn2rtl.quantised import Quantised
from cnn2rtl.schedule import Target, takes_of

PAGE = ROOT / "docs" / "synthesis.md"
HEAD = f"| device | StudentNet, {'x'.join(map(str, SHAPE))}, 8 bits |\n|---|---|\n"


def network(bits: int = 8) -> Quantised:
    """The reference network's integers."""
    return quantise_graph(student(), Options(bits, bits))


def answer(network: Quantised, device: Device) -> str:
    """What the fastest design takes of ``device``, or why there is none."""
    mhz = default_clock(device)
    try:
        plan = scheduled(network, Target(clock_mhz=mhz, device=device))
    except UserError as refusal:
        return " ".join(refusal.problems)
    total, family = takes_of(network.integers, plan, device.family).total, FAMILIES[device.family]
    counts = {
        "DSP": (total.dsps / family.dsp_units, device.dsps),
        "LUT": (round(total.luts), device.luts),
        "FF": (round(total.flip_flops), device.flip_flops),
        "block RAM": (total.block_rams / family.ram_units, device.rams),
        # In families where the others share them.
        "logic cells": (round(total.cells), device.luts if total.cells else 0),
    }
    taken = ", ".join(
        f"{f'{used:,.1f}'.removesuffix('.0')} of {there:,} {name}" for name, (used, there) in counts.items() if there
    )
    return f"{plan.interval:,} cycles, {1e6 * mhz / plan.interval:,.1f} frames/s at {mhz:g} MHz; {taken}"


def rows(network: Quantised, devices: Sequence[Device]) -> Iterator[str]:
    """The table, line by line."""
    for device in devices:
        yield f"| {device.name} | {answer(network, device)} |\n"


def shown(page: str) -> dict[str, str]:
    """What the page says, by device."""
    return dict(re.findall(r"^\| (.*?) \| (.*) \|$", _parts(page)[1], re.MULTILINE))


def _parts(page: str) -> tuple[str, str, str]:
    """What stands before the rows of the table, the rows, and what stands behind them."""
    before, head, rest = page.partition(HEAD)
    table, end, behind = rest.partition("\n\n")
    return before + head, table, end + behind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into docs/synthesis.md: 8 bits, every device")
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--devices", nargs="+", default=list(load()))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.write:
        before, _, behind = _parts(PAGE.read_text(encoding="utf-8"))
        table = "".join(rows(network(), list(load().values()))).rstrip("\n")
        PAGE.write_text(before + table + behind, encoding="utf-8")
        return
    for row in rows(network(options.bits), [find(name) for name in options.devices]):
        print(row, end="", flush=True)


if __name__ == "__main__":
    main()
