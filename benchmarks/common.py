"""What the benchmarks share: the reference network, its simulation, and the counts of Yosys."""

from __future__ import annotations

import gzip
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [
    str(ROOT / folder) for folder in ("tests", "rtl_tests/networks", "examples/digits", "examples/networks")
]

from harness import Bench  # noqa: E402
from models import DATA, StudentNet, randomised  # noqa: E402

from cnn2rtl.compiled import Compiled  # noqa: E402
from cnn2rtl.frontend import capture  # noqa: E402
from cnn2rtl.graph import FloatGraph  # noqa: E402
from cnn2rtl.images import Pixels, load_images  # noqa: E402
from cnn2rtl.project import open_project  # noqa: E402
from cnn2rtl.synthesis import SynthResult, target_for, tool_for  # noqa: E402
from cnn2rtl.tensors import Codes, Shape  # noqa: E402
from cnn2rtl.verify import Verdict  # noqa: E402

SHAPE = (3, 128, 128)
WIDTHS = {"dense": StudentNet.WIDTHS, "pruned": (16, 32, 64, 99, 198, 198, 198, 256)}
"""The reference network, as it was trained and after pruning: channels of its layers."""
BUDGETS = (32, 64, 128, 156, 220, 312, 440)
"""The numbers of multipliers that it is measured with."""
FAMILIES = ("xc7", "ecp5")
PER_CLASS = 5
"""Photographs of each class that calibrate; the others measure."""
COUNTS = {"dsps": "DSP", "luts": "LUT", "flip_flops": "FF", "rams": "block RAM"}
"""What is counted of a design, by its name in ``Usage``, and how tables call it."""


def student(widths: tuple[int, ...] = StudentNet.WIDTHS, name: str = "student", shape: Shape = SHAPE) -> FloatGraph:
    """The reference network with random weights, the same ones each time."""
    torch.manual_seed(0)
    return capture(randomised(StudentNet(widths)), shape, name)


def trained_student(shape: Shape) -> FloatGraph:
    """The reference network as it was trained, from the shared test data."""
    network = StudentNet()
    state = shared("studentnet/student_custom_small.bin")
    network.load_state_dict(torch.load(state, map_location="cpu", weights_only=True))
    return capture(network.eval(), shape, "student")


def photographs(shape: Shape) -> tuple[Codes, Codes]:
    """Those of the shared test data that calibrate, the first five of every class by file name; and all others."""
    found = load_images(shared("food"), shape)
    labels = np.array(found.labels)
    turn = np.array([int((labels[:i] == label).sum()) for i, label in enumerate(labels)])
    return found.images[turn < PER_CLASS], found.images[turn >= PER_CLASS]


def test_digits() -> tuple[Pixels, np.ndarray]:
    """The 10,000 test digits of MNIST from the shared test data, (n, 28, 28, 1), and their labels, (n,)."""
    folder = shared("mnist")
    with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28, 1)
    with gzip.open(folder / "t10k-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
    return images, labels


def shared(path: str) -> Path:
    """A file or folder of the shared test data; without it, the benchmark ends."""
    if not (DATA / path).exists():
        sys.exit(f"the shared test data ({path}) is not here")
    return DATA / path


def noise(frames: int, shape: Shape = SHAPE) -> Pixels:
    """Images of random pixels, (n, h, w, c)."""
    c, h, w = shape
    return np.random.default_rng(0).integers(0, 256, (frames, h, w, c), np.uint8)


def simulated(compiled: Compiled, images: Pixels, *paced: int | None, engine: str = "verilator") -> list[Verdict]:
    """A simulation for each of ``paced``: 0 for pixels as fast as they are taken, None for evenly spread ones."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(compiled, images, Path(folder) / "project", engine)
        return [bench.run(paced=frames) for frames in paced]


def synthesised(compiled: Compiled, family: str) -> SynthResult:
    """What Yosys counts, by ``cnn2rtl synth``."""
    with tempfile.TemporaryDirectory() as folder:
        compiled.write(folder + "/design")
        tool = tool_for("yosys", open_project(Path(folder) / "design"), target_for(None, family))
        return tool.synthesise(lambda stage: None)


def number(value: float | None) -> str:
    """As tables show it, nothing where it is not known; halves of a block have a decimal."""
    return "" if value is None else f"{value:,.1f}".removesuffix(".0")


def row(cells: Iterable[object]) -> None:
    """Print a line of a Markdown table; at once, as the next one may take minutes."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def head(columns: str) -> None:
    """The head of a table: its columns, with bars between them; those with a ``>`` before them are numbers."""
    names = [name.strip() for name in columns.split("|")]
    row(name.removeprefix(">") for name in names)
    print("|" + "|".join("--:" if name.startswith(">") else "---" for name in names) + "|", flush=True)
