"""The golden model against an independent integer computation in torch, on the random networks and more of them."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from generator import images_for, random_case
from torch_reference import integer_tensors

FIRST = int(os.environ.get("CNN2RTL_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("CNN2RTL_SEEDS", "80"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_golden_equals_torch(seed: int) -> None:
    torch.set_num_threads(1)
    case = random_case(seed)
    compiled = case.compile()
    images = images_for(case.shape, seed + 2, 2)
    expected = integer_tensors(compiled.graph, images)
    for name, codes in compiled.golden_tensors(images).items():
        np.testing.assert_array_equal(codes, expected[name], err_msg=f"{case}\n{name}")
