"""MobileNet (Howard et al.: *MobileNets: Efficient CNNs for Mobile Vision Applications*, 2017)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

STAGES = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
"""Channels and stride of each depthwise separable pair."""
LAST_MAP = 4
"""Pixels a side that the last map has at least, where the input has as many."""


def mobilenet_v1(alpha: float = 1.0, size: int = 128, channels: int = 3, classes: int = 11) -> nn.Sequential:
    """A standard convolution and 13 pairs of depthwise and pointwise ones, each with BatchNorm and ReLU.

    ``alpha`` scales all widths. The network of the paper halves its maps five times; for a small input,
    (channels, size, size), the first halvings are left out that would make the last map smaller than ``LAST_MAP``.
    """
    from torch import nn

    width = [max(1, int(alpha * c)) for c in (32, *(c for c, _ in STAGES))]
    strides = [2, *(stride for _, stride in STAGES)]
    spare = 5 - max((n for n in range(6) if size >> n >= LAST_MAP), default=0)
    halving = [index for index, stride in enumerate(strides) if stride == 2]
    for index in halving[:spare]:
        strides[index] = 1
    first = nn.Sequential(
        nn.Conv2d(channels, width[0], 3, strides[0], 1, bias=False), nn.BatchNorm2d(width[0]), nn.ReLU()
    )
    pairs = [_pair(width[i], width[i + 1], strides[i + 1]) for i in range(len(STAGES))]
    cnn = nn.Sequential(first, *pairs, nn.AdaptiveAvgPool2d(1))
    return nn.Sequential(OrderedDict(cnn=cnn, flatten=nn.Flatten(), fc=nn.Sequential(nn.Linear(width[-1], classes))))


def _pair(c: int, d: int, stride: int) -> nn.Sequential:
    from torch import nn

    depthwise = nn.Conv2d(c, c, 3, stride, 1, groups=c, bias=False)
    pointwise = nn.Conv2d(c, d, 1, bias=False)
    return nn.Sequential(depthwise, nn.BatchNorm2d(c), nn.ReLU(), pointwise, nn.BatchNorm2d(d), nn.ReLU())
