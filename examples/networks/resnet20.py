"""ResNet-20 for small images (He et al.: *Deep Residual Learning for Image Recognition*, 2015, section 4.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SHAPE = (3, 32, 32)


class Block(nn.Module):
    """Two convolutions, and the input added to what they make; where the map shrinks, through a convolution of 1x1."""

    def __init__(self, c: int, d: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(c, d, 3, stride, 1, bias=False), nn.BatchNorm2d(d)
        self.conv2, self.bn2 = nn.Conv2d(d, d, 3, 1, 1, bias=False), nn.BatchNorm2d(d)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(c, d, 1, stride, bias=False), nn.BatchNorm2d(d))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x))


class ResNet20(nn.Module):
    """Three stages of three blocks, of 16, 32 and 64 channels."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        stages = ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        self.stages = nn.Sequential(
            *(nn.Sequential(Block(c, d, stride), Block(d, d, 1), Block(d, d, 1)) for c, d, stride in stages)
        )
        self.fc = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(torch.relu(self.bn(self.conv(x))))
        scores: Tensor = self.fc(x.mean((2, 3)))
        return scores
