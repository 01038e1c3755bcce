"""A small depthwise-separable CNN for 8x8 grey digits: 1x8x8 -> 10 classes."""

from __future__ import annotations

import torch
from torch import nn


class DigitNet(nn.Module):
    """Pixels, divided by 255, in; one score per digit out."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
            *self._separable(16, 32),
            nn.MaxPool2d(2),
            *self._separable(32, 64),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d(1),
        )
        self.classifier = nn.Linear(64, 10)

    @staticmethod
    def _separable(channels: int, out_channels: int) -> list[nn.Module]:
        """A 3x3 convolution within each channel, then a 1x1 convolution across them."""
        return [
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU6(),
            nn.Conv2d(channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU6(),
        ]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.classifier(self.features(x).flatten(1))
        return scores
