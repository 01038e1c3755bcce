"""The resource estimate against Yosys on whole networks: the table in docs/estimate.md.

    python benchmarks/estimate_error.py [--family xc7 ecp5] [--networks student-64 digits random-3 ...]

``student-N`` is the food classifier of the tests on N multipliers, ``random-N`` the random network of seed N.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable

import common
import torch

from cnn2rtl.estimate import FAMILIES, Resources
from cnn2rtl.frontend import capture
from cnn2rtl.pipeline import Compiled, Options, compile_graph
from cnn2rtl.schedule import Target, takes_of

NETWORKS = ("student-64", "student-156", "digits-64", "random-3", "random-8", "random-21")


def compiled(name: str) -> Compiled:
    """The network of that name."""
    # Found only since `common` has put their folders on the path.
    from generator import random_case
    from model import DigitNet
    from models import randomised

    kind, number = name.split("-")
    torch.manual_seed(0)
    if kind == "random":
        return random_case(int(number)).compile()
    options = Options(target=Target(multipliers=int(number)))
    if kind == "student":
        return compile_graph(common.student(), options)
    return compile_graph(capture(randomised(DigitNet()), (1, 8, 8), "digits"), options)


def synthesised(network: Compiled, family: str) -> Resources:
    """What Yosys counts, by ``cnn2rtl synth``."""
    found = common.synthesised(network, family).usage
    scale = FAMILIES[family]
    return Resources(
        found.luts, found.flip_flops, round(found.dsps * scale.dsp_units), round(found.rams * scale.ram_units)
    )


def rows(networks: Iterable[str], families: Iterable[str]) -> Iterable[str]:
    yield "| network | family | LUTs | estimate | | FFs | estimate | | DSPs | estimate | RAMs | estimate | Yosys |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for name in networks:
        network = compiled(name)
        for family in families:
            guess = takes_of(network.graph, network.design.schedule, family).total
            start = time.monotonic()
            real = synthesised(network, family)
            seconds = time.monotonic() - start
            cells = [name, family]
            for resource in ("luts", "flip_flops"):
                a, b = getattr(real, resource), getattr(guess, resource)
                cells += [f"{a:,}", f"{b:,.0f}", f"{100 * (b / a - 1):+.1f} %"]
            cells += [str(value) for value in (real.dsps, guess.dsps, real.block_rams, guess.block_rams)]
            yield f"| {' | '.join(cells)} | {seconds:.0f} s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", nargs="+", default=["xc7", "ecp5"], choices=[*FAMILIES])
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    arguments = parser.parse_args()
    for row in rows(arguments.networks, arguments.family):
        print(row, flush=True)


if __name__ == "__main__":
    main()
