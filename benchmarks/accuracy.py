"""Top-1 agreement of the integers with the float network, on photographs that calibration has not seen.

python benchmarks/accuracy.py                  # a row for each of --schemes, --widths and --efforts
python benchmarks/accuracy.py --max-drop 0 2   # widths per layer, chosen on half of the photographs

The trained StudentNet at 3x256x256 is calibrated on the first 5 photographs of every class, by file name, and measured
on all others. It needs ``data/food`` and ``data/studentnet`` of the shared test data.
"""

from __future__ import annotations

import argparse
import time
from itertools import product

import numpy as np
from common import head, photographs, row, trained_student

from cnn2rtl.cli.console import parse_widths
from cnn2rtl.graph import FloatGraph, QuantGraph
from cnn2rtl.images import ImageSet, Pixels
from cnn2rtl.options import Options
from cnn2rtl.passes import absorb_input, scores_of, simplify
from cnn2rtl.pipeline import auto_widths, calibrated, simplified
from cnn2rtl.quantise.calibrate import measure
from cnn2rtl.quantise.integers import quantise
from cnn2rtl.tensors import FloatArray

SHAPE = (3, 256, 256)


def outputs(graph: FloatGraph, images: Pixels) -> FloatArray:
    """What the float network makes of ``images``."""
    return np.concatenate([graph.forward(image[None].astype(np.float64)) for image in images])


def compared(exact: FloatArray, integers: QuantGraph, images: Pixels) -> tuple[str, str]:
    """Share of the images that both networks put into the same class, and the SQNR of the outputs.

    ``exact`` is what the float network makes of them.
    """
    codes = np.concatenate([integers.run(image[None].astype(np.int32)) for image in images])
    noise = np.square(exact - integers[integers.output].out.reals(codes)).sum()
    agreement = np.mean(codes.mean((1, 2)).argmax(-1) == exact.mean((1, 2)).argmax(-1))
    return f"{agreement:.1%}", f"{10 * np.log10(np.square(exact).sum() / noise):.1f} dB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schemes", nargs="+", default=["pow2", "scale"])
    parser.add_argument("--widths", nargs="+", default=["8,8", "6,8", "4,8"], help="bits of weights,activations")
    parser.add_argument("--efforts", nargs="+", default=["fast", "best"])
    parser.add_argument("--ranges", nargs="+", default=["minmax"])
    parser.add_argument("--layer", action="append", default=[], metavar="NAME=wNaN", help="widths of one layer")
    parser.add_argument("--max-drop", type=float, nargs="+", help="choose widths that cost so many points")
    asked = parser.parse_args()
    captured = trained_student(SHAPE)
    calibrating, measuring = photographs(SHAPE)
    if asked.max_drop:
        automatic(asked, captured, calibrating, measuring)
    else:
        table(asked, captured, calibrating, measuring)


def table(asked: argparse.Namespace, captured: FloatGraph, calibrating: Pixels, measuring: Pixels) -> None:
    """Given widths."""
    graph = absorb_input(simplify(captured), (0.0,), (1.0,))
    layers = dict(parse_widths(text) for text in asked.layer)
    exact = outputs(graph, measuring)
    print(f"{len(calibrating)} photographs calibrate, {len(measuring)} measure.\n")
    head("scheme | >weights | >activations | ranges | effort | >agreement | >output SQNR | >calibration")
    for ranges in asked.ranges:
        start = time.perf_counter()
        seen = measure(graph, calibrating, ranges != "minmax")
        measured = time.perf_counter() - start
        for widths, scheme, effort in product(asked.widths, asked.schemes, asked.efforts):
            weights, activations = map(int, widths.split(","))
            options = Options(weights, activations, scheme=scheme, layers=layers, ranges=ranges, effort=effort)
            start = time.perf_counter()
            integers = quantise(graph, seen, options.recipe(graph, scores_of(graph)), calibrating)
            took = measured + time.perf_counter() - start
            found = compared(exact, integers, measuring)
            row([scheme, weights, activations, ranges, effort, *found, f"{took:.0f} s"])


def automatic(asked: argparse.Namespace, captured: FloatGraph, calibrating: Pixels, measuring: Pixels) -> None:
    """Widths that are chosen by half of the photographs, and what they are worth on the other half."""
    choosing, unseen = measuring[::2], measuring[1::2]
    exact = outputs(absorb_input(simplify(captured), (0.0,), (1.0,)), unseen)
    print(f"{len(calibrating)} photographs calibrate, {len(choosing)} choose, {len(unseen)} measure.\n")
    head(
        "scheme | effort | >drop allowed | >and found | >weight memory | >multiplier area | >agreement, others | "
        ">output SQNR | >time | widths"
    )
    for scheme, effort, limit in product(asked.schemes, asked.efforts, asked.max_drop):
        start = time.perf_counter()
        options = Options(scheme=scheme, effort=effort)
        check = ImageSet(choosing, None, (), ())
        narrow, choice = auto_widths(calibrated(simplified(captured, options), calibrating), check, limit)
        took = time.perf_counter() - start
        memory, area = choice.cost.memory / choice.widest.memory, choice.cost.area / choice.widest.area
        found = compared(exact, narrow.integers, unseen)
        widths = " ".join(f"{name}={own}" for name, own in choice.layers.items())
        row([
            scheme, effort, f"{limit:g}", f"{choice.drop:g}", f"{memory:.0%}", f"{area:.0%}", *found, f"{took:.0f} s",
            widths,
        ])  # fmt: skip


if __name__ == "__main__":
    main()
