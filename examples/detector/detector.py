"""A small detector as they are published: two scales, and a head that ends in the boxes of both, one after another."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIDE = 32
"""Pixels of an image, each way."""

STRIDES = (4, 8)
"""Pixels between the centres of the boxes of each scale."""

VALUES = 7
"""Of a box: whether there is anything, its middle and its size, (x, y, w, h), and a score for each of two classes."""


def block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Detector(nn.Module):
    """(n, 3, 32, 32) to (n, 80, 7): 8 x 8 boxes for what is small, then 4 x 4 for what is large."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(block(3, 12, 2), block(12, 16, 1), block(16, 24, 2), block(24, 24, 1))
        self.coarse = nn.Sequential(block(24, 32, 2), block(32, 32, 1))
        self.small, self.large = nn.Conv2d(24, VALUES, 1), nn.Conv2d(32, VALUES, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x)
        heads = self.small(fine), self.large(self.coarse(fine))
        return torch.cat([head.permute(0, 2, 3, 1).reshape(head.shape[0], -1, VALUES) for head in heads], 1)
