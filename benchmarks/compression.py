"""The compression toolbox from end to end on handwritten digits, as in the reference study.

    python benchmarks/compression.py [--epochs 12] [--seeds 3] [--no-synthesis]
    python benchmarks/compression.py --students --images 3000    # the students alone, trained on fewer digits

A standard CNN, a quarter as wide as the study's and for images of 1x32x32, becomes separable, is distilled, slimmed to
0.77 of its channels, quantised to 8 bits and made into RTL, which is simulated. 8,000 digits train, 2,000 measure; none
of these has any say in the training. Two processes work side by side.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from common import head, number, row, simulated, synthesised, test_digits
from torch import nn

from cnn2rtl import zoo
from cnn2rtl.accuracy import compare
from cnn2rtl.compress import separable
from cnn2rtl.compress.distillation import distillation
from cnn2rtl.compress.prune import find_channels, keep_share, prune, slimming, with_gammas
from cnn2rtl.compress.training.feed import Data, Feed
from cnn2rtl.compress.training.loop import train
from cnn2rtl.compress.training.objective import Objective, from_labels
from cnn2rtl.compress.training.recipe import Recipe
from cnn2rtl.counting import total
from cnn2rtl.frontend import capture
from cnn2rtl.images import ImageSet
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.schedule import Target
from cnn2rtl.tasks import choose

SHAPE = (1, 32, 32)
TRAINED = 8000
"""Of 10,000 digits; the others measure."""
CALIBRATION = 200
KEEP = 0.7738
"""The share of channels that stays: 0.95 to the power of 5, as in the study."""
MULTIPLIERS = 64
BATCH, RATE = 64, 0.003
SHIFT = 2
"""Pixels by which the teacher's images move at random; what the students see stays as it is."""
ALPHA = 0.9
"""The teacher's weight."""


@dataclass(frozen=True)
class Step:
    """A network on the way, and what was measured of it."""

    name: str
    parameters: int
    macs: int
    weight_bits: int
    float_accuracy: float
    integer_accuracy: float
    cycles: int
    equal: bool
    luts: float | None
    dsps: float | None
    rams: float | None


def digits(images: int = TRAINED) -> Data:
    """The shared digits, with a border that makes them 32 pixels a side; so many ``images`` to train on."""
    pixels, labels = test_digits()
    padded = np.pad(pixels, ((0, 0), (2, 2), (2, 2), (0, 0)))
    sets = [
        ImageSet(padded[part], tuple(labels[part].tolist()), (), tuple(f"digit {i}" for i in range(len(labels))[part]))
        for part in (slice(images), slice(TRAINED, None))
    ]
    return Data(*(Feed(part, (0.0,), (1.0,)) for part in sets))


def recipe(epochs: int, seed: int, rate: float = RATE, shift: int = 0) -> Recipe:
    """The last epoch counts: choosing one would be by the digits that measure."""
    return Recipe(epochs, BATCH, rate, warm_up=1, shift=shift, seed=seed, keep="last", device="cpu")


def fitted(module: nn.Module, data: Data, how: Recipe, objective: Objective) -> nn.Module:
    """A trained copy of ``module``."""
    module = copy.deepcopy(module)
    with tempfile.TemporaryDirectory() as folder:
        for _ in train(module, data, how, objective, Path(folder)):
            pass
    return module


def standard(epochs: int, images: int) -> nn.Module:
    torch.manual_seed(0)
    return fitted(zoo.standard_cnn(0.25, 32, 1, 10), digits(images), recipe(epochs, 0, shift=SHIFT), from_labels())


def student(seed: int) -> nn.Module:
    """The same network, separable and untrained."""
    torch.manual_seed(seed)
    module = zoo.standard_cnn(0.25, 32, 1, 10)
    separable.make_separable(module, separable.choose(module), fit=False)
    return module


def plain(epochs: int, images: int, seed: int) -> nn.Module:
    return fitted(student(seed), digits(images), recipe(epochs, seed), from_labels())


def distilled(teacher: nn.Module, epochs: int, images: int, seed: int) -> nn.Module:
    return taught(student(seed), teacher, digits(images), recipe(epochs, seed))


def taught(module: nn.Module, teacher: nn.Module, data: Data, how: Recipe) -> nn.Module:
    with tempfile.TemporaryDirectory() as folder:
        return fitted(module, data, how, distillation(teacher, data.train, how, Path(folder), ALPHA))


def slimmed(module: nn.Module, teacher: nn.Module, epochs: int) -> nn.Module:
    """Fewer channels: trained with |gamma| in the loss, then without the smallest, then with the teacher again."""
    data = digits()
    sparse = fitted(module, data, recipe(max(2, epochs // 3), 0, RATE / 3), with_gammas(from_labels(), 1e-3))
    channels = find_channels(sparse, SHAPE)
    widths = keep_share(channels, slimming(sparse, channels), KEEP, "layer")
    *_, last = prune(sparse, SHAPE, channels, widths, slimming)
    return taught(last.module, teacher, data, recipe(epochs, 0))


def accuracy(module: nn.Module) -> float:
    """Of the floats, in percent."""
    measured = digits().val
    module.eval()
    with torch.no_grad():
        pixels = torch.from_numpy(measured.images.images.transpose(0, 3, 1, 2).astype(np.float32) / 255)
        right = module(pixels).argmax(1).numpy() == np.array(measured.images.labels)
    return 100 * float(right.mean())


def step(name: str, module: nn.Module, synthesis: bool) -> Step:
    """``module`` quantised to 8 bits, generated, simulated and synthesised."""
    data = digits()
    graph = capture(module, SHAPE, "digits")
    count = total(graph)
    options = Options(target=Target(multipliers=MULTIPLIERS), ranges="mse")
    compiled = compile_graph(graph, options, data.train.images.images[:CALIBRATION])
    test = data.val.images
    choices = choose(compiled.float_graph, labels=test.labels_of(compiled.graph.outputs))
    found = compare(compiled.float_graph, compiled.graph, test.images, choices)
    assert found.float_accuracy is not None and found.integer_accuracy is not None
    verdicts = simulated(compiled, test.images[:2], 0, None)
    used = synthesised(compiled, "xc7").usage if synthesis else None
    return Step(
        name, count.parameters, count.macs, count.weight_bits(8), 100 * found.float_accuracy,
        100 * found.integer_accuracy, verdicts[-1].interval, all(verdict.passed for verdict in verdicts),
        *((None,) * 3 if used is None else (used.luts, used.dsps, used.rams)),
    )  # fmt: skip


def single_thread() -> None:
    # Sums in one order give the same weights on every run, and two processes have a processor each.
    torch.set_num_threads(1)


def show(found: Step) -> None:
    row([
        found.name, f"{found.parameters:,}", f"{found.macs:,}", f"{found.weight_bits:,}",
        f"{found.float_accuracy:.2f} %", f"{found.integer_accuracy:.2f} %", f"{found.cycles:,}",
        "equal" if found.equal else "WRONG", number(found.luts), number(found.dsps), number(found.rams),
    ])  # fmt: skip


def three(values: Sequence[float]) -> str:
    return f"{', '.join(f'{value:.2f}' for value in values)}: {np.mean(values):.2f} %"


def steps_of(
    pool: ProcessPoolExecutor, teacher: nn.Module, alone: Future[nn.Module], learned: Future[nn.Module], epochs: int,
    synthesis: bool,
) -> None:  # fmt: skip
    """Print the table."""
    steps = [pool.submit(step, "standard", teacher, synthesis)]
    slim = pool.submit(slimmed, learned.result(), teacher, epochs)
    steps.append(pool.submit(step, "separable", alone.result(), synthesis))
    steps.append(pool.submit(step, "distilled", learned.result(), synthesis))
    steps.append(pool.submit(step, "slimmed", slim.result(), synthesis))
    head(
        "network | >parameters | >MACs | >weight bits | >float | >8 bits | >cycles per frame | RTL | >LUT | >DSP | "
        ">block RAM"
    )
    for future in steps:
        show(future.result())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=12, help="of every training")
    parser.add_argument("--seeds", type=int, default=3, help="students that are trained both ways")
    parser.add_argument("--images", type=int, default=TRAINED, help="to train on, with --students")
    parser.add_argument("--students", action="store_true", help="compare the students, and leave the steps out")
    parser.add_argument("--no-synthesis", action="store_true", help="do without Yosys")
    given = parser.parse_args()
    began, synthesis, epochs = time.monotonic(), not given.no_synthesis, given.epochs
    images = given.images if given.students else TRAINED
    with ProcessPoolExecutor(2, get_context("spawn"), single_thread) as pool:
        first = pool.submit(standard, epochs, images)
        alone = [pool.submit(plain, epochs, images, seed) for seed in range(given.seeds)]
        teacher = first.result()
        learned = [pool.submit(distilled, teacher, epochs, images, seed) for seed in range(given.seeds)]
        if not given.students:
            steps_of(pool, teacher, alone[0], learned[0], epochs, synthesis)
        accuracies = [[accuracy(future.result()) for future in futures] for futures in (alone, learned)]
    print(f"\nThe student by itself: {three(accuracies[0])}; distilled: {three(accuracies[1])}.")
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
