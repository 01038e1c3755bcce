"""The networks of ``examples/networks``, random weights: every value of every layer equal, in the predicted cycles.

Verilator compiles the largest ones for minutes, so they are left out unless CNN2RTL_LARGE=1 asks for them, as
``make soak`` does.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from external import need
from generator import images_for
from harness import Bench
from models import randomised
from networks import NETWORKS

from cnn2rtl.frontend import capture
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.schedule import Target

LARGE = {"MobileNetV1, alpha 0.25", "MobileNetV2, width 0.25"}


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("name", NETWORKS)
def test_example_is_equal_to_golden_in_the_predicted_time(name: str, tmp_path: Path) -> None:
    need("verilator")
    if name in LARGE and os.environ.get("CNN2RTL_LARGE") != "1":
        pytest.skip("takes minutes to compile; CNN2RTL_LARGE=1 runs it")
    torch.set_num_threads(1)
    network = NETWORKS[name]
    torch.manual_seed(0)
    graph = capture(randomised(network.build()), network.shape, "net")
    options = Options(target=Target(multipliers=network.multipliers))
    shape = graph.inputs["input"]
    compiled = compile_graph(graph, options, images_for(shape, 0, 2))
    bench = Bench(compiled, images_for(shape, 1, 2), tmp_path / "project", "verilator")
    assert bench.complaints((30,)) == []
