"""The food classifier that the toolkit is measured by: small, depthwise separable."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING

from cnn2rtl.errors import UserError

if TYPE_CHECKING:
    from torch import nn

WIDTHS = (16, 32, 64, 128, 256, 256, 256, 256)


def student_net(widths: tuple[int, ...] = WIDTHS, channels: int = 3, classes: int = 11) -> nn.Sequential:
    """A standard convolution, then depthwise and pointwise ones in turn, a global average and a linear layer.

    ``widths`` are the channels after each of them, one per pair. Maps are halved four times, by max pooling after the
    first convolution and the next three pairs; the input is (channels, h, w), at least 16 pixels a side.
    """
    from torch import nn

    if len(widths) < 2:
        raise UserError(f"widths={'-'.join(map(str, widths))}: at least two are needed")
    first = nn.Sequential(
        nn.Conv2d(channels, widths[0], 3, 1, 1), nn.BatchNorm2d(widths[0]), nn.ReLU6(), nn.MaxPool2d(2)
    )
    pairs = [_pair(c, d, pool=index < 3) for index, (c, d) in enumerate(pairwise(widths))]
    cnn = nn.Sequential(first, *pairs, nn.AdaptiveAvgPool2d(1))
    return nn.Sequential(OrderedDict(cnn=cnn, flatten=nn.Flatten(), fc=nn.Sequential(nn.Linear(widths[-1], classes))))


def _pair(c: int, d: int, pool: bool) -> nn.Sequential:
    from torch import nn

    depthwise = nn.Conv2d(c, c, 3, 1, 1, groups=c)
    layers: list[nn.Module] = [depthwise, nn.BatchNorm2d(c), nn.ReLU6(), nn.Conv2d(c, d, 1)]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if pool else []))
