"""Counts: those of the reference networks are known to the digit, and torch's own layers bear the others out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from command_line import mistakes, succeed
from torch import nn

from cnn2rtl import counting, zoo
from cnn2rtl.counting import Count
from cnn2rtl.frontend import capture
from cnn2rtl.passes import as_trained

PRUNED = "student_net,widths=16-32-64-99-198-198-198-256"


@pytest.mark.parametrize(
    ("name", "parameters", "macs", "like_study", "millions"),
    [
        ("standard_cnn", 12_833_803, 1_094_194_688, 1_100_191_232, "1100.19M"),
        ("student_net", 256_779, 29_600_512, 31_214_592, "31.21M"),
        (PRUNED, 171_606, 23_845_056, 25_401_600, "25.40M"),
    ],
)
def test_figures_of_the_study(
    tmp_path: Path, name: str, parameters: int, macs: int, like_study: int, millions: str
) -> None:
    arguments = ("inspect", f"zoo:{name}", "--input", "3x128x128", "--count-like-study")
    lines = succeed(*arguments, cwd=tmp_path).splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    weights = sum(p.numel() for n, p in zoo.build(name).named_parameters() if p.ndim > 1)
    numbers = (parameters, macs, 2 * macs, 8 * weights, like_study)
    assert rows["total"] == [f"{number:,}" for number in numbers]
    assert rows["cnn.0.1"][0] == "affine" and int(rows["cnn.0.1"][2].replace(",", "")) > 0
    assert lines[-2].startswith(f"{parameters:,} parameters in the model, ")
    assert lines[-1] == f"{like_study:,} operations ({millions}) as the study counted: neither MACs nor FLOPs"


def test_the_papers_count_of_mobilenet() -> None:
    graph = capture(zoo.mobilenet_v1(size=224, classes=1000), (3, 224, 224), "mobilenet")
    found = counting.total(graph)
    # 4.2 million parameters and 569 million MACs, as the paper has it.
    assert (found.parameters, found.macs, found.flops) == (4_231_976, 568_740_352, 1_137_480_704)


def counted_by_torch(network: nn.Module, shape: tuple[int, int, int]) -> Count:
    """The same from the layers themselves, while the network runs."""
    found = [Count(sum(p.numel() for p in network.parameters()))]

    def add(layer: nn.Module, _: object, out: torch.Tensor) -> None:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            macs = out.numel() * layer.weight[0].numel()
            biased = layer.bias is not None and isinstance(layer, nn.Conv2d)
            found.append(Count(0, layer.weight.numel(), macs, macs + biased * out.numel()))
        elif isinstance(layer, nn.BatchNorm2d):
            found.append(Count(like_study=2 * out.numel()))

    for layer in network.modules():
        layer.register_forward_hook(add)
    network.eval()(torch.zeros(1, *shape))
    return sum(found, Count())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_counts_are_those_of_the_layers(bias: bool, affine: bool) -> None:
    network = nn.Sequential(
        nn.BatchNorm2d(1, affine=affine),
        nn.Conv2d(1, 6, (3, 2), stride=2, bias=bias),
        nn.BatchNorm2d(6, affine=affine),
        nn.ReLU(),
        nn.Dropout(),
        nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=bias),
        nn.Conv2d(6, 4, 1, groups=2, bias=bias),
        nn.BatchNorm2d(4, affine=affine),
        nn.BatchNorm2d(4, affine=affine),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 2 * 2, 1, bias=bias),
    )
    graph = capture(network, (1, 9, 9), "net")
    assert counting.total(graph) == counted_by_torch(network, (1, 9, 9))
    assert [node.name for node in as_trained(graph).nodes] == ["input", *"0 1 2 5 6 7 8 9 11".split()]


def test_one_pixel() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.AdaptiveAvgPool2d(1))
    found = counting.total(capture(network, (1, 1, 1), "net"))
    assert found == Count(2, 1, 1, 1 + 1 + 2) and found.weight_bits(3) == 3


def test_inspect_shows_hardware_unless_asked(tmp_path: Path) -> None:
    torch.save(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()), tmp_path / "net.pt")
    arguments = ("inspect", "net.pt", "--input", "3x4x4")
    hardware, trained = (succeed(*arguments, *more, cwd=tmp_path) for more in ((), ("--as-trained",)))
    # The folded layer has a bias.
    assert hardware.splitlines()[2].split() == ["0", "conv2d", "4x2x2", "112", "432", "864", "864"]
    assert trained.splitlines()[2].split() == ["0", "conv2d", "4x2x2", "108", "432", "864", "864"]
    assert trained.splitlines()[3].split() == ["1", "affine", "4x2x2", "8", "0", "0", "0"]
    line = "116 parameters in the model, 112 with BatchNorm folded; 1 MAC = 1 multiply-accumulate = 2 FLOPs; "
    assert all(text.splitlines()[-1].startswith(line) for text in (hardware, trained))
    assert mistakes(*arguments, "--bits", "17", cwd=tmp_path) == ["--bits 17: widths run from 2 to 16 bits"]
