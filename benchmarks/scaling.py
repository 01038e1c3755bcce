"""How long ``generate`` takes, and how much memory: the reference network, and networks of more and more weights.

    python benchmarks/scaling.py [--weights 0.1 0.4 1.6]

Each network is compiled and written in a process of its own; the time of importing torch does not count. The seconds of
the processor say how it scales even on a busy machine. The exit code is 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from math import sqrt
from pathlib import Path

MILLIONS = (0.1, 0.4, 1.6, 6.4, 13.0)
GENERATE_SECONDS, GENERATE_MB, SIMULATE_SECONDS = 5.0, 2000.0, 3.0
"""What the reference network may take."""
REFERENCE, POINTWISE = 0.2568, 0.2401
"""Its own weights, in millions, and those of its pointwise layers, which grow with the square of the width."""
MORE = 2.0
"""A further million weights may take so many times what those of the smaller networks took, as the measure is noisy."""


def generate(millions: float) -> dict[str, float]:
    """Compile and write a network of about so many weights, the reference network with wider or narrower layers."""
    start = time.perf_counter()
    import torch

    imported = time.perf_counter() - start
    torch.set_num_threads(1)
    torch.manual_seed(0)
    start, start_cpu = time.perf_counter(), time.process_time()
    # To import cnn2rtl is part of what a user waits for.
    from common import SHAPE, StudentNet, randomised

    import cnn2rtl

    others = REFERENCE - POINTWISE
    wider = (sqrt(others**2 + 4 * POINTWISE * millions) - others) / (2 * POINTWISE)
    network = randomised(StudentNet(tuple(round(wider * width) for width in StudentNet.WIDTHS)))
    with tempfile.TemporaryDirectory() as folder:
        cnn2rtl.compile(network, SHAPE).write(Path(folder) / "out")
        seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    return {
        "millions": sum(p.numel() for p in network.parameters()) / 1e6,
        "torch": imported,
        "seconds": seconds,
        "cpu": cpu,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def in_a_process(millions: float) -> dict[str, float]:
    """The same in a process of its own, which tells its peak memory and imports torch afresh."""
    done = subprocess.run([sys.executable, __file__, "--one", str(millions)], stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def simulation() -> tuple[float, float]:
    """Seconds of Verilator, once built, for one frame of the reference network on as many multipliers as usual.

    By the clock, and of the processor.
    """
    from common import Bench, noise, student

    from cnn2rtl.options import Options
    from cnn2rtl.pipeline import compile_graph

    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(compile_graph(student(), Options()), noise(1), Path(folder) / "project", "verilator")
        start, start_cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        verdict = bench.run(paced=0)
        seconds = time.perf_counter() - start
        cpu = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start_cpu
    if not verdict.passed:
        raise SystemExit("the simulation is wrong: " + "; ".join(verdict.details))
    return seconds, cpu


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=float, nargs="+", default=MILLIONS, help="networks, in millions of weights")
    parser.add_argument("--one", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(generate(options.one)))
        return 0
    from common import head, row

    missed = []

    def hold(what: str, value: float, limit: float) -> None:
        if value >= limit:
            missed.append(f"{what}: {value:.3g}, where less than {limit:g} is the limit")

    head("network | >million weights | >generate, s | >of the processor, s | >peak MB | "
         ">s per further million | >MB per further million | >importing torch, s")  # fmt: skip
    found: list[dict[str, float]] = []
    for millions in (REFERENCE, *options.weights):
        one = in_a_process(millions)
        name, more = "reference", ["", ""]
        if millions == REFERENCE:
            hold("seconds to generate the reference network", one["seconds"], GENERATE_SECONDS)
            hold("MB to generate the reference network", one["mb"], GENERATE_MB)
        else:
            name = "scaled"
            if found:
                more = [f"{_slope(found[-1], one, key):.2f}" for key in ("cpu", "mb")]
            found.append(one)
        row([
            name, f"{one['millions']:.2f}", f"{one['seconds']:.1f}", f"{one['cpu']:.1f}", f"{one['mb']:,.0f}",
            *more, f"{one['torch']:.1f}",
        ])  # fmt: skip
    slopes = [[_slope(a, b, key) for a, b in pairwise(found)] for key in ("cpu", "mb")]
    for what, (*before, last) in zip(("seconds", "MB"), (s for s in slopes if len(s) > 1), strict=False):
        hold(f"{what} per further million weights", last, MORE * before[-1])
    seconds, cpu = simulation()
    print(f"\nA frame of the reference network in Verilator, once built: {seconds:.1f} s, processor {cpu:.1f} s")
    hold("seconds to simulate a frame", seconds, SIMULATE_SECONDS)
    for problem in missed:
        print(f"MISSED: {problem}", file=sys.stderr)
    return 1 if missed else 0


def _slope(before: dict[str, float], after: dict[str, float], key: str) -> float:
    return (after[key] - before[key]) / (after["millions"] - before["millions"])


if __name__ == "__main__":
    sys.exit(main())
