"""Trainable networks in files, and those of the zoo: what is written is read back, and what cannot be is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import mistakes, succeed
from models import StudentNet, need_data, randomised
from torch import nn

from cnn2rtl import zoo
from cnn2rtl.compress.files import check_module_file
from cnn2rtl.compress.modules import needs_arch, read_module, write_module
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture, load_model
from cnn2rtl.frontend.structure import replace_layer, separable

OWN = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.grouped = nn.Conv2d(8, 4, 1, groups=2)
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        return self.fc(self.grouped(self.depthwise(self.norm(self.conv(x)).relu())).mean((2, 3)))
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(OWN)
    return f"{tmp_path / 'own.py'}:Net"


def same(one: nn.Module, other: nn.Module, shape: tuple[int, int, int]) -> bool:
    """Whether both compute the same, to the bit, and have state of the same names."""
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return torch.equal(one.eval()(x), other.eval()(x)) and list(one.state_dict()) == list(other.state_dict())


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments)
    return str(caught.value)


# ------------------------------------------------------------------------------------------------------------- zoo


def test_student_net_is_the_reference_network() -> None:
    student, reference = zoo.student_net(), randomised(StudentNet())
    student.load_state_dict(reference.state_dict())
    assert same(student, reference, (3, 32, 32))
    weights = need_data("studentnet/student_custom_small.bin")
    student.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("standard_cnn", 12_833_803),
        ("student_net", 256_779),
        ("student_net,widths=16-32-64-99-198-198-198-256", 171_606),
        # The paper's own 4.2 million, to the digit.
        ("mobilenet_v1,classes=1000,size=224", 4_231_976),
    ],
)
def test_zoo_networks_have_the_parameters_that_are_told_of_them(name: str, parameters: int) -> None:
    network = zoo.build(f"zoo:{name}")
    assert sum(p.numel() for p in network.parameters()) == parameters and not needs_arch(network)


@pytest.mark.parametrize("name", sorted(zoo.ZOO))
@pytest.mark.parametrize("size", [32, 45])
def test_zoo_networks_are_captured(name: str, size: int) -> None:
    arguments = "" if name == "student_net" else f",size={size}"
    width = {"mobilenet_v1": "alpha=0.1", "standard_cnn": "width=0.05", "student_net": "widths=3-4-5-1"}[name]
    network = zoo.build(f"zoo:{name},{width},channels=1,classes=7{arguments}")
    assert capture(network, (1, size, size), name).classes == 7


def test_mobilenet_keeps_pixels_of_small_images() -> None:
    strides = {
        size: [m.stride[0] for m in zoo.mobilenet_v1(0.1, size).modules() if isinstance(m, nn.Conv2d)].count(2)
        for size in (224, 128, 127, 32, 16, 1)
    }
    assert strides == {224: 5, 128: 5, 127: 4, 32: 3, 16: 2, 1: 0}


def test_seeds_decide_the_weights_and_nothing_else_changes() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    a, b, c = (read_module(Path("zoo:student_net"), seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected)
    assert same(a, b, (3, 16, 16)) and not same(a, c, (3, 16, 16))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("zoo:lenet", "there is no such network in the zoo; it has mobilenet_v1, standard_cnn, student_net"),
        ("zoo:student_net,size=3", "student_net has no `size`; it has widths, channels, classes"),
        ("zoo:student_net,classes=", "classes=: more than nothing is expected, like classes=11"),
        ("zoo:student_net,widths=8-0", "widths=8-0: more than nothing is expected, like widths=16-32-64-128-256-256-"),
        ("zoo:student_net,widths=8", "widths=8: at least two are needed"),
        ("zoo:standard_cnn,width=nan", "width=nan: more than nothing is expected, like width=1.0"),
        ("zoo:standard_cnn,size=31", "size=31: five poolings leave nothing of it; at least 32 is needed"),
        ("zoo:standard_cnn,width=1e300", "such a network does not fit into memory"),
    ],
)
def test_what_is_not_in_the_zoo(text: str, problem: str) -> None:
    assert refusal(load_model, text).startswith(f"{text}: {problem}")


def test_zoo_on_the_command_line(tmp_path: Path) -> None:
    text = succeed("generate", "zoo:student_net,widths=2-3,classes=2", "--input", "3x16x16", cwd=tmp_path)
    assert "student_net_rtl: student_net, " in text
    assert mistakes("inspect", "zoo:student_net", "--arch", "a.py:B", "--input", "3x16x16", cwd=tmp_path) == [
        "zoo:student_net: is a network, not a file of weights; leave out --arch a.py:B"
    ]


# ----------------------------------------------------------------------------------------------------------- files


def test_a_network_of_torch_layers_is_written_whole(tmp_path: Path) -> None:
    network = randomised(zoo.student_net((4, 6, 8), classes=3))
    replace_layer(network, "cnn.0.0", separable(network.get_submodule("cnn.0.0")))
    write_module(network, tmp_path / "net.pt")
    assert same(read_module(tmp_path / "net.pt"), network, (3, 16, 16))


@pytest.mark.parametrize("weights", ["random", "half"])
def test_an_own_class_is_read_back_with_its_edits(tmp_path: Path, own: str, weights: str) -> None:
    network = read_module(Path(own))
    assert needs_arch(network)
    replace_layer(network, "conv", separable(network.get_submodule("conv")))
    # Widths change as pruning changes them: 8 channels become 6, 4 become 2.
    pair = network.get_submodule("conv")
    pair.pointwise = nn.Conv2d(3, 6, 1)
    network.norm, network.depthwise = nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3, groups=6)
    network.grouped, network.fc = nn.Conv2d(6, 2, 1, groups=2), nn.Linear(2, 5)
    if weights == "half":
        network = network.half().float()
    write_module(network, tmp_path / "net.pt")
    again = read_module(tmp_path / "net.pt", own)
    assert same(again, network, (3, 9, 9))
    assert "holds weights without a network" in refusal(read_module, tmp_path / "net.pt")
    told = [str(m) for m in network.modules()], [str(m) for m in again.modules()]
    assert told[0] == told[1]
    # Written once more, all is still there.
    write_module(again, tmp_path / "more.pt")
    assert same(read_module(tmp_path / "more.pt", own), network, (3, 9, 9))
    assert capture(load_model(tmp_path / "more.pt", own), (3, 9, 9), "net").classes == 5


@pytest.mark.parametrize(
    ("edits", "problem"),
    [
        (3, "what it says of the network's structure is damaged"),
        ({"separable": []}, "what it says of the network's structure is damaged"),
        ({"separable": [], "groups": {"conv": 0}}, "what it says of the network's structure is damaged"),
        ({"separable": [], "groups": {"conv": 3}}, "`conv` has 8 channels in 3 groups: damaged"),
        ({"separable": ["norm"], "groups": {}}, "`norm` is separable, but "),
        ({"separable": ["none"], "groups": {}}, "`none` is separable, but "),
        ({"separable": ["conv"], "groups": {}}, "weights that "),
    ],
)
def test_edits_that_are_none(tmp_path: Path, own: str, edits: object, problem: str) -> None:
    file = tmp_path / "net.pt"
    torch.save({"state_dict": read_module(Path(own)).state_dict(), "cnn2rtl": edits}, file)
    assert refusal(read_module, file, own).startswith(f"{file}: {problem}")


def test_kernels_are_not_adopted(tmp_path: Path, own: str) -> None:
    network = read_module(Path(own))
    network.conv = nn.Conv2d(3, 8, 5, stride=2, padding=1)
    write_module(network, tmp_path / "net.pt")
    assert f"`conv.weight` is 8x3x5x5, but {own} has 8x3x3x3" in refusal(read_module, tmp_path / "net.pt", own)


def test_files_that_cannot_be_trained(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 1))
    torch.export.save(torch.export.export(network, (torch.zeros(1, 3, 4, 4),)), tmp_path / "a.pt2")
    kinds = {"a.pt2": "a torch.export archive", "b.onnx": "ONNX", "c.npz": "a network that has its integers already"}
    for name, kind in kinds.items():
        file = tmp_path / name
        file.touch()
        expected = f"{file}: holds {kind}, which cannot be trained; give the network that it was made from: "
        assert refusal(read_module, file).startswith(expected)
    for name in ("d.pt", "d.npz", "d.onnx"):
        assert refusal(read_module, tmp_path / name).endswith(f"{name}: no such file")
    missing = tmp_path / "e.py"
    assert refusal(read_module, tmp_path / "e.py:Net") == f"`model=`: {missing}: no such file"


def test_half_precision_is_read_as_float(tmp_path: Path) -> None:
    torch.save(nn.Sequential(nn.Conv2d(3, 2, 1)).half(), tmp_path / "half.pt")
    assert {p.dtype for p in read_module(tmp_path / "half.pt").parameters()} == {torch.float32}


def test_no_file_is_lost(tmp_path: Path) -> None:
    file, network = tmp_path / "net.pt", nn.Sequential(nn.Conv2d(3, 2, 1))
    file.write_bytes(b"mine")
    assert (
        refusal(write_module, network, file)
        == f"{file}: exists; choose another name, or give `force=True` to replace it"
    )
    assert refusal(check_module_file, tmp_path / "net.npz").endswith("a name that ends with .pt is expected")
    assert file.read_bytes() == b"mine"
    write_module(network, file, force=True)
    before = file.read_bytes()
    write_module(network, file, force=True)
    assert file.read_bytes() == before and same(read_module(file), network, (3, 2, 2))
