"""A layer kind that cnn2rtl does not have, registered from outside, generated and proven: python run.py

For every case a small network with LeakyReLU layers is compiled and written, its golden model is compared
with an independent integer computation in torch, and the Verilog with the golden model, in Icarus; without
stalls the cycles of every layer must be the predicted ones.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import convert  # noqa: F401 - registers the converter, and with it the layer kind
import numpy as np
import torch
from torch import nn

import cnn2rtl
from cnn2rtl.ops.base import REGISTRY
from cnn2rtl.project import open_project
from cnn2rtl.render import templates
from cnn2rtl.verify import engine_for, missed, simulate, write_vectors

HERE = Path(__file__).resolve().parent
SHAPE = (3, 10, 9)
FRAMES = 3

templates.add_folder(HERE / "templates")
LeakyRelu = REGISTRY["leaky_relu"]


@dataclass(frozen=True)
class Case:
    """Slopes of two layers, widths, scheme, and how many multipliers the network may have."""

    slopes: tuple[float, float]
    bits: int
    scheme: str
    multipliers: int

    @property
    def name(self) -> str:
        first, second = (round(1 / slope) for slope in self.slopes)
        return f"leaky_{first}_{second}_{self.bits}_bits_{self.scheme}_{self.multipliers}"

    def model(self) -> nn.Module:
        """The second LeakyReLU stands behind a pool and before a ReLU6, which it has to apply itself."""
        torch.manual_seed(0)
        first, second = self.slopes
        return nn.Sequential(
            nn.Conv2d(3, 7, 3, padding=1), nn.BatchNorm2d(7), nn.LeakyReLU(first),
            nn.Conv2d(7, 5, 1), nn.AvgPool2d(3, 2, 1), nn.LeakyReLU(second), nn.ReLU6(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4), nn.LeakyReLU(first),
        )  # fmt: skip


CASES = (
    Case((1 / 8, 1 / 2), 8, "pow2", 10),
    Case((1 / 4, 1 / 256), 8, "scale", 40),
    Case((1 / 2, 1 / 16), 3, "pow2", 400),
    Case((1 / 128, 1 / 32), 16, "scale", 12),
)


def equals_torch(compiled: cnn2rtl.Compiled, images: np.ndarray) -> bool:
    """Whether the golden model's LeakyReLU layers are what torch makes of the tensors before them."""
    tensors = compiled.golden_tensors(images)
    equal = []
    for before, node in pairwise(compiled.graph.nodes):
        if isinstance(node.op, LeakyRelu):
            assert node.layer is not None
            requant = node.layer.requant
            x = torch.from_numpy(tensors[before.name])
            shift_up = node.op.slope_shift  # type: ignore[attr-defined]
            acc = torch.maximum(x, torch.zeros_like(x)) * 2**shift_up + torch.minimum(x, torch.zeros_like(x))
            # Of each channel, where its reader keeps the channels apart.
            shift, multiplier = torch.from_numpy(requant.shift), torch.from_numpy(requant.multiplier)
            q = torch.floor((acc.double() * multiplier) / 2.0**shift + 0.5).clamp(requant.lo, requant.hi)
            equal.append(np.array_equal(q.long().numpy(), tensors[node.name]))
    return len(equal) == 3 and all(equal)


def prove(case: Case, folder: Path) -> bool:
    images = np.random.default_rng(1).integers(0, 256, (FRAMES, *SHAPE[1:], SHAPE[0]), np.uint8)
    compiled = cnn2rtl.compile(
        case.model(), SHAPE, case.bits, scheme=case.scheme, multipliers=case.multipliers, calibration=images,
        name=case.name,
    )  # fmt: skip
    out = folder / case.name
    compiled.write(out)
    passed = equals_torch(compiled, images)
    print(f"{case.name}: the golden model {'equals' if passed else 'differs from'} torch")

    # Read back, as `cnn2rtl simulate` does it.
    project = open_project(out)
    vectors = out / "sim" / "build" / "vectors"
    write_vectors(vectors, project.graph, project.streams, images)
    engine = engine_for("icarus", out, out / "sim" / "build")
    engine.build()
    for stall in (0, 30):
        verdict = simulate(engine, out / "rom", vectors, frames=FRAMES, stall=stall)
        print(f"  {stall} % stalls: {'PASS' if verdict.passed else 'FAIL'}, a frame every {verdict.interval} cycles")
        for line in verdict.details:
            print(f"    {line}")
        passed = passed and verdict.passed
        if verdict.passed and stall == 0:
            streams = tuple(project.streams.values())
            wrong = missed(verdict, streams, frames=FRAMES, interval=project.interval, latency=project.latency)
            for line in wrong:
                print(f"    {line}")
            passed = not wrong and passed
    return passed


def refusal() -> str:
    """What a user hears whose slope cannot be had."""
    try:
        cnn2rtl.compile(nn.Sequential(nn.Conv2d(3, 2, 1), nn.LeakyReLU()), SHAPE)
    except cnn2rtl.UserError as error:
        return str(error)
    raise AssertionError("a slope of 0.01 was accepted")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="keep the generated projects in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = [prove(case, options.out or Path(scratch)) for case in CASES]
    print(refusal())
    print(f"{'PASS' if all(results) else 'FAIL'}: {sum(results)} of {len(results)} cases")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
