"""Random networks: every value of every layer equal, with and without stalls, and the frame interval as predicted.

The golden model is compared with torch as well. CNN2RTL_SEEDS raises the number of networks of any layers (and that of
others, fewer), CNN2RTL_FIRST_SEED moves on to others, CNN2RTL_ENGINE chooses the simulator of the long hunt:

    make soak SEEDS=300 FIRST_SEED=5000
"""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from anything import any_case
from external import need
from generator import Case, random_case, with_numbers
from harness import Bench
from torch_reference import integer_tensors

SEEDS = int(os.environ.get("CNN2RTL_SEEDS", "42"))
FIRST = int(os.environ.get("CNN2RTL_FIRST_SEED", "0"))
ENGINE = os.environ.get("CNN2RTL_ENGINE", "icarus")
FRAMES = 3


def prove(case: Case, engine: str, folder: Path, test: str = "equal") -> None:
    torch.set_num_threads(1)  # the test processes share the processors already
    seed, images = case.seed, case.frames(case.seed + 1, FRAMES)
    compiled = case.compile()
    bench = Bench(compiled, images, folder, engine)
    complaints = bench.complaints((20 + seed % 60,), seed + 1)
    complaints += [] if captured_right(case) else ["the captured network computes something else than torch"]
    golden = compiled.golden_tensors(images)
    complaints += [
        f"{name}: the golden model differs from torch"
        for name, codes in integer_tensors(compiled.graph, images).items()
        if not np.array_equal(golden[name], codes)
    ]
    command = (
        f"CNN2RTL_ENGINE={engine} CNN2RTL_FIRST_SEED={seed} CNN2RTL_SEEDS=3 "
        f"python -m pytest rtl_tests/networks/test_random.py -k {test}"
    )
    assert not complaints, f"{command}\n{case}\n" + "\n".join(complaints)


def captured_right(case: Case) -> bool:
    """Whether the float graph is what torch makes of the network, on numbers of either sign."""
    x = torch.randn(2, *case.shape, generator=torch.Generator().manual_seed(case.seed), dtype=torch.float64)
    with torch.no_grad():
        wanted = copy.deepcopy(case.model).double()(x).numpy()
    found = case.capture().forward(x.numpy().transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2).reshape(wanted.shape)
    return np.allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS // 3))
def test_network_is_equal_to_golden_in_the_predicted_time(seed: int, tmp_path: Path) -> None:
    prove(random_case(seed), ENGINE, tmp_path / "project")


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS // 6))
def test_branches(seed: int, tmp_path: Path) -> None:
    prove(random_case(seed, branches=True), ENGINE, tmp_path / "project", "branches")


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS // 3))
def test_numbers_that_are_no_pictures(seed: int, tmp_path: Path) -> None:
    prove(with_numbers(random_case(seed, branches=seed % 3 == 0)), ENGINE, tmp_path / "project", "numbers")


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_anything(seed: int, tmp_path: Path) -> None:
    prove(any_case(seed), ENGINE, tmp_path / "project", "anything")


def test_frames_that_alternate(tmp_path: Path) -> None:
    """At the interval of its slowest layer each second frame would take a cycle more."""
    prove(random_case(20023), "icarus", tmp_path / "project", "alternate")


# Those with the most constants among the first few, of all kinds.
@pytest.mark.parametrize("seed", [0, 4, 6, 9, 12, 14, 15, 17, 19, 21])
def test_constants(seed: int, tmp_path: Path) -> None:
    prove(replace(random_case(seed), budget="constants"), "icarus", tmp_path / "project", "constants")


# Verilator compiles each for some seconds, so only a few.
@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 7, 19, 23])
def test_verilator_agrees(seed: int, tmp_path: Path) -> None:
    need("verilator")
    prove(random_case(seed), "verilator", tmp_path / "project")
