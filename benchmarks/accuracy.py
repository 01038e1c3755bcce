"""Top-1 agreement of the integers with the float network, on photographs that calibration has not seen.

``python benchmarks/accuracy.py`` calibrates the trained StudentNet at 3x256x256 on the first 5 photographs of every
class, by file name, compares float and integer network on all others and prints a row of Markdown per combination of
``--schemes``, ``--widths`` and ``--efforts``. It needs ``data/food`` and ``data/studentnet`` of the shared test data.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from models import DATA, StudentNet  # noqa: E402

from cnn2rtl.frontend import capture  # noqa: E402
from cnn2rtl.images import load_images  # noqa: E402
from cnn2rtl.passes import absorb_input, simplify  # noqa: E402
from cnn2rtl.pipeline import Options  # noqa: E402
from cnn2rtl.quant.calibrate import measure  # noqa: E402
from cnn2rtl.quant.quantise import quantise  # noqa: E402

SHAPE = (3, 256, 256)
PER_CLASS = 5
"""Photographs of each class that calibrate; the others measure."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--schemes", nargs="+", default=["pow2", "scale"])
    parser.add_argument("--widths", nargs="+", default=["8,8", "6,8", "4,8"], help="bits of weights,activations")
    parser.add_argument("--efforts", nargs="+", default=["fast", "best"])
    parser.add_argument("--ranges", nargs="+", default=["minmax"])
    asked = parser.parse_args()
    state, photographs = DATA / "studentnet" / "student_custom_small.bin", DATA / "food"
    if not state.exists() or not photographs.exists():
        print("the shared test data (data/studentnet and data/food) is not here")
        return 1
    network = StudentNet()
    network.load_state_dict(torch.load(state, map_location="cpu", weights_only=True))
    graph = absorb_input(simplify(capture(network.eval(), SHAPE, "student")), (0.0,), (1.0,))
    found = load_images(photographs, SHAPE)
    labels = np.array(found.labels)
    turn = np.array([int((labels[:i] == label).sum()) for i, label in enumerate(labels)])
    calibrating, measuring = found.images[turn < PER_CLASS], found.images[turn >= PER_CLASS]
    exact = np.concatenate([graph.forward(image[None].astype(np.float64)) for image in measuring])
    chosen = graph[graph.output].op.classes(exact)

    print(f"{len(calibrating)} photographs calibrate, {len(measuring)} measure.\n")
    print("| scheme | weights | activations | ranges | effort | agreement | output SQNR | calibration |")
    print("|---|--:|--:|---|---|--:|--:|--:|", flush=True)
    for ranges in asked.ranges:
        start = time.perf_counter()
        seen = measure(graph, calibrating, ranges != "minmax")
        measured = time.perf_counter() - start
        for widths, scheme, effort in product(asked.widths, asked.schemes, asked.efforts):
            weights, activations = map(int, widths.split(","))
            options = Options(weights, activations, scheme=scheme, ranges=ranges, effort=effort)
            start = time.perf_counter()
            integers = quantise(graph, seen, options.recipe(graph, graph.output), calibrating)
            took = measured + time.perf_counter() - start
            codes = np.concatenate([integers.run(image[None].astype(np.int32)) for image in measuring])
            agreement = np.mean(graph[graph.output].op.classes(codes) == chosen)
            noise = np.square(exact - integers[graph.output].out.reals(codes)).sum()
            print(
                f"| {scheme} | {weights} | {activations} | {ranges} | {effort} | {agreement:.1%} | "
                f"{10 * np.log10(np.square(exact).sum() / noise):.1f} dB | {took:.0f} s |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
