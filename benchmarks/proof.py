"""The trained reference network in simulation, at every width and in both schemes: is each value the golden model's?

``python benchmarks/proof.py`` calibrates StudentNet at 3x128x128 on 50 photographs and runs others through the Verilog
in Verilator, as fast as they are taken and evenly spread. It needs ``data/food`` and ``data/studentnet`` of the shared
test data.
"""

from __future__ import annotations

import argparse
import sys
from itertools import product

import numpy as np
from common import SHAPE, head, photographs, row, simulated, trained_student

from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.schedule import Target


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schemes", nargs="+", default=["pow2", "scale"])
    parser.add_argument("--widths", nargs="+", default=["8,8", "6,8", "4,8"], help="bits of weights,activations")
    parser.add_argument("--efforts", nargs="+", default=["fast", "best"])
    parser.add_argument("--multipliers", type=int, default=220)
    parser.add_argument("--frames", type=int, default=3)
    asked = parser.parse_args()
    captured = trained_student(SHAPE)
    calibrating, others = photographs(SHAPE)
    frames, wrong = others[:: len(others) // asked.frames][: asked.frames], 0
    head("scheme | >weights | >activations | effort | >values compared | verdict | >cycles per frame | >latency")
    for widths, scheme, effort in product(asked.widths, asked.schemes, asked.efforts):
        weights, activations = map(int, widths.split(","))
        options = Options(
            weights, activations, scheme=scheme, effort=effort, target=Target(multipliers=asked.multipliers)
        )
        compiled = compile_graph(captured, options, calibrating)
        plan = compiled.design.schedule
        fast, even = simulated(compiled, frames, 0, None)
        proven = fast.passed and even.passed and (fast.interval, even.latency) == (plan.interval, plan.latency)
        wrong += not proven
        values = len(frames) * sum(int(np.prod(node.shape)) for node in compiled.graph.layers)
        row([
            scheme, weights, activations, effort, f"{values:,}", "equal" if proven else "WRONG",
            f"{fast.interval:,}", f"{even.latency:,}",
        ])  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
