"""The reference network at many sizes: predicted cycles per frame, measured ones, and how busy the multipliers are.

``python benchmarks/student.py`` compiles StudentNet (random weights, which change no cycle) at 3x128x128 and 8 bits for
each number of multipliers, simulates three frames in Verilator and prints the table as Markdown. ``--dsps`` leaves the
DSP blocks to layers that keep them busy. It takes about 10 minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "rtl_tests" / "networks")]

from harness import Bench  # noqa: E402
from models import StudentNet, randomised  # noqa: E402

from cnn2rtl.frontend import capture  # noqa: E402
from cnn2rtl.pipeline import Compiled, Options, compile_graph  # noqa: E402
from cnn2rtl.schedule import Target  # noqa: E402

SHAPE = (3, 128, 128)
WIDTHS = {"dense": StudentNet.WIDTHS, "pruned": (16, 32, 64, 99, 198, 198, 198, 256)}
BUDGETS = (32, 64, 128, 156, 220, 312, 440)
BUSY = 0.97


def share_of_blocks(compiled: Compiled) -> tuple[int, float]:
    """DSP blocks for products, and the share of their cycles that is used."""
    foldings, graph = compiled.design.schedule.foldings, compiled.graph
    blocks = sum(folding.blocks for folding in foldings.values())
    macs = sum(node.op.macs(graph.shapes(node)) for node in graph.layers if foldings[node.name].blocks)
    return blocks, macs / (compiled.design.schedule.interval * blocks) if blocks else 1.0


def busy_design(compile_for: Callable[[Target], Compiled], multipliers: int) -> Compiled:
    """The design with the most DSP blocks of which at least ``BUSY`` of the cycles are used."""
    dsps = multipliers
    while True:
        compiled = compile_for(Target(multipliers=multipliers, dsps=dsps))
        blocks, share = share_of_blocks(compiled)
        if share >= BUSY or blocks == 0:
            return compiled
        dsps = blocks - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dsps", action="store_true", help="the second table: DSP blocks nearly always busy")
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS, help="numbers of multipliers")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE[1:], SHAPE[0]), np.uint8)
    print("| network | multipliers | of them in DSP blocks | cycles per frame, predicted | measured | latency | "
          "multipliers busy | DSP blocks busy |")  # fmt: skip
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    wrong = 0
    for name, widths in WIDTHS.items():
        torch.manual_seed(0)
        graph = capture(randomised(StudentNet(widths)), SHAPE, name)

        def compile_for(target: Target, graph: object = graph) -> Compiled:
            return compile_graph(graph, Options(target=target), images)  # type: ignore[arg-type]

        for budget in options.budgets:
            target = Target(multipliers=budget)
            compiled = busy_design(compile_for, budget) if options.dsps else compile_for(target)
            plan = compiled.design.schedule
            with tempfile.TemporaryDirectory() as folder:
                bench = Bench(compiled, images, Path(folder) / "project", "verilator")
                # As fast as pixels are taken; and evenly, as the latency is predicted for.
                verdict, even = bench.run(paced=0), bench.run()
            passed = verdict.passed and even.passed
            wrong += not passed or verdict.interval != plan.interval or even.latency != plan.latency
            blocks, share = share_of_blocks(compiled)
            print(
                f"| {name} | {plan.multipliers} of {budget} | {blocks} | {plan.interval:,} | "
                f"{verdict.interval:,}{'' if passed else ' WRONG'} | {even.latency:,} | "
                f"{plan.mac_efficiency(compiled.about['macs']):.1%} | {share:.1%} |",
                flush=True,
            )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
