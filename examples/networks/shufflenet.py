"""ShuffleNet V2 (Ma et al., 2018) for small images: half of the channels goes on as it is, then all are shuffled."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SHAPE = (3, 32, 32)


def pointwise(c: int, d: int) -> list[nn.Module]:
    return [nn.Conv2d(c, d, 1, bias=False), nn.BatchNorm2d(d), nn.ReLU()]


def depthwise(c: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(c, c, 3, stride, 1, groups=c, bias=False), nn.BatchNorm2d(c)]


class Unit(nn.Module):
    """One half through three convolutions; with a ``stride`` of 2 both halves are all of the map, made smaller."""

    def __init__(self, c: int, d: int, stride: int) -> None:
        super().__init__()
        half = d // 2
        source = c if stride == 2 else half
        self.stride = stride
        self.left = nn.Sequential(*depthwise(c, 2), *pointwise(c, half)) if stride == 2 else nn.Identity()
        self.right = nn.Sequential(*pointwise(source, half), *depthwise(half, stride), *pointwise(half, half))
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        left, right = (x, x) if self.stride == 2 else x.chunk(2, 1)
        shuffled: Tensor = self.shuffle(torch.cat([self.left(left), self.right(right)], 1))
        return shuffled


class ShuffleNet(nn.Sequential):
    """Two stages of two units each."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__(
            nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            Unit(16, 32, 2), Unit(32, 32, 1), Unit(32, 64, 2), Unit(64, 64, 1),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes),
        )  # fmt: skip
