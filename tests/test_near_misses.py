"""What a front end may get silently wrong: each variant is computed exactly, or refused with words that help."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from models import randomised
from test_capture import Lambda, as_images, assert_equal
from torch import Tensor, nn

import cnn2rtl
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture

SHAPE = (4, 6, 6)


class Gated(nn.Module):
    """A forward() whose course depends on the values."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum() > 0 else x


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(36, 5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.gru(x.flatten(2))[0]
        return made


def dead(conv: nn.Conv2d) -> nn.Module:
    """All weights of one channel are 0."""
    nn.init.zeros_(conv.weight[0])  # type: ignore[no-untyped-call]
    return conv


def assigned(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, 0] = 0.5
    return y


def unpooled(x: Tensor) -> Tensor:
    values, indices = F.max_pool2d(x, 2, return_indices=True)
    return F.max_unpool2d(values, indices, 2)


def per_image(x: Tensor) -> Tensor:
    return x + torch.arange(2.0).view(2, 1, 1, 1)


EXACT: dict[str, Callable[[], nn.Module]] = {
    "grouped transposed convolution": lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2),
    "dilated transposed convolution": lambda: nn.ConvTranspose2d(4, 2, 2, 3, dilation=2),
    "dilated convolution": lambda: nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4),
    "same, even kernel, dilated": lambda: nn.Conv2d(4, 2, (2, 4), padding="same", dilation=(3, 1)),
    "stride above the kernel": lambda: nn.Conv2d(4, 2, 2, stride=3),
    "ceil_mode": lambda: nn.MaxPool2d(4, 4, ceil_mode=True),
    "ceil_mode of an average": lambda: nn.AvgPool2d(4, 4, ceil_mode=True),
    "count_include_pad": lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "dilated pool": lambda: nn.MaxPool2d(2, 1, dilation=3),
    "divisor_override": lambda: nn.AvgPool2d(2, divisor_override=3),
    "adaptive windows of unequal size": lambda: nn.AdaptiveAvgPool2d(4),
    "channels last": lambda: nn.Conv2d(4, 2, 3).to(memory_format=torch.channels_last),  # type: ignore[call-overload]
    "activation before the sum": lambda: Lambda(lambda x: F.relu(x - 0.5) + x.clamp(max=0)),
    "a skip from the input": lambda: Lambda(lambda x: x + F.avg_pool2d(x, 3, 1, 1) * 3),
    "broadcast over channels": lambda: Lambda(lambda x: x - x.mean(1, keepdim=True)),
    "broadcast over rows": lambda: Lambda(lambda x: x * x.mean(2, keepdim=True)),
    "broadcast over all": lambda: Lambda(lambda x: x + x.mean((1, 2, 3), keepdim=True)),
    "a constant per channel of the batch's shape": lambda: Lambda(lambda x: x * torch.arange(4.0).view(1, 4, 1, 1)),
    "a clamp the wrong way round": lambda: Lambda(lambda x: x.clamp(1.0, -1.0)),
    "a negative slope": lambda: nn.LeakyReLU(-0.5),
    "subtraction from a number": lambda: Lambda(lambda x: 3 - x),
    "a factor of the sum": lambda: Lambda(lambda x: torch.add(x, x.flip(3), alpha=-0.3)),
    "division by a map": lambda: Lambda(lambda x: x / (x.abs() + 1)),
    "a row in reverse": lambda: Lambda(lambda x: x[:, :, [5, 0, 0, 3]]),
    "negative padding": lambda: nn.ZeroPad2d((-1, 2, 1, -2)),
    "padding of two values": lambda: nn.Sequential(nn.ConstantPad2d(1, 1.0), nn.ConstantPad2d(1, 2.0)),
    "a dead channel": lambda: dead(nn.Conv2d(4, 2, 3)),
    "pixels as channels and back": lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.PixelShuffle(2)),
    "parametrised weights": lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 2, 3)),
    "BatchNorm between linear layers": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(144, 5), nn.BatchNorm1d(5), nn.SiLU(), nn.Linear(5, 2)
    ),
}

REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "control flow": (Gated, "depends on the values of a tensor"),
    "a recurrent layer": (Recurrent, "gru"),
    "attention": (lambda: Lambda(lambda x: x @ x.transpose(2, 3)), "is computed from the input"),
    "rows for columns": (lambda: Lambda(lambda x: x.transpose(2, 3).amax(2)), "its values in another order"),
    "channels for rows": (
        lambda: nn.Sequential(Lambda(lambda x: x.transpose(1, 2)), nn.Conv2d(6, 2, 1)),
        "another order",
    ),
    "a constant per pixel": (lambda: Lambda(lambda x: x + torch.arange(36.0).view(6, 6)), "one per channel"),
    "a constant per image": (lambda: Lambda(per_image), "batch"),
    "softmax inside": (lambda: nn.Sequential(nn.Softmax(1), nn.Conv2d(4, 2, 1)), "end of the network alone"),
    "argmax of rows": (lambda: Lambda(lambda x: x.argmax(2)), "over the channels"),
    "LayerNorm": (lambda: nn.LayerNorm(6), "use BatchNorm2d"),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), "use BatchNorm2d"),
    "a comparison": (lambda: Lambda(lambda x: torch.where(x > 0, x, 0.1 * x)), "`gt` .* is not supported"),
    "the largest of two maps": (lambda: Lambda(lambda x: torch.maximum(x, x.flip(3))), "is not supported"),
    "a running sum": (lambda: Lambda(lambda x: x.cumsum(1)), "is not supported"),
    "a variance": (lambda: Lambda(lambda x: x.var((2, 3))), "is not supported"),
    "the largest few": (lambda: Lambda(lambda x: x.topk(2, 1)[0]), "is not supported"),
    "an assignment": (lambda: Lambda(assigned), "is not supported"),
    "unpooling": (lambda: Lambda(unpooled), "is not supported"),
    "bilinear by 1.37": (lambda: nn.Upsample(scale_factor=1.37, mode="bilinear"), "in steps of 1/274 between two"),
    "bicubic": (lambda: nn.Upsample(scale_factor=2, mode="bicubic"), "use mode nearest"),
    "a mean over the batch": (lambda: Lambda(lambda x: x.mean((0, 2, 3), keepdim=True)), "batch"),
    "the batch flipped": (lambda: Lambda(lambda x: x.flip(0)), "mixes the images of a batch"),
    "rolled as a whole": (lambda: Lambda(lambda x: x.roll(1)), "mixes the images of a batch"),
    "a Fourier transform": (lambda: Lambda(lambda x: torch.fft.fft(x).real), "is not supported"),
    "BatchNorm of the batch": (lambda: nn.BatchNorm2d(4, track_running_stats=False), "running statistics"),
    "rounded division": (lambda: Lambda(lambda x: torch.div(x, 2, rounding_mode="floor")), "rounding_mode"),
    "a kernel from the input": (lambda: Lambda(lambda x: F.conv2d(x, x[:1, :, :3, :3])), "is computed from the input"),
    "whole numbers": (lambda: Lambda(lambda x: (x * 4).to(torch.int32).float()), "does not give a tensor of floats"),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact(name: str) -> None:
    torch.manual_seed(0)
    model = randomised(EXACT[name]())
    assert_equal(capture(model, SHAPE, "net"), model, SHAPE)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(UserError, match=message):
        capture(make().eval(), SHAPE, "net")


@pytest.mark.parametrize("name", ["ceil_mode of an average", "padding of two values", "division by a map"])
def test_what_is_exact_becomes_hardware(name: str) -> None:
    """With 16 bits the integers are what torch computes, but for their last bits."""
    torch.manual_seed(0)
    model = randomised(EXACT[name]())
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 4), np.uint8)
    compiled = cnn2rtl.compile(model, SHAPE, 16, scheme="scale", calibration=images)
    codes = compiled.golden(images)
    with torch.no_grad():
        exact = as_images(model(torch.from_numpy(images / 255.0).float().permute(0, 3, 1, 2)).numpy())
    reals = compiled.graph[compiled.graph.output].out.reals(codes)
    np.testing.assert_allclose(reals, exact, atol=1e-3 * np.abs(exact).max())


class Rooted(nn.Module):
    """``function`` of what is never negative, or must not be."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(1, 4, 3), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x))


NOT_NEGATIVE: dict[str, Callable[[Tensor], Tensor]] = {
    "log(1 + x)": lambda x: torch.log(1 + x.relu()),
    "root": lambda x: x.relu().sqrt(),
    "L2 pooling": lambda x: torch.sqrt(F.avg_pool2d(x**2, 2) + 1e-3),
    "torch's own L2 pooling": lambda x: F.lp_pool2d(x, 2, 2),
    "GeM": lambda x: F.avg_pool2d(x.clamp(min=1e-6) ** 3, 6) ** (1 / 3),
    "RMS norm": lambda x: x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-5),
    "a deviation": lambda x: torch.sqrt(x.pow(2).mean((2, 3)) - x.mean((2, 3)) ** 2 + 1e-3),
    "log of a sigmoid": lambda x: torch.log(torch.sigmoid(x)),
}


@pytest.mark.parametrize("name", NOT_NEGATIVE)
@pytest.mark.parametrize("device", [None, "xc7a100t"])
def test_functions_of_what_is_never_negative(name: str, device: str | None) -> None:
    """What a device has room for is judged before anything is calibrated, so by no range."""
    torch.manual_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)
    for calibration in (images, None):
        made = cnn2rtl.compile(Rooted(NOT_NEGATIVE[name]).eval(), (1, 8, 8), calibration=calibration, device=device)
        assert made.design


def test_values_that_no_image_showed() -> None:
    """A format that two maps share holds values that one of them never has: that is told, and refuses nothing."""
    torch.manual_seed(0)
    model = Rooted(lambda x: torch.sqrt(torch.cat([x.relu(), x], 1)[:, :4]))
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)
    made = cnn2rtl.compile(model.eval(), (1, 8, 8), calibration=images)
    assert any("sqrt is not defined for -" in note for note in made.about["notes"])


def test_a_function_where_it_is_not_defined() -> None:
    """What would be NaN is refused as soon as ranges are measured."""
    model, images = nn.Sequential(nn.Conv2d(4, 2, 1), Lambda(torch.log)).eval(), np.full((2, 6, 6, 4), 9, np.uint8)
    with pytest.raises(
        UserError, match=r"`1.log` \(table\): \d of \d channels become NaN.* on noise in place of images"
    ):
        cnn2rtl.compile(model, SHAPE)
    with pytest.raises(UserError, match=r"`1.log` \(table\): \d of \d channels become NaN.* is calibrated; clamp"):
        cnn2rtl.compile(model, SHAPE, calibration=images)
