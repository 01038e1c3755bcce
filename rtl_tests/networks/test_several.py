"""Several inputs and outputs: every value of every layer equal, in the predicted cycles, whatever stalls there are."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from external import need
from harness import Bench
from models import randomised
from onnx_reference import onnx_tensors, run_onnx
from several import NETWORKS, random_network
from torch import nn
from torch_reference import integer_tensors

from cnn2rtl.compiled import Compiled
from cnn2rtl.frontend import capture
from cnn2rtl.graph import FloatGraph
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.schedule import Target
from cnn2rtl.tensors import noise

SEEDS = int(os.environ.get("CNN2RTL_SEEDS", "16"))
FIRST = int(os.environ.get("CNN2RTL_FIRST_SEED", "0"))


def float_outputs(graph: FloatGraph, model: nn.Module, shapes: tuple[tuple[int, ...], ...]) -> None:
    """Every output of the float graph is what torch makes of it."""
    rng = torch.Generator().manual_seed(3)
    xs = [torch.randn(2, *shape, generator=rng, dtype=torch.float64) for shape in shapes]
    with torch.no_grad():
        made = copy.deepcopy(model).double()(*xs)
    wanted = list(made.values()) if isinstance(made, dict) else [made] if isinstance(made, torch.Tensor) else made
    batch = np.empty(2, [(name, np.float64, (h, w, c)) for name, (c, h, w) in graph.inputs.items()])
    for (name, (c, h, w)), x in zip(graph.inputs.items(), xs, strict=True):
        batch[name] = x.numpy().reshape(2, c, h, w).transpose(0, 2, 3, 1)
    tensors: dict[str, np.ndarray] = {}
    graph.forward(batch, lambda node, x: tensors.update({node.name: x}))
    assert len(graph.outputs) == len(wanted)
    for name, x in zip(graph.outputs, wanted, strict=True):
        found = tensors[name].transpose(0, 3, 1, 2).reshape(x.shape)
        np.testing.assert_allclose(found, x.numpy(), rtol=1e-4, atol=1e-4 * max(1e-9, float(x.abs().max())))


def prove(compiled: Compiled, folder: Path, seed: int) -> None:
    images = noise(compiled.graph.inputs, 3, seed + 1)
    bench = Bench(compiled, images, folder)
    assert bench.complaints((20 + seed % 60,), seed + 1) == []
    golden = compiled.golden_tensors(images)
    for name, codes in integer_tensors(compiled.graph, images).items():
        np.testing.assert_array_equal(golden[name], codes, err_msg=name)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("multipliers", [1, 9999])
def test_network_is_equal_to_golden(name: str, multipliers: int, tmp_path: Path) -> None:
    make, shapes = NETWORKS[name]
    model = randomised(make())
    graph = capture(model, shapes, "net")
    float_outputs(graph, model, shapes)
    target = Target(multipliers=max(multipliers, len(graph.nodes)))
    prove(compile_graph(graph, Options(target=target), noise(graph.inputs, 3)), tmp_path / "project", 5)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_random_networks(seed: int, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    model, shapes = random_network(seed)
    graph = capture(model, shapes, f"net{seed}")
    if len(shapes) > 1:
        float_outputs(graph, model, shapes)
    multipliers = len(graph.nodes) + seed % 7 * 6
    options = Options(scheme=("pow2", "scale")[seed % 2], target=Target(multipliers=multipliers))
    try:
        prove(compile_graph(graph, options, noise(graph.inputs, 3)), tmp_path / "project", seed)
    except AssertionError as error:
        command = f"CNN2RTL_FIRST_SEED={seed} CNN2RTL_SEEDS=1 python -m pytest rtl_tests/networks/test_several.py"
        raise AssertionError(f"{command}\n{error}") from None


@pytest.mark.parametrize("name", NETWORKS)
def test_the_emitted_cocotb_test_and_makefile(name: str, tmp_path: Path) -> None:
    make, shapes = NETWORKS[name]
    graph = capture(randomised(make()), shapes, "net")
    compile_graph(graph, Options(), None).write(tmp_path / "out")
    for command in (["make"], [sys.executable, "test_design.py"]):
        done = subprocess.run(command, cwd=tmp_path / "out" / "sim", capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "\nPASS net" in f"\n{done.stdout}", done.stdout + done.stderr


# Network, file, and what is replaced by what.
BROKEN = {
    "an output with another's data": ("heads", "rtl/net.v", "m1_axis_tdata  = boxes_q", "m1_axis_tdata  = fc_q"),
    "an output that may miss beats": ("heads", "rtl/net.v", " && stem_2_to_output_room;", ";"),
    "an output that ends too soon": ("heads", "rtl/net.v", "BEATS(64)) u_m1_axis_frame", "BEATS(63)) u_m1_axis_frame"),
    "a frame without an end": ("pyramid", "sim/testbench.v", ".s1_axis_tlast(s1_axis_tlast)", ".s1_axis_tlast(1'b0)"),
    "an input that is not there": ("pyramid", "rtl/net.v", "coarse_data  = s1_axis_tdata", "coarse_data  = 0"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_designs_are_caught(what: str, tmp_path: Path) -> None:
    name, path, old, new = BROKEN[what]
    make, shapes = NETWORKS[name]
    graph = capture(randomised(make()), shapes, "net")
    compiled = compile_graph(graph, Options())
    bench = Bench(compiled, noise(graph.inputs, 3), tmp_path / "project")
    text = (bench.folder / path).read_text()
    assert text.count(old) == 1, text
    (bench.folder / path).write_text(text.replace(old, new))
    assert bench.elsewhere(bench.folder).complaints((30, 60))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["heads", "pyramid"])
def test_verilator_agrees(name: str, tmp_path: Path) -> None:
    """Several outputs, and several inputs as well; it takes long to compile, so that the others are only linted."""
    need("verilator")
    make, shapes = NETWORKS[name]
    graph = capture(randomised(make()), shapes, "net")
    bench = Bench(compile_graph(graph, Options()), noise(graph.inputs, 2, 1), tmp_path / "project", "verilator")
    assert bench.complaints((40,)) == []


@pytest.mark.parametrize("name", NETWORKS)
def test_lint(name: str, tmp_path: Path) -> None:
    need("verilator")
    make, shapes = NETWORKS[name]
    compiled = compile_graph(capture(randomised(make()), shapes, "net"), Options())
    compiled.write(tmp_path / "project")
    sources = sorted((tmp_path / "project" / "rtl").glob("*.v"))
    command = ["verilator", "--lint-only", "-Wall", "--top-module", compiled.design.name, *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize("name", NETWORKS)
def test_the_exported_network(name: str) -> None:
    make, shapes = NETWORKS[name]
    graph = capture(randomised(make()), shapes, "net")
    compiled = compile_graph(graph, Options(), None)
    images = noise(graph.inputs, 3, 2)
    golden = compiled.golden_tensors(images)
    for layer, codes in onnx_tensors(compiled.graph, images).items():
        np.testing.assert_array_equal(codes, golden[layer], err_msg=layer)
    assert list(run_onnx(compiled.onnx(), images)) == list(dict.fromkeys(compiled.graph.outputs))
