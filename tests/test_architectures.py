"""Architectures as people write them: taken and equal to torch, or refused for what docs/layers.md tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import architectures as arch
import numpy as np
import pytest
import torch
from architectures import UNet
from models import randomised
from own_outputs import restored, streamed
from torch import Tensor, nn

import cnn2rtl
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture
from cnn2rtl.frontend.unsupported import FAMILIES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "layers.md"


def upsample(mode: str, align: bool | None = None) -> Any:
    return lambda c: nn.Upsample(scale_factor=2, mode=mode, align_corners=align)


def shuffled(c: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(c, 4 * c, 1), nn.PixelShuffle(2))


def two_maps(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    return p, q


def views(p: Tensor, q: Tensor) -> tuple[Tensor, ...]:
    """As YOLOv3 and its children leave them."""
    return tuple(t.view(t.shape[0], 2, 7, *t.shape[2:]).permute(0, 1, 3, 4, 2).contiguous() for t in (p, q))


def joined(p: Tensor, q: Tensor) -> Tensor:
    """As SSD leaves them."""
    return torch.cat([t.permute(0, 2, 3, 1).reshape(t.shape[0], -1, 7) for t in (p, q)], 1)


PICTURE = (3, 16, 16)

TAKEN: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "VGG": (arch.VGG(), PICTURE),
    "ResNet": (arch.ResNet(), (3, 32, 32)),
    "MobileNetV2": (arch.MobileNetV2(), PICTURE),
    "MobileNetV3": (arch.MobileNetV3(), PICTURE),
    "EfficientNet-lite": (arch.EfficientNetLite(), PICTURE),
    "ShuffleNetV2 of torchvision": (arch.ShuffleNetV2(), PICTURE),
    "U-Net, nearest": (UNet(upsample("nearest")), PICTURE),
    "U-Net, bilinear": (UNet(upsample("bilinear", False)), PICTURE),
    "U-Net, transposed": (UNet(lambda c: nn.ConvTranspose2d(c, c, 2, 2)), PICTURE),
    "U-Net, pixels out of channels": (UNet(shuffled), PICTURE),
    "U-Net, padded": (arch.PaddedUNet(lambda c: nn.ConvTranspose2d(c, c, 2, 2)), (3, 15, 13)),
    "U-Net, masks by sigmoid": (UNet(upsample("nearest"), torch.sigmoid), PICTURE),
    "YOLO, two maps": (arch.YOLO(two_maps), PICTURE),
    "ConvNeXt with BatchNorm": (arch.BatchNormNeXt(), PICTURE),
    "TCN with weight_norm": (arch.TCN(), (3, 24)),
    "CRNN, its front": (arch.CRNNFront(), (1, 8, 24)),
    "CBAM": (arch.CBAM(), PICTURE),
    "YOLO, views of anchors": (arch.YOLO(views), PICTURE),
    "YOLO, anchors joined": (arch.YOLO(joined), PICTURE),
    "SE": (arch.SENet(), PICTURE),
    "autoencoder of maps": (arch.ConvAutoencoder(), (1, 12, 16)),
    "autoencoder of vectors": (arch.DenseAutoencoder(), (24,)),
    "M5 audio": (arch.M5(), (1, 800)),
    "IMU": (arch.IMU(), (6, 40)),
    "keyword spotting": (arch.KeywordSpotting(), (1, 49, 10)),
    "super-resolution, ESPCN": (arch.ESPCN(), (1, 10, 8)),
    "super-resolution, FSRCNN": (arch.FSRCNN(), (1, 10, 8)),
    "segmentation": (arch.FastSCNNHead(), (3, 32, 32)),
}
"""The architecture, and its input's size."""

ENDS = {"IMU": (torch.softmax, 1), "M5 audio": (torch.log_softmax, 2)}
"""What those end in whose outputs are scores, and over which dimension: it is left out."""


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str) -> None:
    """The model's own outputs come of the float graph's."""
    model, shape = TAKEN[name]
    randomised(model)
    model.eval()
    graph = capture(model, shape, "net")
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    made = model.double()(x)
    model.float()
    own = restored(graph, {"input": streamed(x.numpy(), graph.inputs["input"], last=False)})
    for wanted, actual in zip(made if isinstance(made, tuple) else (made,), own, strict=True):
        if name in ENDS:
            end, dimension = ENDS[name]
            actual = end(torch.from_numpy(actual), dimension).numpy()
        expected = wanted.detach().numpy()
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@dataclass(frozen=True)
class Refusal:
    """A network, its input's size, the layer that is at fault, and the row of docs/layers.md that tells why."""

    model: nn.Module
    shape: tuple[int, ...]
    layer: str
    row: str


REFUSED = {
    "CRNN with its LSTM": Refusal(arch.CRNN(), (1, 8, 24), "rnn", "recurrent layers"),
    "vision transformer": Refusal(arch.TinyTransformer(), PICTURE, "block", "attention"),
    "non-local block": Refusal(arch.NonLocal(), PICTURE, "bmm", "attention"),
    "style transfer": Refusal(arch.StyleTransfer(), PICTURE, "2", "normalisation by the image's own statistics"),
    "video": Refusal(arch.Volume(), PICTURE, "1", "three dimensions"),
    "spectrum": Refusal(arch.Spectrum(), (1, 32), "fft_rfft", "Fourier transforms and complex numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    refusal = REFUSED[name]
    (family,) = (family for family in FAMILIES if family.what == refusal.row)
    with pytest.raises(UserError) as caught:
        cnn2rtl.compile(randomised(refusal.model).eval(), refusal.shape)
    said = [line for line in caught.value.problems if family.told in line]
    assert said and all(line.startswith(f"`{refusal.layer}") for line in said), caught.value.problems
    assert f"| {family.what} |" in PAGE.read_text()
