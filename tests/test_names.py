"""Names in the emitted Verilog: all different, however the model's modules are called."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import cnn2rtl
from cnn2rtl.names import unique_identifiers


def test_a_stream_behind_its_fifo_has_a_name_of_its_own() -> None:
    names = unique_identifiers(["a", "a_q", "A_Q_q", "b_q", "b"], ["taken"])
    wires = [wire.lower() for name in names.values() for wire in (name, f"{name}_q")]
    assert len(set(wires)) == len(wires)
    assert names["a"] == "a" and names["b_q"] == "b_q"


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
