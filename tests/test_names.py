"""Names in the emitted Verilog: all different, however the model's modules are called."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch
from external import need
from hostile import network
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import cnn2rtl
from cnn2rtl.names import DEVICES, KEYWORDS
from cnn2rtl.render.verilog import reserved

NETWORK = network()
NASTY = (
    "a", "A", "a_q", "A_Q_q", "a_fifo", "a_fifo_q", "a_frame", "a_to_b", "a to b", "b", "B", "b_q", "a_layer", "a_2",
    "a_constants", "a constants", "a_weights", "a_to_output", "a.b", "a_b", "a/b", "1", "layer_1", "x" * 200,
    "x" * 199 + "y", "x" * 100, "é", "layer", "pixels", "s_axis", "s0_axis", "s0_axis_frame", "m_axis", "m1_axis",
    "always", "Input", "let", "bool", "output", "con", "AUX", "nul", "clk", "rst", "unused", "frame_error", "dut",
    "testbench", "stream_fifo", "stream_check", "window_buffer", "cnn2rtl_pins", "net", "NET",
)  # fmt: skip


def names_and_top() -> st.SearchStrategy[tuple[list[str], str]]:
    """Names for all layers and inputs, and one for the network, which may be called as one of them."""
    name = st.sampled_from(NASTY) | st.text(min_size=1, max_size=8)
    return st.tuples(st.lists(name, min_size=NETWORK.size, max_size=NETWORK.size, unique=True), name)


def different(words: Iterable[str]) -> set[str]:
    """These, of which no two are the same where case is ignored."""
    every = [word.lower() for word in words]
    assert len(set(every)) == len(every), sorted(word for word in every if every.count(word) > 1)
    return set(every)


@given(names_and_top())
@example((["a", "a_fifo", "a_q", "A", "a_to_b", "b", "a_constants", "s0_axis_frame", "a_b"], "a"))
def test_no_two_names_meet(names_top: tuple[list[str], str]) -> None:
    design = NETWORK.laid_out(*names_top)
    made = [unit for module in design.modules for unit in module.units.values()]
    modules = [design.name, *(module.name for module in design.modules), *(set(made) - set(reserved()))]
    known = different(modules) | different(stream.name for stream in design.streams)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) and len(name) <= 110 for name in known)
    assert not known & {*KEYWORDS, *DEVICES, *reserved(), "testbench"}
    # Files, and what is called after streams at the top: wires behind FIFOs, and instances.
    different(f"{module.name}_{role}" for module in design.modules for role in module.block.roms)
    fifos = {fifo.name for fifo in design.fifos}
    different([*fifos, *(f"{fifo}_q" for fifo in fifos), *{stream.name for stream in design.streams} - fifos])
    ends = [end.port for end in (*design.sources, *design.sinks)]
    instances = [*(module.name for module in design.modules), *(f"{fifo}_fifo" for fifo in fifos)]
    different([*instances, *(f"{end}_frame" for end in ends), *ends, *(f"{name}_check" for name in known)])


@given(names_and_top())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example((["a", "a_fifo", "a_q", "A", "a_to_b", "b", "a_constants", "s0_axis_frame", "a_b"], "a"))
@example(([*NASTY[: NETWORK.size - 1], "let"], "let"))
def test_a_simulator_finds_nothing_twice(tmp_path: Path, names_top: tuple[list[str], str]) -> None:
    need("iverilog")
    with tempfile.TemporaryDirectory(dir=tmp_path) as name:
        folder = Path(name)
        paths = []
        for path, text in NETWORK.compiled(*names_top).rendered.items():
            if path.endswith(".v"):
                (folder / path).parent.mkdir(exist_ok=True)
                (folder / path).write_text(text)
                paths.append(path)
        different(paths)
        command = ["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-t", "null", "-s", "testbench", *paths]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr


def test_a_network_may_be_called_as_its_layer() -> None:
    design = NETWORK.laid_out(["image", "facts", "a", "b", "c", "d", "classifier", "e", "f"], "classifier")
    assert design.name == "classifier" and "classifier_layer" in {module.name for module in design.modules}


class Confusing(nn.Module):
    """Modules called as the FIFOs between them would be."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.a_to_b, self.pixels, self.a_q = (nn.Conv2d(2, 2, 1) for _ in range(5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(self.pixels(x))
        x = self.b(x) + self.a_to_b(x) + self.a_q(x)
        return x + x


def test_fifos_of_a_fork_have_names_of_their_own() -> None:
    torch.manual_seed(0)
    design = cnn2rtl.compile(Confusing().eval(), torch.rand(2, 2, 3, 3), name="confusing").design
    ends = [fifo.name for stream in design.streams if len(stream.fifos) > 1 for fifo in stream.fifos]
    assert ends == ["a_to_b_layer", "a_to_a_to_b", "a_to_a_q_layer", "add_2_to_add_3_0", "add_2_to_add_3_1"]
    wires = [f"{name}_q" for name in (stream.name for stream in design.streams)]
    names = [*wires, *(stream.name for stream in design.streams), *(f"{end}_q" for end in ends), *ends]
    assert len(set(names)) == len(names)
