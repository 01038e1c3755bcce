"""``cnn2rtl compress separable``: shapes stay, the nearest pair is found, and what is lost is told."""

from __future__ import annotations

import shlex
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from command_line import mistakes, succeed
from models import randomised
from torch import nn

from cnn2rtl import zoo
from cnn2rtl.compress.modules import read_module, write_module
from cnn2rtl.compress.separable import choose, make_separable
from cnn2rtl.errors import UserError

OWN = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        self.body = nn.ModuleDict({"wide": nn.Conv2d(4, 6, 5, padding=2)})

    def forward(self, x):
        return self.body["wide"](self.stem(x).relu()).mean((2, 3))
"""


def layers(**settings: object) -> nn.Sequential:
    """Two convolutions of 3 and 4 channels, the second one with ``settings``."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, **{"kernel_size": 3, **settings})  # type: ignore[arg-type]
    return nn.Sequential(first, nn.ReLU(), second)


def composed(pair: nn.Module) -> torch.Tensor:
    """The weights of the one convolution that a pair is."""
    depthwise, pointwise = pair.get_submodule("depthwise"), pair.get_submodule("pointwise")
    assert isinstance(depthwise, nn.Conv2d) and isinstance(pointwise, nn.Conv2d)
    return pointwise.weight * depthwise.weight.transpose(0, 1)


@pytest.mark.parametrize(
    "settings",
    [
        {"stride": 2, "padding": 1},
        {"padding": "same", "dilation": 2},
        {"kernel_size": (1, 3), "stride": (1, 2), "padding": (0, 1), "bias": False},
        {"kernel_size": 4, "padding": 2, "padding_mode": "circular"},
    ],
)
def test_a_pair_computes_the_convolution_that_it_is(settings: dict[str, object]) -> None:
    network = layers(**settings)
    conv = network[2]
    assert isinstance(conv, nn.Conv2d)
    images = torch.rand(2, 3, 9, 8)
    shape = network(images).shape
    lost = make_separable(network, ["2"])
    difference = (composed(network[2]) - conv.weight).norm() / conv.weight.norm()
    assert lost == {"2": pytest.approx(difference.item(), rel=1e-4)} and 0 < lost["2"] < 1
    assert (network[2].pointwise.bias is None) == (conv.bias is None)
    out = network(images)
    assert out.shape == shape
    with torch.no_grad():
        conv.weight.copy_(composed(network[2]))
    torch.testing.assert_close(out, conv(network[1](network[0](images))), rtol=1e-4, atol=1e-5)


def test_weights_of_rank_one_lose_nothing() -> None:
    network = layers(padding=1)
    with torch.no_grad():
        network[2].weight.copy_(torch.randn(5, 4, 1, 1) * torch.randn(1, 4, 3, 3))
        network[0].weight.zero_()
    images = torch.rand(1, 3, 6, 6)
    expected = network(images)
    lost = make_separable(network, ["0", "2"])
    assert lost == {"0": 0.0, "2": pytest.approx(0, abs=1e-6)}
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)


def test_no_other_pair_is_nearer() -> None:
    network = layers()
    weight = network[2].weight.detach()
    make_separable(network, ["2"])
    pair = network[2]
    best = (composed(pair) - weight).square().sum()
    # At the least error its derivative is zero, and no step in any direction leads below it.
    best.backward()
    assert all(p.grad.abs().max() < 1e-4 for p in pair.parameters() if p.grad is not None)
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        with torch.no_grad():
            steps = [0.01 * torch.randn(p.shape, generator=generator) for p in pair.parameters()]
            for p, step in zip(pair.parameters(), steps, strict=True):
                p.add_(step)
            assert (composed(pair) - weight).square().sum() >= best
            for p, step in zip(pair.parameters(), steps, strict=True):
                p.sub_(step)


def test_a_layer_used_twice_stays_one(tmp_path: Path) -> None:
    twice = nn.Conv2d(4, 4, 3, padding=1)
    network = nn.Sequential(OrderedDict(stem=nn.Conv2d(1, 4, 1), a=twice, b=twice))
    names = choose(network)
    assert names == ["a", "b"]
    make_separable(network, names)
    assert network.a is network.b and sum(p.numel() for p in network.parameters()) == 8 + 36 + 16 + 4
    write_module(network, tmp_path / "net.pt")
    again = read_module(tmp_path / "net.pt")
    images = torch.rand(1, 1, 5, 5)
    assert torch.equal(again(images), network(images))


def test_what_is_chosen() -> None:
    assert choose(zoo.standard_cnn(0.1, 32)) == ["cnn.1.0", "cnn.2.0", "cnn.3.0", "cnn.4.0"]
    assert choose(zoo.standard_cnn(0.1, 32), ["cnn.2.0", "cnn.0.0"]) == ["cnn.0.0", "cnn.2.0"]
    # All the others are separable already.
    with pytest.raises(UserError, match=r"beside its first one; `layers=cnn\.0\.0` rewrites that"):
        choose(zoo.student_net())
    with pytest.raises(UserError, match=r"has no standard convolution with kernels to rewrite$"):
        choose(nn.Conv2d(3, 4, 3))


def test_command_on_a_network_of_the_zoo(tmp_path: Path) -> None:
    write_module(randomised(zoo.standard_cnn(0.1, 32)), tmp_path / "wide.pt")
    text = succeed("compress", "separable", "wide.pt", "--input", "3x32x32", "-o", "small.pt", cwd=tmp_path)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
    small = read_module(tmp_path / "small.pt")
    parameters, macs = [int(cell.replace(",", "")) for cell in rows["network"][1::2]]
    assert parameters == sum(p.numel() for p in small.parameters())
    assert rows["cnn.1.0"][:4] == ["715", "145", "179,712", "33,792"]
    assert 20 < float(rows["cnn.1.0"][4].rstrip("%")) < 100
    assert text.splitlines()[-1] == "small.pt: next, cnn2rtl generate small.pt --input 3x32x32"
    inspected = succeed("inspect", "small.pt", "--input", "3x32x32", cwd=tmp_path)
    assert f"{macs:,}" in inspected and "cnn.4.0.pointwise" in inspected


def test_command_on_an_own_class(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    arguments = ("own.py:Net", "--input", "1x8x8", "--init", "random", "--seed", "3")
    text = succeed("compress", "separable", *arguments, "-o", "pair.pt", cwd=tmp_path)
    row = next(line for line in text.splitlines() if line.startswith("body.wide"))
    assert row.split() == ["body.wide", "606", "130", "21,600", "4,464"]
    command = "cnn2rtl generate pair.pt --arch own.py:Net --input 1x8x8"
    assert text.splitlines()[-1] == f"pair.pt: next, {command}"
    assert "pair_rtl: pair, 4 layers" in succeed(*shlex.split(command)[1:], cwd=tmp_path)
    succeed("compress", "separable", *arguments, "-o", "again.pt", cwd=tmp_path)
    assert (tmp_path / "pair.pt").read_bytes() == (tmp_path / "again.pt").read_bytes()


def test_mistakes_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "there.pt").touch()
    wrong = ("--layer", "cnn.1.0", "--layer", "cnn.0.1", "--layer", "cnn.1.3", "--layer", "no")
    command = ("compress", "separable", "zoo:student_net", *wrong)
    expected = "; a standard convolution with kernels is expected"
    # What is wrong whatever the network is told before it is read.
    assert mistakes(*command, "--input", "3x16x16", "-o", "there.pt", cwd=tmp_path) == [
        "there.pt: exists; choose another name, or give --force to replace it",
    ]
    assert mistakes(*command, "--input", "3x16x16", "-o", "a.pt", cwd=tmp_path) == [
        f"--layer cnn.1.0: has 16 groups{expected}",
        f"--layer cnn.0.1: is a BatchNorm2d{expected}",
        f"--layer cnn.1.3: has kernels of one pixel{expected}",
        "--layer no: the network has no such layer; those with kernels are cnn.0.0",
    ]
    assert mistakes(*command, "-o", "a.npz", cwd=tmp_path) == [
        "-o a.npz: a name that ends with .pt is expected",
        "zoo:student_net: does not tell its input's size; say it with --input, like --input 3x128x128",
    ]
