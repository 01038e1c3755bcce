"""The uncompressed network: plain convolutions, and most of its parameters in the first linear layer."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING

from cnn2rtl.errors import UserError

if TYPE_CHECKING:
    from torch import nn


def standard_cnn(width: float = 1.0, size: int = 128, channels: int = 3, classes: int = 11) -> nn.Sequential:
    """Five times 3x3 convolution, BatchNorm, ReLU, 2x2 max pooling; then three linear layers.

    ``width`` scales all hidden layers (64, 128, 256, 512, 512 channels; 1024, 512 features). The input is
    (channels, size, size), at least 32 pixels a side.
    """
    from torch import nn

    if size < 32:
        raise UserError(f"size={size}: five poolings leave nothing of it; at least 32 is needed")
    maps = [channels, *(max(1, round(width * c)) for c in (64, 128, 256, 512, 512))]
    features = [maps[-1] * (size // 32) ** 2, *(max(1, round(width * f)) for f in (1024, 512)), classes]
    blocks = [
        nn.Sequential(nn.Conv2d(c, d, 3, 1, 1), nn.BatchNorm2d(d), nn.ReLU(), nn.MaxPool2d(2))
        for c, d in pairwise(maps)
    ]
    layers: list[nn.Module] = []
    for f, g in pairwise(features):
        layers += [nn.Linear(f, g), nn.ReLU()]
    fc = nn.Sequential(*layers[:-1])
    return nn.Sequential(OrderedDict(cnn=nn.Sequential(*blocks), flatten=nn.Flatten(), fc=fc))
