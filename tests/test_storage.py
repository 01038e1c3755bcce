"""``compress storage``: smaller files, which are read like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from bars import small_net
from command_line import mistakes, succeed
from torch import nn

from cnn2rtl.compress.modules import module_bytes, read_module, write_module
from cnn2rtl.compress.prune import without
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import load_model
from cnn2rtl.frontend.storage import MODULE, RANGES, STATE, packed, restored

OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Linear(6, 3)
        self.register_buffer("mask", torch.tensor([1, 0], dtype=torch.uint8))

    def forward(self, x):
        return self.fc(self.norm(self.conv(x)).relu().mean((2, 3)))
"""


def test_eight_bits_are_off_by_half_a_step_at_most() -> None:
    module = small_net()
    module[4].weight.data[0] = 7.0
    module[1].bias.data.fill_(0.25)
    back = restored(packed(module), Path("x"))
    assert isinstance(back, nn.Module) and repr(back) == repr(module)
    for (name, tensor), found in zip(module.state_dict().items(), back.state_dict().values(), strict=True):
        step = float(tensor.max() - tensor.min()) / 255 if tensor.ndim else 0.0
        assert found.dtype == tensor.dtype and float((found - tensor).abs().max()) <= 0.501 * step, name
        assert (found.min(), found.max()) == (pytest.approx(tensor.min()), pytest.approx(tensor.max()))
    assert all(parameter.requires_grad for parameter in back.parameters())
    # Nothing is lost any more when it is stored once again.
    twice = restored(packed(back), Path("x"))
    assert isinstance(twice, nn.Module)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(back.parameters(), twice.parameters(), strict=True))


def test_the_command_line_from_a_network_to_its_hardware(tmp_path: Path) -> None:
    write_module(small_net(width=40), tmp_path / "net.pt")
    size = (tmp_path / "net.pt").stat().st_size
    text = succeed("compress", "storage", "net.pt", cwd=tmp_path)
    stored = (tmp_path / "net_int8.pt").stat().st_size
    assert stored < 0.4 * size
    assert text == (
        f"net_int8.pt: {stored:,} bytes, {stored / size:.0%} of the {size:,} in float32; it is read like any network, "
        "and computes in float\n"
    )
    succeed("compress", "storage", "net.pt", "--format", "float16", "-o", "half.pt", cwd=tmp_path)
    assert (tmp_path / "half.pt").stat().st_size < 0.6 * size
    for name in ("net_int8.pt", "half.pt"):
        assert all(p.dtype == torch.float32 for p in read_module(tmp_path / name).parameters())
        assert "linear" in succeed("inspect", name, "--input", "1x8x8", cwd=tmp_path)
    succeed("generate", "net_int8.pt", "--input", "1x8x8", "-o", "out", cwd=tmp_path)
    assert mistakes("compress", "storage", "net.pt", cwd=tmp_path) == [
        "net_int8.pt: exists; choose another name, or give --force to replace it"
    ]
    assert mistakes("compress", "storage", "none.pt", "-o", "a.npz", cwd=tmp_path) == [
        "-o a.npz: a name that ends with .pt is expected",
        "none.pt: no such file",
    ]


@pytest.mark.parametrize("storage", ["int8", "float16"])
def test_pruned_networks_of_one_s_own_classes(storage: Any, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    arch = f"{tmp_path / 'own.py'}:Net"
    whole = read_module(Path(arch))
    pruned = without(whole, (1, 8, 8), {"conv": [0, 2, 5]})
    (tmp_path / "x.pt").write_bytes(module_bytes(pruned, storage))
    back = load_model(tmp_path / "x.pt", arch)
    assert isinstance(back, nn.Module)
    for name, tensor in pruned.state_dict().items():
        found = back.state_dict()[name]
        assert found.dtype == tensor.dtype and torch.allclose(found.float(), tensor.float(), atol=0.01), name
    assert "--arch" in succeed("compress", "storage", "x.pt", "--arch", arch, "-o", "y.pt", cwd=tmp_path)


def test_what_is_too_large_for_sixteen_bits(tmp_path: Path) -> None:
    module = small_net()
    module[1].running_var[2] = 1e6
    torch.save(module, tmp_path / "net.pt")
    assert mistakes("compress", "storage", "net.pt", "--format", "float16", cwd=tmp_path) == [
        "`1.running_var`: has values beyond 65504, the largest of float16; int8 takes any"
    ]


@pytest.mark.parametrize(
    "damage",
    [
        {RANGES: {"0.weight": 3}},
        {RANGES: {"0.weight": (0.0, None)}},
        {RANGES: 7},
        {MODULE: torch.zeros(3)},
        {STATE: 5, MODULE: None},
    ],
)
def test_damaged(damage: dict[str, Any], tmp_path: Path) -> None:
    torch.save({**packed(small_net()), **damage}, tmp_path / "x.pt")
    with pytest.raises(UserError, match=r"x\.pt: what it says of its numbers' ranges is damaged"):
        load_model(tmp_path / "x.pt")


def test_ranges_that_are_no_numbers(tmp_path: Path) -> None:
    content = packed(small_net())
    content[RANGES]["0.weight"] = (0.0, float("inf"))
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(UserError, match=r"`0\.weight`: .* values are NaN or infinite"):
        load_model(tmp_path / "x.pt")
