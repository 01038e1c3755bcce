"""SqueezeNet (Iandola et al., 2016) for small images: Fire modules join what two convolutions make of one map."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SHAPE = (3, 32, 32)


class Fire(nn.Module):
    """A map squeezed into few channels, then expanded by convolutions of 1x1 and of 3x3 side by side."""

    def __init__(self, c: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(c, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.expand1x1(x)), torch.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Sequential):
    """Four Fire modules between three poolings, and a convolution in place of a linear layer."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__(
            nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            Fire(32, 8, 32), Fire(64, 8, 32), nn.MaxPool2d(2),
            Fire(64, 16, 64), Fire(128, 16, 64), nn.MaxPool2d(2),
            nn.Conv2d(128, classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
