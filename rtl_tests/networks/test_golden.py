"""The golden model against independent integer computations, on the random networks and more of them.

One is made of torch, the other is the exported network in onnxruntime.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from generator import Case, random_case, with_numbers
from onnx_reference import onnx_tensors
from torch_reference import integer_tensors

FIRST = int(os.environ.get("CNN2RTL_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("CNN2RTL_SEEDS", "80"))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_golden_equals_torch_and_onnxruntime(seed: int) -> None:
    check(random_case(seed))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS // 2))
def test_on_numbers_that_are_no_pictures(seed: int) -> None:
    check(with_numbers(random_case(seed, branches=seed % 3 == 0)))


def check(case: Case) -> None:
    torch.set_num_threads(1)
    compiled = case.compile()
    images = case.frames(case.seed + 2, 2)
    golden = compiled.golden_tensors(images)
    for other in (integer_tensors, onnx_tensors):
        for name, codes in other(compiled.graph, images).items():
            np.testing.assert_array_equal(golden[name], codes, err_msg=f"{case}\n{name}: {other.__name__}")
