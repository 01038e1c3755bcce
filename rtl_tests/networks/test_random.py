"""Random networks: every value of every layer equal, with and without stalls, and the frame interval as predicted.

CNN2RTL_SEEDS raises the number of networks, of which a third has branches, CNN2RTL_FIRST_SEED moves on to others,
CNN2RTL_ENGINE chooses the simulator of the long hunt:

    CNN2RTL_SEEDS=1000 CNN2RTL_FIRST_SEED=5000 python -m pytest rtl_tests/networks/test_random.py
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from external import need
from generator import images_for, random_case
from harness import Bench

SEEDS = int(os.environ.get("CNN2RTL_SEEDS", "60"))
FIRST = int(os.environ.get("CNN2RTL_FIRST_SEED", "0"))
ENGINE = os.environ.get("CNN2RTL_ENGINE", "icarus")
FRAMES = 3


def prove(seed: int, engine: str, folder: Path, budget: str = "", branches: bool = False) -> None:
    torch.set_num_threads(1)  # the test processes share the processors already
    case = random_case(seed, branches)
    if budget:
        case = replace(case, budget=budget)
    compiled = case.compile()
    bench = Bench(compiled, images_for(case.shape, seed + 1, FRAMES), folder, engine)
    complaints = bench.complaints((20 + seed % 60,), seed + 1)
    command = (
        f"CNN2RTL_ENGINE={engine} CNN2RTL_FIRST_SEED={seed} CNN2RTL_SEEDS=3 "
        f"python -m pytest rtl_tests/networks/test_random.py -k {'branches' if branches else 'equal'}"
    )
    assert not complaints, f"{command}\n{case}\n" + "\n".join(complaints)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS * 2 // 3))
def test_network_is_equal_to_golden_in_the_predicted_time(seed: int, tmp_path: Path) -> None:
    prove(seed, ENGINE, tmp_path / "project")


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS // 3))
def test_branches(seed: int, tmp_path: Path) -> None:
    prove(seed, ENGINE, tmp_path / "project", branches=True)


# Those with the most constants among the first few, of all kinds.
@pytest.mark.parametrize("seed", [0, 4, 6, 9, 12, 14, 15, 17, 19, 21])
def test_constants(seed: int, tmp_path: Path) -> None:
    prove(seed, "icarus", tmp_path / "project", "constants")


# Verilator compiles each for some seconds, so only a few.
@pytest.mark.parametrize("seed", [2, 7, 19, 23])
def test_verilator_agrees(seed: int, tmp_path: Path) -> None:
    need("verilator")
    prove(seed, "verilator", tmp_path / "project")
