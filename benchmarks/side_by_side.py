"""Small designs side by side with those of the nearest rival: cycles, and what they take of an FPGA.

    python benchmarks/side_by_side.py [--designs pointwise small-cnn ...] [--few-dsps]

Every design is simulated in Verilator, frames back to back and every value compared with the golden model, and mapped
by Yosys for the 7 series and for ECP5. ``--few-dsps`` does the same for the reference network at the rival's number of
DSP blocks. The exit code is 1 if a simulation is wrong or one figure of a rival's is not beaten.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from common import COUNTS, FAMILIES, head, noise, number, randomised, row, simulated, student, synthesised
from torch import nn

from cnn2rtl.devices import find
from cnn2rtl.frontend import capture
from cnn2rtl.graph import FloatGraph
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.schedule import Target
from cnn2rtl.tensors import Shape

FRAMES = 3


@dataclass(frozen=True)
class Figures:
    """What a design needs; ``None`` is what nobody measured. ``counts`` go by family and then as in ``COUNTS``."""

    multipliers: int | None = None
    cycles: int | None = None
    counts: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)

    def busy(self, macs: int) -> float | None:
        """The share of the multipliers' cycles that multiply something the network needs."""
        return None if self.multipliers is None or self.cycles is None else macs / (self.cycles * self.multipliers)

    def cells(self) -> Iterator[tuple[str, float | None]]:
        """Everything of which less is better, with its name."""
        yield "cycles", self.cycles
        for family in FAMILIES:
            found = self.counts.get(family, (None,) * len(COUNTS))
            yield from ((f"{family} {name}", count) for name, count in zip(COUNTS, found, strict=True))


@dataclass(frozen=True)
class Case:
    """A network, what it is compiled for, and what the ``rival`` makes of it.

    ``at_least`` has the factor by which the rival must be beaten in a cell, where that is not 1, and 0 where it need
    not be.
    """

    title: str
    network: Callable[[], FloatGraph]
    target: Target
    rival: str
    theirs: Figures
    at_least: Mapping[str, float] = field(default_factory=dict)


def graph(name: str, shape: Shape, *layers: nn.Module) -> FloatGraph:
    return capture(randomised(nn.Sequential(*layers)), shape, name)


def separable(size: int) -> FloatGraph:
    layers = nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.ReLU(), nn.Conv2d(16, 32, 1), nn.ReLU()
    return graph(f"separable{size}", (16, size, size), *layers)


def small_cnn() -> FloatGraph:
    first = nn.Conv2d(1, 8, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2)
    second = nn.Conv2d(8, 16, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2)
    return graph("small_cnn", (1, 28, 28), *first, *second, nn.Flatten(), nn.Linear(16 * 7 * 7, 10))


# What was measured of the rivals: with Yosys 0.70, `synth_xilinx -family xc7` and `synth_ecp5`; the cycles in Verilator
# or Icarus, of one frame. Block RAMs are the families' own: of 36 kbit on the 7 series, where a RAMB18 counts half, as
# for us; of 18 kbit on ECP5.
#
# NNgen 1.3.4: weights of 8 bits in external memory (ours are on the chip); no grouped convolution, so depthwise ones
# are dense with zeros; a few of its DSP blocks rescale. CNN-FPGA is Verilog by hand, fully parallel, here with weight
# ports; as published, 7 of its 144 results are right.
CASES = {
    "separable-8": Case(
        "depthwise 3x3 + pointwise, 8x8x16 -> 32", partial(separable, 8), Target(multipliers=9),
        "NNgen", Figures(9, 51_113, {"xc7": (11, 13_926, 14_745, 39), "ecp5": (11, 17_395, 15_973, 78)}),
    ),
    "separable-32": Case(
        "depthwise 3x3 + pointwise, 32x32x16 -> 32", partial(separable, 32), Target(multipliers=9),
        "NNgen", Figures(9, 794_881, {"xc7": (11, 14_132, 14_849, 39)}),
    ),
    "pointwise": Case(
        "pointwise, 32x32x16 -> 32",
        lambda: graph("pointwise", (16, 32, 32), nn.Conv2d(16, 32, 1), nn.ReLU()), Target(multipliers=1),
        "NNgen", Figures(1, 528_217, {"xc7": (3, 5_011, 5_660, 7), "ecp5": (3, 6_620, 5_868, 14)}),
    ),
    "dense-3x3": Case(
        "dense 3x3, 32x32x16 -> 32",
        lambda: graph("dense", (16, 32, 32), nn.Conv2d(16, 32, 3, 1, 1), nn.ReLU()), Target(multipliers=9),
        "NNgen", Figures(9, 529_753),
    ),
    "conv": Case(
        "conv 3x3, 8x8x3 -> 4, no padding",
        lambda: graph("conv", (3, 8, 8), nn.Conv2d(3, 4, 3)), Target(multipliers=9),
        "CNN-FPGA", Figures(3_888, None, {"xc7": (3_888, None, None, None)}),
    ),
    "small-cnn": Case(
        "small CNN, 28x28x1: conv 8, pool, conv 16, pool, FC 10", small_cnn, Target(multipliers=9),
        "NNgen", Figures(9, 57_737, {"xc7": (11, 15_930, 16_565, 42.5)}),
    ),
}  # fmt: skip
# Ours has all weights in its block RAMs, the rival's are in external memory: no contest in those. A device is named for
# its block RAMs: those ROMs go there that would take many look-up tables. With more multipliers, some would come in
# pairs, for which the blocks of ECP5 are too small.
FEW_DSPS = Case(
    "reference network, 3x128x128, dense", student, Target(multipliers=32, dsps=11, device=find("xc7a100t")),
    "NNgen", Figures(9, 39_368_209, {"xc7": (11, 20_961, 21_159, 48.5), "ecp5": (11, 66_208, 37_305, 93)}),
    {"cycles": 10, "xc7 luts": 2, "xc7 rams": 0, "ecp5 rams": 0},
)  # fmt: skip


def measured(case: Case) -> tuple[Figures, int, bool]:
    """Our figures; the network's MACs; and whether the simulation was right, in values and in cycles."""
    torch.manual_seed(0)
    compiled = compile_graph(case.network(), Options(target=case.target))
    plan = compiled.design.schedule
    (verdict,) = simulated(compiled, noise(FRAMES, compiled.graph.inputs["input"]), 0)
    for line in verdict.details:
        print(line, file=sys.stderr)
    counts = {}
    for family in FAMILIES:
        usage = synthesised(compiled, family).usage
        counts[family] = tuple(getattr(usage, name) for name in COUNTS)
    figures = Figures(plan.multipliers, verdict.interval, counts)
    return figures, compiled.about["macs"], verdict.passed and verdict.interval == plan.interval


def behind(case: Case, ours: Figures, macs: int) -> list[str]:
    """The cells in which the rival is not beaten, or not by as much as it should be."""
    found = []
    for (name, mine), (_, other) in zip(ours.cells(), case.theirs.cells(), strict=True):
        if mine is not None and other is not None and mine * case.at_least.get(name, 1) >= other:
            found.append(f"{case.title}: {name} {number(mine)}, {case.rival} {number(other)}")
    mine_busy, other_busy = ours.busy(macs), case.theirs.busy(macs)
    if mine_busy is not None and other_busy is not None and mine_busy <= other_busy:
        found.append(f"{case.title}: busy {mine_busy:.1%}, {case.rival} {other_busy:.1%}")
    return found


def print_figures(title: str, maker: str, figures: Figures, macs: int) -> None:
    share = figures.busy(macs)
    cells = [figures.multipliers, *(value for _, value in figures.cells())]
    texts = [number(value) for value in cells]
    row([title, maker, *texts[:2], "" if share is None else f"{share:.1%}", *texts[2:]])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--designs", nargs="+", choices=[*CASES], default=[*CASES], help="some of them only")
    parser.add_argument("--few-dsps", action="store_true", help="the reference network with 11 DSP blocks instead")
    arguments = parser.parse_args()
    cases = [FEW_DSPS] if arguments.few_dsps else [CASES[name] for name in arguments.designs]
    names = " | ".join(f">{family}: {title}" for family in FAMILIES for title in COUNTS.values())
    head(f"design, useful MACs | by | >multipliers | >cycles per frame | >busy | {names}")
    problems = []
    for case in cases:
        ours, macs, right = measured(case)
        print_figures(f"{case.title}; {macs:,}", "cnn2rtl", ours, macs)
        print_figures("", case.rival, case.theirs, macs)
        problems += behind(case, ours, macs) + ([] if right else [f"{case.title}: the simulation is wrong"])
    for problem in problems:
        print(f"NOT AHEAD: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
