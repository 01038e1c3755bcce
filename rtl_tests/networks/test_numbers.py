"""Designs whose inputs are no pictures, at the ends of what there is: every value, under stalls, in the predicted time.

Random networks on random formats are in ``test_random.py`` and ``test_golden.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from external import need
from generator import codes_for
from harness import Bench
from models import randomised
from several import NETWORKS
from test_project_folder import run, sources
from torch import nn
from torch_reference import integer_tensors

from cnn2rtl.compiled import Compiled
from cnn2rtl.frontend import capture
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.quant.inputs import InputFormat, input_formats
from cnn2rtl.quant.qformat import Scheme
from cnn2rtl.schedule import Target
from cnn2rtl.tensors import Shape, batch_of

# Layers that take the input: with a border, of groups, of all values, and one that cannot absorb a normalisation.
FIRST: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)),
    "series": lambda: nn.Sequential(nn.Conv2d(3, 5, (1, 3), stride=(1, 2)), nn.ReLU(), nn.Conv2d(5, 2, 1)),
    "depthwise": lambda: nn.Sequential(nn.Conv2d(3, 3, (3, 1), groups=3, padding=(2, 0)), nn.Conv2d(3, 2, 1)),
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(90, 4)),
    "maximum": lambda: nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(3, 4, 1), nn.ReLU6()),
}
SHAPE = (3, 5, 6)
BUDGETS = {"few": Target(multipliers=8), "fast": Target(multipliers=9999), "logic": Target(multipliers=9999, dsps=0)}


def made(first: str, taken: InputFormat, scheme: Scheme, target: Target) -> Compiled:
    torch.set_num_threads(1)
    graph = capture(randomised(FIRST[first](), 3), SHAPE, "net")
    reach = (1 << taken.bits - taken.signed) * float(taken.scale or 1)
    options = Options(
        scheme=scheme, target=target, inputs=(taken,), mean=(0.4 * reach, 0.0, 0.3 * reach), std=(0.3 * reach,) * 3
    )
    return compile_graph(graph, options, codes_for(SHAPE, taken, 1, 4))


def frames(taken: InputFormat, shape: Shape = SHAPE) -> np.ndarray:
    """The smallest code everywhere, the largest, both in turn, and any."""
    numbers = taken.numbers
    assert numbers is not None
    found = codes_for(shape, taken, 2, 5)
    found[0], found[1] = numbers.lo, numbers.hi
    found[2] = np.where(np.indices(found[2].shape).sum(0) % 2, numbers.hi, numbers.lo)
    return found


def prove(net: Compiled, images: np.ndarray, folder: Path, engine: str = "icarus") -> None:
    assert Bench(net, images, folder, engine).complaints((15, 70)) == []  # type: ignore[arg-type]
    golden = net.golden_tensors(images)
    for name, codes in integer_tensors(net.graph, images).items():
        np.testing.assert_array_equal(golden[name], codes, err_msg=name)


CASES = [
    (form, first, ("pow2", "scale")[number % 2], tuple(BUDGETS)[number % 3])
    for number, (form, first) in enumerate(
        [
            ("u1", "convolution"), ("u1", "depthwise"), ("u1", "series"), ("u1", "linear"),
            ("s2", "depthwise"), ("s2", "convolution"), ("s2", "maximum"),
            ("s16", "convolution"), ("s16", "depthwise"), ("s16", "series"), ("s16", "linear"), ("s16", "maximum"),
            ("u16", "series"), ("u16", "convolution"), ("u12", "maximum"), ("s12", "linear"), ("s8", "convolution"),
            ("u8", "depthwise"),
        ]
    )
]  # fmt: skip


@pytest.mark.parametrize(("form", "first", "scheme", "budget"), CASES, ids=str)
def test_the_ends_of_every_format(form: str, first: str, scheme: Scheme, budget: str, tmp_path: Path) -> None:
    (taken,) = input_formats([form], [0.37 if scheme == "scale" else 2.0**-5])
    prove(made(first, taken, scheme, BUDGETS[budget]), frames(taken), tmp_path / "project")


def test_each_input_has_its_own_format(tmp_path: Path) -> None:
    make, shapes = NETWORKS["fusion"]
    taken = input_formats(["s12", "u16"], [0.25, 1e-3])
    graph = capture(randomised(make()), shapes, "net")
    batch = batch_of(
        {name: frames(each, shape) for each, (name, shape) in zip(taken, graph.inputs.items(), strict=True)}
    )
    options = Options(inputs=taken, target=Target(multipliers=len(graph.nodes)))
    prove(compile_graph(graph, options, batch), batch, tmp_path / "project")


@pytest.mark.parametrize("form", ["u1", "s16"])
def test_the_verilog_has_no_warning(form: str, tmp_path: Path) -> None:
    (taken,) = input_formats([form], [1.0])
    for first in FIRST:
        folder = tmp_path / first
        made(first, taken, "pow2", BUDGETS["few"]).write(folder)
        assert run("iverilog", "-g2005", "-Wall", "-t", "null", "-s", "net", *sources(folder), cwd=folder / "rom") == ""


# Verilator compiles each for some seconds, so only a few.
@pytest.mark.slow
@pytest.mark.parametrize("form", ["u1", "s16"])
def test_verilator_agrees(form: str, tmp_path: Path) -> None:
    need("verilator")
    (taken,) = input_formats([form], [1.0])
    folder = tmp_path / "project"
    prove(made("convolution", taken, "scale", BUDGETS["fast"]), frames(taken), folder, "verilator")
    command = ("verilator", "--lint-only", "-Wall", "--top-module", "net")
    assert run(*command, *sources(folder), cwd=folder / "rom") == ""
