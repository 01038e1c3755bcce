"""A depthwise separable network for keyword spotting (Zhang et al.: *Hello Edge*, 2017), its small variant.

An image is a second of speech: 49 frames of 10 coefficients.
"""

from __future__ import annotations

from torch import nn

SHAPE = (1, 49, 10)


def _unit(*layers: nn.Module, channels: int) -> list[nn.Module]:
    return [*layers, nn.BatchNorm2d(channels), nn.ReLU()]


class DSCNN(nn.Sequential):
    """A convolution of 10x4 with stride 2, then four pairs of depthwise and pointwise ones."""

    def __init__(self, channels: int = 64, words: int = 12) -> None:
        first = nn.Conv2d(1, channels, (10, 4), stride=(2, 2), padding=(5, 1), bias=False)
        layers = _unit(first, channels=channels)
        for _ in range(4):
            layers += _unit(nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False), channels=channels)
            layers += _unit(nn.Conv2d(channels, channels, 1, bias=False), channels=channels)
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, words))
