"""A small separable network on handwritten digits: what 8, 6 and 4 bits cost after training, and with training.

python benchmarks/mnist.py             # 8,000 digits to train and calibrate, 2,000 to measure
python benchmarks/mnist.py --holdout   # the last 1,000 of the 8,000 to measure: what choices are made by
python benchmarks/mnist.py --digits    # the same table for the shipped example
python benchmarks/mnist.py --prove     # and each of its networks in Icarus, against the golden model
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
import torch
from common import ROOT, head, row, simulated, test_digits
from model import DigitNet
from torch import nn

from cnn2rtl.accuracy import compare
from cnn2rtl.compress.qat import Training, train
from cnn2rtl.frontend import capture
from cnn2rtl.graph import FloatGraph, QuantGraph
from cnn2rtl.images import Pixels
from cnn2rtl.labels import Labels
from cnn2rtl.options import Options
from cnn2rtl.pipeline import implemented, quantise_graph
from cnn2rtl.quant.qformat import Scheme
from cnn2rtl.quantised import Quantised
from cnn2rtl.tasks import choose

SHAPE = (1, 28, 28)
EPOCHS = 8
"""Of float training."""
CALIBRATION = 100
"""Images that show the ranges."""
WIDTHS = (8, 6, 4)
SCHEMES: tuple[Scheme, ...] = ("pow2", "scale")


@dataclass(frozen=True, eq=False)
class Task:
    """A trained network, what it is trained and what it is measured on."""

    network: FloatGraph
    images: Pixels
    labels: np.ndarray
    test_images: Pixels
    test_labels: np.ndarray


def separable(channels: int, outputs: int, pool: bool) -> nn.Sequential:
    """A depthwise convolution and a pointwise one."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False), nn.BatchNorm2d(channels), nn.ReLU6(),
        nn.Conv2d(channels, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU6(),
        *([nn.MaxPool2d(2)] if pool else []),
    )  # fmt: skip


def network() -> nn.Sequential:
    """1x28x28 -> 10; 9,034 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU6(),
        separable(16, 32, pool=True), separable(32, 64, pool=False), separable(64, 64, pool=False),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def fitted(model: nn.Module, images: Pixels, labels: np.ndarray) -> nn.Module:
    """``model`` trained in floats."""
    torch.manual_seed(0)
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    y = torch.from_numpy(labels)
    batches = -(-len(x) // 64)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=0.01, total_steps=EPOCHS * batches)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(64):
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def mnist(holdout: bool) -> Task:
    """The first 8,000 of the shared digits and the last 2,000; with ``holdout``, none of the latter."""
    images, labels = test_digits()
    first, last = (7000, 8000) if holdout else (8000, 10000)
    torch.manual_seed(0)
    model = fitted(network(), images[:first], labels[:first])
    return Task(capture(model, SHAPE, "mnist"), images[:first], labels[:first], images[first:last], labels[first:last])


def digits() -> Task:
    """The shipped example with its own weights."""
    folder = ROOT / "examples" / "digits"
    with np.load(folder / "digits.npz") as data:
        images, labels, test = data["images"][..., None], data["labels"].astype(np.int64), data["test"]
    model = DigitNet()
    model.load_state_dict(torch.load(folder / "digits.pt", weights_only=True))
    network = capture(model.eval(), (1, 8, 8), "digits")
    return Task(network, images[~test], labels[~test], images[test], labels[test])


def accuracies(task: Task, float_graph: FloatGraph, graph: QuantGraph) -> tuple[float, float]:
    """Of the float network and of the integers, in percent."""
    choices = choose(float_graph, "classification", {graph.output: Labels(task.test_labels)})
    found = compare(float_graph, graph, task.test_images, choices)
    assert found.float_accuracy is not None and found.integer_accuracy is not None
    return 100 * found.float_accuracy, 100 * found.integer_accuracy


def proven(float_graph: FloatGraph, graph: QuantGraph, options: Options, frames: Pixels) -> bool:
    """Whether the Verilog of ``graph`` gives what the golden model gives, every value of every layer."""
    compiled = implemented(Quantised(float_graph, graph, options, "", frames=frames), options)
    return all(verdict.passed for verdict in simulated(compiled, frames, 0, None, engine="icarus"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--holdout", action="store_true", help="leave the test digits alone")
    parser.add_argument("--digits", action="store_true", help="the shipped example instead of MNIST")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="bits of weights and activations")
    parser.add_argument("--epochs", type=int, default=Training.epochs, help="of quantisation-aware training")
    parser.add_argument("--rate", type=float, default=Training.rate, help="its step size")
    parser.add_argument("--ranges", default="mse", help="how ranges are chosen, as for generate")
    parser.add_argument("--prove", action="store_true", help="simulate each network, too")
    given = parser.parse_args()
    # One thread: sums in one order give the same weights on every run.
    torch.set_num_threads(1)
    task = digits() if given.digits else mnist(given.holdout)
    training = Training(epochs=given.epochs, rate=given.rate)
    head(
        "widths | scheme | >float | >after training | >loss | >trained in integers | >loss"
        + (" | RTL of both" if given.prove else "")
    )
    for bits in given.widths:
        for scheme in SCHEMES:
            options = replace(Options(), weight_bits=bits, activation_bits=bits, scheme=scheme, ranges=given.ranges)
            calibration = task.images[:CALIBRATION]
            made = quantise_graph(task.network, options, calibration)
            float_graph, graph = made.graph, made.integers
            exact, before = accuracies(task, float_graph, graph)
            *_, last = train(float_graph, graph, task.images, tuple(task.labels.tolist()), training)
            _, after = accuracies(task, float_graph, last.graph)
            verdict = []
            if given.prove:
                equal = [proven(float_graph, some, options, task.test_images[:3]) for some in (graph, last.graph)]
                verdict = ["equal" if all(equal) else "WRONG"]
            row([
                f"W{bits}A{bits}", f"`{scheme}`", f"{exact:.2f} %", f"{before:.2f} %", f"{exact - before:.2f}",
                f"{after:.2f} %", f"{exact - after:.2f}", *verdict,
            ])  # fmt: skip


if __name__ == "__main__":
    main()
