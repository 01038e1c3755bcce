"""MobileNetV2 (Sandler et al.: *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, 2018) for small images."""

from __future__ import annotations

from torch import Tensor, nn

SHAPE = (3, 64, 64)
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks, and stride of the first block."""


def _unit(c: int, d: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(c, d, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(d), nn.ReLU6()]


class InvertedResidual(nn.Module):
    """Pointwise to more channels, depthwise, pointwise back without an activation; the input is added where it fits."""

    def __init__(self, c: int, d: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = c * expansion
        expand = _unit(c, wide, 1) if expansion > 1 else []
        depthwise = _unit(wide, wide, 3, stride, wide)
        self.conv = nn.Sequential(*expand, *depthwise, nn.Conv2d(wide, d, 1, bias=False), nn.BatchNorm2d(d))
        self.adds = stride == 1 and c == d

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.adds else y


class MobileNetV2(nn.Module):
    """``width`` scales all channels."""

    def __init__(self, width: float = 0.25, classes: int = 10) -> None:
        super().__init__()
        c = max(4, int(32 * width))
        layers = _unit(3, c, 3, 2)
        for expansion, channels, blocks, stride in STAGES:
            d = max(4, int(channels * width))
            for number in range(blocks):
                layers.append(InvertedResidual(c, d, 1 if number else stride, expansion))
                c = d
        self.features = nn.Sequential(*layers, *_unit(c, 4 * c, 1), nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Linear(4 * c, classes)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.features(x).flatten(1))
        return scores
