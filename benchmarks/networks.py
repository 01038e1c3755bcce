"""The networks of ``examples/networks``: what they cost, and how fast their designs are, measured in simulation.

    python benchmarks/networks.py [--only ResNet-20 ...]

Weights are random. Pixels come evenly at the frame interval; every value of every layer is compared.
"""

from __future__ import annotations

import argparse

import torch
from common import head, noise, row, simulated
from models import randomised
from networks import NETWORKS

from cnn2rtl.counting import total
from cnn2rtl.frontend import capture
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.schedule import Target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    torch.set_num_threads(1)
    head(
        "network | image | >parameters | >MACs | >multipliers | >cycles per frame | >latency | >busy | >FIFO bits | "
        "values"
    )
    for name in parser.parse_args().only:
        network = NETWORKS[name]
        torch.manual_seed(0)
        graph = capture(randomised(network.build()), network.shape, "net")
        count = total(graph)
        options = Options(target=Target(multipliers=network.multipliers))
        images = noise(2, graph.inputs["input"])
        compiled = compile_graph(graph, options, images)
        (verdict,) = simulated(compiled, images, None)
        plan, design = compiled.design.schedule, compiled.design
        fifo_bits = sum(fifo.depth * stream.bits for stream in design.streams for fifo in stream.fifos)
        row([
            name, "x".join(map(str, network.shape)), f"{count.parameters:,}", f"{count.macs:,}",
            f"{plan.multipliers} of {network.multipliers}", f"{verdict.interval:,}", f"{verdict.latency:,}",
            f"{count.macs / plan.multipliers / verdict.interval:.1%}", f"{fifo_bits:,}",
            "equal" if verdict.passed else "WRONG",
        ])  # fmt: skip


if __name__ == "__main__":
    main()
