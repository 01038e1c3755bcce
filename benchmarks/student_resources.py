"""What the reference network takes of an FPGA at many sizes, counted by Yosys.

    python benchmarks/student_resources.py [--budgets 32 64 220] [--networks dense] [--families xc7]

The network is that of ``student.py``, which measures its cycles. One run of Yosys takes one to some minutes, all of
them together about an hour.
"""

from __future__ import annotations

import argparse

import torch
from common import BUDGETS, COUNTS, FAMILIES, WIDTHS, head, noise, number, row, student, synthesised

from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.schedule import Target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS, help="numbers of multipliers")
    parser.add_argument("--networks", nargs="+", default=WIDTHS, choices=[*WIDTHS])
    parser.add_argument("--families", nargs="+", default=FAMILIES, choices=[*FAMILIES])
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = noise(3)
    counts = " | ".join(f">{title}" for title in COUNTS.values())
    head(f"network | family | >multipliers | >cycles per frame | {counts} | >Yosys")
    for budget in options.budgets:
        for name in options.networks:
            compiled = compile_graph(student(WIDTHS[name], name), Options(target=Target(multipliers=budget)), images)
            plan = compiled.design.schedule
            for family in options.families:
                result = synthesised(compiled, family)
                row([
                    name, family, f"{plan.multipliers} of {budget}", f"{plan.interval:,}",
                    *(number(getattr(result.usage, count)) for count in COUNTS), f"{result.seconds:.0f} s",
                ])  # fmt: skip


if __name__ == "__main__":
    main()
