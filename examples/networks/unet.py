"""A small U-Net (Ronneberger et al., 2015): a class for every pixel, from maps that get smaller and larger again."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SHAPE = (1, 32, 32)


class Twice(nn.Sequential):
    """Two convolutions."""

    def __init__(self, c: int, d: int) -> None:
        layers: list[nn.Module] = []
        for source in (c, d):
            layers += [nn.Conv2d(source, d, 3, padding=1, bias=False), nn.BatchNorm2d(d), nn.ReLU()]
        super().__init__(*layers)


class UNet(nn.Module):
    """Two levels down, two up by transposed convolutions, each joined with what it skipped."""

    def __init__(self, classes: int = 3, width: int = 8) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = Twice(1, width), Twice(width, 2 * width), Twice(2 * width, 4 * width)
        self.pool = nn.MaxPool2d(2)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.join2 = Twice(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.join1 = Twice(2 * width, width)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip1 = self.down1(x)
        skip2 = self.down2(self.pool(skip1))
        x = self.up2(self.bottom(self.pool(skip2)))
        x = self.up1(self.join2(torch.cat([skip2, x], 1)))
        scores: Tensor = self.head(self.join1(torch.cat([skip1, x], 1)))
        return scores
