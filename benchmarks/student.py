"""The reference network at many sizes: predicted cycles per frame, measured ones, and how busy the multipliers are.

``python benchmarks/student.py`` compiles StudentNet (random weights, which change no cycle) at 3x128x128 and 8 bits for
each number of multipliers, simulates three frames in Verilator and prints the table as Markdown. ``--dsps`` leaves the
DSP blocks to layers that keep them busy. It takes about 10 minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import torch
from common import BUDGETS, WIDTHS, head, noise, row, simulated, student

from cnn2rtl.compiled import Compiled
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.schedule import Target

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
    images = noise(3)
    head(
        "network | >multipliers | >of them in DSP blocks | >cycles per frame, predicted | >measured | >latency | "
        ">multipliers busy | >DSP blocks busy"
    )
    wrong = 0
    for name, widths in WIDTHS.items():
        graph = student(widths, name)

        def compile_for(target: Target, graph: object = graph) -> Compiled:
            return compile_graph(graph, Options(target=target), images)  # type: ignore[arg-type]

        for budget in options.budgets:
            target = Target(multipliers=budget)
            compiled = busy_design(compile_for, budget) if options.dsps else compile_for(target)
            plan = compiled.design.schedule
            # As fast as pixels are taken; and evenly, as the latency is predicted for.
            verdict, even = simulated(compiled, images, 0, None)
            passed = verdict.passed and even.passed
            wrong += not passed or verdict.interval != plan.interval or even.latency != plan.latency
            blocks, share = share_of_blocks(compiled)
            row([
                name, f"{plan.multipliers} of {budget}", blocks, f"{plan.interval:,}",
                f"{verdict.interval:,}{'' if passed else ' WRONG'}", f"{even.latency:,}",
                f"{plan.mac_efficiency(compiled.about['macs']):.1%}", f"{share:.1%}",
            ])  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
