"""The float graph computes what PyTorch computes, or the user is told in one go why it cannot."""

from __future__ import annotations

import io
from collections.abc import Callable
from math import prod

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from models import StudentNet, randomised
from torch import Tensor, nn

from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture
from cnn2rtl.frontend.call import Call, Map, Refused
from cnn2rtl.frontend.converters import CONVERTERS
from cnn2rtl.graph import FloatGraph
from cnn2rtl.ops import Affine, AvgPool2d, Conv2d, Identity, Linear
from cnn2rtl.tensors import Clamp, Shape


def as_images(batch: np.ndarray) -> np.ndarray:
    """(n, c, h, w), (n, c, length) or (n, features) as (n, h, w, c)."""
    rows = batch[:, :, None] if batch.ndim == 3 else batch.reshape(*batch.shape, *(1,) * (4 - batch.ndim))
    return rows.transpose(0, 2, 3, 1)


def assert_equal(graph: FloatGraph, model: nn.Module, shape: tuple[int, ...], seed: int = 1) -> None:
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    with torch.no_grad():
        expected = model.double()(x).numpy()
    actual = graph.restored[0].of([graph.forward(as_images(x.numpy()))])
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


class Functional(nn.Module):
    """Everything that a forward function can write without a module."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.fc = nn.Linear(6 * 4, 5)
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / 0.25 * 2 + torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)
        x = F.relu6(self.bn(self.conv(1 - x)), inplace=True)
        x = F.avg_pool2d(F.max_pool2d(x, 2), (2, 2))
        x = torch.clamp(F.hardtanh(x, 0.5, 3.0).contiguous(), max=2.5).clamp_min(0.6)
        x = F.dropout(x, 0.5, self.training).detach()
        return F.relu(self.fc(x.view(x.size(0), -1)).clone())


class Twice(nn.Module):
    """One module called twice, and a tensor with two readers."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.conv(self.act(self.conv(x))))
        return out


class Branches(nn.Module):
    """Sums and differences of maps, with and without a factor; the input skips a layer; one map has three readers."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)
        self.bn, self.last = nn.BatchNorm2d(9), nn.Conv2d(9, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        left = F.relu(self.left(x) + x)
        right = torch.sub(self.right(left), left, alpha=0.5)
        joined = torch.cat([left, right, left + left], dim=-3)
        out: Tensor = self.last(F.relu(self.bn(joined)))
        return out


class Pruned(nn.Module):
    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))
        self.register_buffer("mask", (torch.rand(4, 3, 3, 3) > 0.5).float())

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask)


class Lambda(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor], *modules: nn.Module) -> None:
        super().__init__()
        self.function, self.inner = function, nn.Sequential(*modules)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.inner(x))


def PerChannel() -> nn.Module:  # noqa: N802 - as a layer
    layer = nn.PReLU(3)
    nn.init.uniform_(layer.weight, -1, 1)
    return layer


def flat(*tail: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.Flatten(), *tail)


def shuffled_among_images(x: Tensor) -> Tensor:
    """As ShuffleNet V2 was published: channels change places while images and channels are one dimension."""
    n, c, h, w = x.shape
    x = x.reshape(n * c // 2, 2, h * w).permute(1, 0, 2).reshape(2, -1, c // 2, h, w)
    return torch.cat([x[1], F.relu(x[0])], 1)


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "student": (StudentNet, (3, 16, 16)),
    "pruned student": (lambda: StudentNet((16, 32, 64, 99, 198, 198, 198, 256)), (3, 16, 16)),
    "conv alone": (lambda: nn.Conv2d(3, 5, 3), (3, 7, 9)),
    "stride, padding": (lambda: nn.Conv2d(3, 5, (3, 5), stride=(2, 3), padding=(1, 2)), (3, 11, 13)),
    "same, even kernel": (lambda: nn.Conv2d(3, 5, (4, 2), padding="same"), (3, 7, 9)),
    "valid": (lambda: nn.Conv2d(3, 5, 3, padding="valid", bias=False), (3, 7, 9)),
    "grouped": (lambda: nn.Conv2d(6, 9, 3, padding=1, groups=3), (6, 7, 9)),
    "depthwise multiplier": (lambda: nn.Conv2d(4, 8, 3, groups=4), (4, 7, 9)),
    "conv, BN, ReLU": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()), (3, 8, 8)),
    "BN first": (lambda: nn.Sequential(nn.BatchNorm2d(3, eps=0.1), nn.Conv2d(3, 4, 3, padding=1)), (3, 8, 8)),
    "BN without affine": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, affine=False)), (3, 8, 8)),
    "BN1d": (lambda: flat(nn.Linear(36, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)), (3, 8, 8)),
    "hardtanh": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Hardtanh(-0.3, 0.4)), (3, 8, 8)),
    "max pool": (lambda: nn.MaxPool2d((3, 2), stride=2, padding=(1, 0)), (3, 9, 8)),
    "max pool, harmless ceil": (lambda: nn.MaxPool2d(2, ceil_mode=True), (3, 8, 8)),
    "avg pool": (lambda: nn.AvgPool2d(3, stride=2, padding=1), (3, 9, 8)),
    "avg pool, no pad": (lambda: nn.AvgPool2d(2, count_include_pad=False), (3, 8, 8)),
    "adaptive": (lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1)), (3, 5, 7)),
    "adaptive, dividing": (lambda: nn.AdaptiveAvgPool2d((3, 2)), (3, 6, 8)),
    "dilated": (lambda: nn.Conv2d(3, 5, (3, 2), dilation=(2, 3), padding=(1, 2)), (3, 8, 9)),
    "dilated, same": (lambda: nn.Conv2d(3, 6, (2, 3), dilation=3, padding="same", groups=3), (3, 8, 9)),
    "max pool, everything": (lambda: nn.MaxPool2d((3, 2), (2, 3), (1, 1), (2, 1), ceil_mode=True), (3, 9, 9)),
    "avg pool, ceil": (lambda: nn.AvgPool2d(3, 2, ceil_mode=True), (3, 8, 6)),
    "avg pool, ceil and pad": (lambda: nn.AvgPool2d((3, 4), (2, 3), (1, 2), ceil_mode=True), (3, 8, 9)),
    "avg pool, real pixels": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False, ceil_mode=True), (3, 8, 9)),
    "avg pool, divisor": (lambda: nn.AvgPool2d(3, 2, 1, divisor_override=5), (3, 8, 9)),
    "sums": (lambda: Lambda(lambda x: x.sum((1, 3), True) + x.mean((1, 3), True), nn.Conv2d(3, 4, 1)), (3, 5, 7)),
    "mean of rows": (lambda: Lambda(lambda x: x.mean(3) * 2 + x.amax((3,)), nn.Conv2d(3, 4, 1)), (3, 5, 7)),
    "mean of channels": (
        lambda: Lambda(lambda x: x.mean((1, 2), keepdim=True) + x.sum(1, keepdim=True).mean(2, True)),
        (3, 5, 7),
    ),
    "mean": (lambda: Lambda(lambda x: x.mean((2, 3)), nn.Conv2d(3, 4, 1), nn.ReLU()), (3, 5, 7)),
    "mean, keepdim": (lambda: Lambda(lambda x: x.mean((-1, -2), keepdim=True), nn.Conv2d(3, 4, 1)), (3, 5, 7)),
    "flatten, linear": (lambda: flat(nn.Dropout(), nn.Linear(36, 5)), (3, 8, 8)),
    "squeeze": (
        lambda: Lambda(lambda x: x.squeeze(-1).squeeze(-1).unsqueeze(-1).reshape(x.shape[0], 4), nn.Conv2d(3, 4, 5)),
        (3, 5, 5),
    ),
    "MLP": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 7), nn.ReLU(), nn.Linear(7, 3, bias=False)), (3, 4, 4)),
    "functional": (Functional, (3, 8, 8)),
    "called twice": (Twice, (4, 6, 6)),
    "branches": (Branches, (3, 6, 5)),
    "branches of scores": (
        lambda: Lambda(lambda x: torch.cat([x, x * 2], 1), nn.Flatten(), nn.Linear(9, 2)),
        (1, 3, 3),
    ),
    "weights from weights": (Pruned, (3, 6, 6)),
    "1-D": (
        lambda: nn.Sequential(
            nn.Conv1d(3, 6, 4, stride=2, padding=1),
            nn.BatchNorm1d(6),
            nn.ReLU(),
            nn.MaxPool1d(3, 2, 1),
            nn.Conv1d(6, 6, 3, padding="same", groups=6),
            nn.AvgPool1d(2),
            nn.Conv1d(6, 4, 1, bias=False),
        ),
        (3, 37),
    ),
    "1-D to scores": (
        lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.AdaptiveAvgPool1d(2), nn.Flatten(), nn.Linear(8, 3)),
        (2, 12),
    ),
    "1-D mean": (lambda: Lambda(lambda x: x.mean(-1), nn.Conv1d(2, 4, 3)), (2, 12)),
    "vector": (lambda: nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2)), (7,)),
    "linear over the last of two": (
        lambda: nn.Sequential(
            nn.Conv1d(3, 4, 3), Lambda(lambda x: x.mT), nn.Linear(4, 6), Lambda(lambda x: x.mT), nn.Conv1d(6, 2, 2)
        ),
        (3, 9),
    ),
    "channels last": (
        lambda: Lambda(
            lambda x: (
                F.relu(x.permute(0, 2, 3, 1) * torch.tensor([1.0, 2.0, 3.0, 4.0])).permute(0, 3, 1, 2).contiguous()
            ),
            nn.Conv2d(3, 4, 1),
        ),
        (3, 5, 4),
    ),
    "linear of any order": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3), Lambda(lambda x: x.permute(0, 3, 1, 2).flip(2)), nn.Flatten(), nn.Linear(48, 5)
        ),
        (3, 6, 5),
    ),
    "linear of a part": (
        lambda: nn.Sequential(Lambda(lambda x: x[:, 1:, ::2, 1:4].flatten(1)), nn.Linear(18, 5)),
        (3, 6, 5),
    ),
    "sum in another order": (lambda: Lambda(lambda x: (x.mT + F.relu(x).mT - 1).mT, nn.Conv2d(3, 4, 1)), (3, 5, 4)),
    "groups and back": (
        lambda: Lambda(lambda x: -(F.relu(x.unflatten(1, (2, 2))).flatten(1, 2)), nn.Conv2d(3, 4, 1)),
        (3, 5, 4),
    ),
    "split of vectors": (
        lambda: nn.Sequential(nn.Linear(6, 4), Lambda(lambda x: x.mul(2).chunk(2, 1)[1]), nn.Linear(2, 3)),
        (6,),
    ),
    "activations": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 1),
            nn.SiLU(),
            nn.GELU(),
            nn.GELU("tanh"),
            nn.LeakyReLU(0.2),
            nn.Hardswish(),
            nn.ELU(0.7),
            nn.SELU(),
            nn.CELU(0.8),
            nn.Softplus(2, 5),
            nn.Mish(),
            nn.Tanhshrink(),
            nn.Hardshrink(0.01),
            nn.Softshrink(0.01),
            nn.Threshold(0.02, -0.5),
            nn.Hardsigmoid(),
            nn.LogSigmoid(),
            nn.Sigmoid(),
            nn.Tanh(),
        ),
        (3, 5, 4),
    ),
    "functions": (
        lambda: Lambda(
            lambda x: (
                (1 / (torch.exp(x.abs()).sqrt() + x.square())).log()
                + torch.rsqrt(x**2 + 1).sin() * 2
                + x.cos().erf()
                + x.round()
                + x.floor()
                - x.ceil()
                + x.sign()
            ),
            nn.Conv2d(3, 4, 1),
        ),
        (3, 5, 4),
    ),
    "PReLU": (lambda: nn.Sequential(nn.PReLU(), PerChannel(), nn.Conv2d(3, 4, 3)), (3, 5, 4)),
    "activation of views": (lambda: Lambda(lambda x: torch.tanh(x.mT).mT, nn.Conv2d(3, 4, 1)), (3, 5, 4)),
    "channel shuffle": (
        lambda: Lambda(
            lambda x: F.relu(x.view(-1, 2, 3, 5, 4).transpose(1, 2).reshape(-1, 6, 5, 4)), nn.Conv2d(3, 6, 1)
        ),
        (3, 5, 4),
    ),
    "channels picked": (
        lambda: nn.Sequential(
            nn.ChannelShuffle(3),
            Lambda(lambda x: torch.cat([x[:, [4, 2]] + 1, x[:, ::2], x[:, :1].repeat(1, 2, 1, 1)], 1)),
            nn.Conv2d(7, 2, 1),
        ),
        (6, 5, 4),
    ),
    "split and joined": (
        lambda: Lambda(lambda x: sum(F.relu(y) * k for k, y in enumerate(x.chunk(3, 1), 1)), nn.Conv2d(3, 6, 1)),  # type: ignore[return-value]
        (3, 5, 4),
    ),
    "channels broadcast": (lambda: Lambda(lambda x: x + x[:, :1] * 2 + x.expand(-1, 3, -1, -1)), (3, 5, 4)),
    "rows joined": (lambda: nn.Sequential(Lambda(lambda x: x.flatten(2)), nn.Conv1d(3, 4, 3, 2)), (3, 5, 4)),
    "transposed": (lambda: nn.ConvTranspose2d(3, 5, 2, stride=2), (3, 4, 5)),
    "transposed, everything": (
        lambda: nn.ConvTranspose2d(4, 6, (5, 3), (3, 2), (2, 1), (1, 0), groups=2, dilation=(2, 1)),
        (4, 4, 5),
    ),
    "transposed, depthwise": (lambda: nn.ConvTranspose2d(3, 3, 4, 2, 1, groups=3, bias=False), (3, 4, 5)),
    "transposed, no stride": (lambda: nn.ConvTranspose2d(3, 4, 3, 1, (3, 1)), (3, 7, 5)),
    "transposed, far in": (lambda: nn.ConvTranspose2d(3, 2, 3, 2, (5, 4)), (3, 8, 9)),
    "transposed, kernel 1": (lambda: nn.ConvTranspose2d(3, 2, 1, 3, 0, 2), (3, 3, 2)),
    "transposed 1-D": (lambda: nn.ConvTranspose1d(3, 2, 4, 2, 1), (3, 9)),
    "upsampled": (
        lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 2, 3), nn.Upsample((7, 9))),
        (3, 4, 5),
    ),
    "bilinear": (lambda: nn.Sequential(nn.Upsample(scale_factor=(2, 3), mode="bilinear")), (3, 4, 5)),
    "bilinear, aligned": (lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), (3, 4, 5)),
    "bilinear, aligned to a size": (lambda: nn.Upsample((7, 5), mode="bilinear", align_corners=True), (2, 4, 5)),
    "bilinear, aligned to one": (lambda: nn.Upsample((1, 9), mode="bilinear", align_corners=True), (2, 4, 1)),
    "bilinear by 1.5": (lambda: nn.Upsample(scale_factor=1.5, mode="bilinear"), (2, 5, 4)),
    "bilinear by 2.1": (lambda: nn.Upsample(scale_factor=2.1, mode="bilinear"), (2, 5, 5)),
    "bilinear, smaller": (lambda: nn.Upsample((3, 4), mode="bilinear"), (2, 5, 6)),
    "linear": (lambda: nn.Upsample(scale_factor=2, mode="linear"), (3, 6)),
    "linear, aligned": (lambda: nn.Upsample(11, mode="linear", align_corners=True), (3, 6)),
    "bilinear by 4": (lambda: nn.Upsample(scale_factor=4, mode="bilinear"), (2, 3, 1)),
    "upsampled 1-D": (lambda: nn.Upsample(scale_factor=3), (2, 5)),
    "padded": (
        lambda: nn.Sequential(
            nn.ZeroPad2d((1, 2, 0, 1)),
            nn.Conv2d(3, 4, 3),
            nn.ConstantPad2d((1, 0, 2, 0), 0.5),
            nn.ReflectionPad2d(1),
            nn.ReplicationPad2d((0, 2, 1, 0)),
            nn.CircularPad2d(1),
            nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect"),
        ),
        (3, 5, 6),
    ),
    "cut off": (lambda: nn.ConstantPad2d((-1, 1, 0, -2), 2.0), (3, 5, 6)),
    "padded channels": (lambda: Lambda(lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2))), (3, 5, 6)),
    "padded 1-D": (
        lambda: nn.Sequential(nn.ReflectionPad1d(2), nn.Conv1d(3, 2, 3, padding=2, padding_mode="circular")),
        (3, 7),
    ),
    "pixel shuffle": (lambda: nn.Sequential(nn.Conv2d(3, 8, 1), nn.PixelShuffle(2)), (3, 4, 5)),
    "moves that no layer makes at once": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 1),
            nn.PixelShuffle(2),
            Lambda(lambda x: F.silu(x.roll(1, 2) - 0.3)),
            nn.ReflectionPad2d(1),
            nn.PixelUnshuffle(2),
            nn.ChannelShuffle(2),
            nn.CircularPad2d((1, 0, 2, 1)),
        ),
        (3, 4, 5),
    ),
    "shuffled among images": (lambda: Lambda(shuffled_among_images, nn.Conv2d(3, 8, 1)), (3, 4, 5)),
    "pixel unshuffle": (lambda: nn.PixelUnshuffle(2), (3, 4, 6)),
    "focus": (
        lambda: nn.Sequential(
            Lambda(
                lambda x: torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)
            ),
            nn.Conv2d(12, 2, 1),
        ),
        (3, 4, 6),
    ),
    "flipped": (lambda: Lambda(lambda x: x.flip(-1) + x.roll((1, -2), (2, 3)), nn.Conv2d(3, 4, 1)), (3, 4, 5)),
    "broadcast": (lambda: Lambda(lambda x: x + x.mean((2, 3), keepdim=True), nn.Conv2d(3, 4, 1)), (3, 4, 5)),
    "adaptive, any size": (lambda: nn.AdaptiveAvgPool2d((3, 4)), (2, 5, 7)),
    "adaptive, larger": (lambda: nn.AdaptiveAvgPool2d((5, 4)), (2, 3, 4)),
    "adaptive max": (lambda: nn.Sequential(nn.AdaptiveMaxPool2d((3, 4)), nn.AdaptiveMaxPool2d((3, 2))), (2, 5, 7)),
    "adaptive 1-D": (lambda: nn.Sequential(nn.AdaptiveAvgPool1d(4), nn.AdaptiveMaxPool1d(3)), (2, 9)),
    "squeeze and excite": (
        lambda: Lambda(
            lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)) / (x[:, :1].abs() + 1), nn.Conv2d(3, 4, 1)
        ),
        (3, 4, 5),
    ),
    "square": (lambda: Lambda(lambda x: x * x), (3, 4, 5)),
    "joined with itself": (lambda: Lambda(lambda x: torch.cat([x, x], 1)), (3, 5, 4)),
    "identity": (lambda: nn.Sequential(nn.Identity(), nn.Conv2d(3, 4, 1), nn.Identity()), (3, 4, 4)),
}


@pytest.mark.parametrize("name", MODELS)
def test_equals_torch(name: str) -> None:
    make, shape = MODELS[name]
    torch.manual_seed(0)
    model = randomised(make())
    graph = capture(model, shape, "net")
    assert list(graph.inputs) == ["input"] and prod(graph.inputs["input"]) == prod(shape)
    assert len(graph.by_name) == len(graph.nodes)
    assert_equal(graph, model, shape)


@pytest.mark.parametrize("decompose", ["as exported", "core"])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("make", [lambda: StudentNet((4, 6, 8, 8, 8, 8, 8, 8)), Functional])
def test_exported_programs(make: Callable[[], nn.Module], dynamic: bool, decompose: str) -> None:
    model = randomised(make())
    shape = (3, 16, 16) if isinstance(model, StudentNet) else (3, 8, 8)
    dynamic_shapes = ({0: torch.export.Dim.DYNAMIC},) if dynamic else None
    program = torch.export.export(model, (torch.randn(2, *shape),), dynamic_shapes=dynamic_shapes)
    if decompose == "core":
        program = program.run_decompositions()
    assert_equal(capture(program, None, "net"), model.float(), shape)
    with pytest.raises(UserError, match=r"exported for a 3x(8x8|16x16) input, but 3x9x9 is asked for"):
        capture(program, (3, 9, 9), "net")


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16, torch.float64])
def test_weight_types(dtype: torch.dtype) -> None:
    model = randomised(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())).to(dtype)
    graph = capture(model, (3, 6, 6), "net")
    assert next(model.parameters()).dtype == dtype
    assert_equal(graph, model, (3, 6, 6))


def test_names_are_module_paths() -> None:
    graph = capture(randomised(StudentNet()), (3, 32, 32), "net")
    names = [node.name for node in graph.nodes]
    assert names[:5] == ["input", "cnn.0.0", "cnn.0.1", "cnn.0.2", "cnn.0.3"]
    assert names[-3:] == ["cnn.7.3", "cnn.8", "fc.0"] and graph.output == "fc.0"
    twice = [node.name for node in capture(Twice().eval(), (4, 6, 6), "net").nodes]
    assert twice == ["input", "conv", "act", "conv_2", "act_2"]
    inside = capture(nn.Sequential(nn.Conv2d(3, 4, 1), Lambda(F.relu, nn.Identity())).eval(), (3, 4, 4), "net")
    assert inside.output == "1.relu"


def test_what_layers_become() -> None:
    model = randomised(StudentNet())
    graph = capture(model, (3, 32, 32), "net")
    conv, bn, relu6 = graph["cnn.0.0"].op, graph["cnn.0.1"].op, graph["cnn.0.2"]
    assert isinstance(conv, Conv2d) and conv.weight.dtype == np.float64 and conv.weight.shape == (16, 3, 3, 3)
    assert isinstance(bn, Affine) and bn.mean_out is not None and bn.std_out is not None
    state = model.state_dict()
    np.testing.assert_allclose(bn.mean_out, state["cnn.0.1.bias"].numpy())
    np.testing.assert_allclose(bn.std_out, state["cnn.0.1.weight"].abs().numpy())
    assert isinstance(relu6.op, Identity) and relu6.clamp == Clamp(0, 6)
    pool, fc = graph["cnn.8"].op, graph["fc.0"].op
    assert isinstance(pool, AvgPool2d) and pool.window.kernel == (2, 2)
    assert isinstance(fc, Linear) and fc.weight.shape == (11, 256, 1, 1)


def test_a_border_of_its_own_costs_nothing() -> None:
    """Padding before a window becomes that of the window, and takes no layer."""
    model = nn.Sequential(
        nn.ZeroPad2d((0, 1, 0, 2)), nn.Conv2d(3, 4, 3, 2, 1),
        nn.ConstantPad2d((1, 0, 0, 1), -torch.inf), nn.MaxPool2d(2),
        nn.ZeroPad2d(1), nn.ConstantPad2d(1, 0.5), nn.Conv2d(4, 2, 1),
    )  # fmt: skip
    graph = capture(randomised(model), (3, 7, 8), "net")
    kinds = [node.op.kind for node in graph.nodes]
    assert kinds == ["input", "conv2d", "maxpool2d", "resample", "resample", "conv2d"]
    assert_equal(graph, model, (3, 7, 8))
    window = graph["1"].op.window  # type: ignore[attr-defined]
    assert window.padding == (1, 3, 1, 2)


def test_what_is_left_out_at_the_end() -> None:
    scores = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for last in (nn.Softmax(1), nn.LogSoftmax(-1)):
        graph = capture(nn.Sequential(scores, last).eval(), (3, 6, 6), "net")
        assert graph.notes == ("`1` is left out: the outputs are scores, whose order is that of the probabilities.",)
        assert_equal(graph, scores, (3, 6, 6))


@pytest.mark.parametrize("keepdim", [False, True])
def test_the_class_index(keepdim: bool) -> None:
    for model in (nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())):
        graph = capture(Lambda(lambda x: x.argmax(1, keepdim), model), (3, 6, 6), "net")
        x = torch.randn(5, 3, 6, 6, dtype=torch.float64)
        expected = model.double()(x).argmax(1).numpy().reshape(5, *graph[graph.output].shape[1:], 1)
        np.testing.assert_array_equal(graph.forward(as_images(x.numpy())), expected)
        model.float()


def test_the_model_is_left_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train().half()
    capture(model, (3, 6, 6), "net")
    assert model.training and next(model.parameters()).dtype == torch.half


def test_all_unsupported_operations_at_once() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, dilation=2), nn.SiLU(), nn.Sequential(nn.ConvTranspose2d(4, 4, 2), nn.Sigmoid()),
        nn.MaxPool2d(2, ceil_mode=True), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten(),
        nn.LazyLinear(4), nn.ELU(), nn.Softmax(1), nn.Linear(4, 2),
    )  # fmt: skip
    model(torch.zeros(2, 3, 12, 12))
    with pytest.raises(UserError) as caught:
        capture(model, (3, 12, 12), "net")
    expected = [
        "`4` (batch_norm): BatchNorm without running statistics; train it with track_running_stats=True",
        "`8` (softmax): is supported at the end of the network alone, where it is left out; within it, use a sigmoid",
    ]
    assert list(caught.value.problems) == expected


REFUSED: dict[str, tuple[nn.Module, str]] = {
    "pool of padding": (nn.MaxPool2d(2, 6, 1, 7), "some window lies in the padding alone"),
    "no sum": (Lambda(lambda x: torch.add(x, F.relu(x), alpha=0)), "alpha is 0"),
    "joined images": (Lambda(lambda x: torch.cat([x, x + 1], 0)), "mixes the images of a batch"),
    "joined with a constant": (Lambda(lambda x: torch.cat([x, torch.ones(x.shape)], 1)), "with constants"),
    "permuted": (
        Lambda(lambda x: F.avg_pool2d(x.permute(0, 1, 3, 2), 2)),
        r"takes a 3x6x6 map as \(3, 6, 6\), its values in another order",
    ),
    "linear on 4-D": (nn.Linear(6, 2), r"`linear` \(linear\): takes a 3x6x6 map as \(6, 3, 6\)"),
    "batch dropped": (nn.Sequential(nn.AdaptiveAvgPool2d(1), Lambda(torch.squeeze)), "batch dimension"),
    "batch mixed": (Lambda(lambda x: x.view(-1, 36)), "mixes the images of a batch"),
    "batch mixed, then used": (
        Lambda(lambda x: F.relu(x.view(-1, 36)).view(-1, 3, 6, 6)),
        "mixes the images of a batch",
    ),
    "batch mixed by a mean": (Lambda(lambda x: x.view(-1, 36).view(-1, 3, 36).mean(0)), "mixes the images of a batch"),
    "indices": (Lambda(lambda x: F.max_pool2d(x, 2, return_indices=True)[1] * 1.0), "indices of the largest values"),
    "maps as weights": (Lambda(lambda x: F.linear(x.flatten(1), x.flatten(1))), "only trained constants"),
    "per-pixel constant": (Lambda(lambda x: x * torch.arange(36.0).view(6, 6)), "one number, or of one per channel"),
    "constant output": (Lambda(lambda x: torch.ones(1, 3)), "does not depend on its input"),
    "rounding": (Lambda(lambda x: torch.div(x, 2, rounding_mode="floor")), "rounding_mode and alpha are not supported"),
    "a constant among outputs": (Lambda(lambda x: (x + 1, torch.ones(1, 3))), "output 1 of the model does not depend"),  # type: ignore[arg-type, return-value]
    "no outputs": (Lambda(lambda x: ()), "the model has no outputs"),  # type: ignore[arg-type, return-value]
    "tensor of bounds": (Lambda(lambda x: torch.clamp(x, torch.zeros(1), torch.ones(1))), "clamp"),
}


class Inverse(nn.Module):
    m: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("m", torch.zeros(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.mean((2, 3)), torch.linalg.inv(self.m))


def test_a_constant_that_cannot_be_computed() -> None:
    program = torch.export.export(Inverse(), (torch.zeros(1, 3, 6, 6),))
    with pytest.raises(
        UserError, match=r"`linalg_inv` .*cannot be computed ahead of time: it inverts a matrix that has no"
    ):
        capture(program, None, "net")


def test_a_map_of_variable_size() -> None:
    model = Lambda(lambda x: x[:, :, :, x.amax((0, 1, 2)) > 0].relu())
    with pytest.raises(UserError, match=r"gives a tensor of variable size .*; export the model with a fixed size"):
        capture(torch.export.export(model, (torch.ones(1, 3, 6, 6),)), None, "net")


def test_a_map_of_four_dimensions() -> None:
    with pytest.raises(UserError, match=r"works on 4 dimensions besides the batch; at most .c, h, w. are supported"):
        capture(Lambda(lambda x: x.unflatten(1, (1, 3)).amax(1)), (3, 6, 6), "net")


def test_arguments_that_no_exporter_writes() -> None:
    """A file may hold them all the same."""
    x = Map("x", (3, 6, 6), (3, 6, 6))

    def refusal(convert: Callable[[Call], object], **args: object) -> str:
        call = Call("aten.made_up", {"input": x, **args}, (3, 6, 6), "layer", None, None)  # type: ignore[arg-type]
        with pytest.raises(Refused) as caught:
            convert(call)
        return str(caught.value)

    assert "`stride` is [1, 2, 3]; one or two constant" in refusal(lambda call: call.pair("stride"), stride=[1, 2, 3])
    assert "combines several feature maps; only sums" in refusal(lambda call: call.source, other=x)
    assert "only constant bounds" in refusal(CONVERTERS["aten.clamp.default"], min=x)
    assert "a kernel of 1 dimensions on a tensor of 4" in refusal(
        CONVERTERS["aten.conv2d.default"], weight=torch.zeros(2, 3, 1), bias=None, stride=[1], padding=[0], groups=1
    )


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    model, message = REFUSED[name]
    with pytest.raises(UserError, match=message):
        capture(model, (3, 6, 6), "net")


class TwoInputs(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x * y


class Counting(nn.Module):
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.count.add_(1)
        return x * self.count


class DataDependent(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum() > 0 else x


def test_models_that_cannot_be_captured() -> None:
    def refusal(model: nn.Module | torch.export.ExportedProgram, shape: Shape | None = (3, 6, 6)) -> str:
        with pytest.raises(UserError) as caught:
            capture(model, shape, "net")
        assert "Traceback" not in str(caught.value)
        return str(caught.value)

    assert refusal(TwoInputs()).startswith("the model takes 2 inputs (x, y), but the size of 1")
    assert "does not tell its input's shape" in refusal(nn.Conv2d(3, 3, 1), None)
    assert "the model changes `count` while it runs" in refusal(Counting())
    assert "its forward() depends on the values of a tensor" in refusal(DataDependent())
    wrong = refusal(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(5, 2)))
    assert wrong == (
        "the model does not run on a 3x6x6 input: layer `2` takes 5 values, but gets 64; "
        "is the input's size the one that the model was made for?"
    )
    assert "layer `0` takes 1 channels, but gets 3" in refusal(nn.Sequential(nn.Conv2d(1, 4, 3)))
    x = torch.randn(2, 3, 6, 6)
    two = torch.export.export(TwoInputs(), (x, x))
    assert "exported for a 3x6x6 and 3x6x6 input, but 3x6x6 is asked for" in refusal(two)
    training = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout()).train()
    assert refusal(torch.export.export(training, (x,)), None).count("call model.eval() before torch.export") == 2
    assert "(n, c, h, w) of fixed size" in refusal(torch.export.export(nn.ReLU(), (torch.randn(1, 2, 2, 2, 2),)), None)
    free = {2: torch.export.Dim.DYNAMIC}
    variable = torch.export.export(nn.Conv2d(3, 3, 1), (x,), dynamic_shapes=(free,))
    assert "(n, c, h, w) of fixed size" in refusal(variable, None)


def test_a_saved_program_captures_the_same() -> None:
    model = randomised(Functional())
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(model, (torch.randn(1, 3, 8, 8),)), buffer)
    program = torch.export.load(io.BytesIO(buffer.getvalue()))
    assert_equal(capture(program, (3, 8, 8), "net"), model, (3, 8, 8))
