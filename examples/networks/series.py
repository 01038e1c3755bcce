"""A network on a time series: six channels of an inertial sensor, 128 samples each, for the kind of a movement."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SHAPE = (6, 128)


class Block(nn.Module):
    """A dilated convolution, gated by its own channels' means (squeeze and excitation), and a skip around both."""

    def __init__(self, c: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(c, c, 5, padding="same", dilation=dilation, bias=False)
        self.bn = nn.BatchNorm1d(c)
        self.act = nn.SiLU()
        self.squeeze, self.excite = nn.Linear(c, c // 4), nn.Linear(c // 4, c)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.bn(self.conv(x)))
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(y.mean(2)))))
        return x + y * gate[:, :, None]


class SeriesNet(nn.Sequential):
    """Three blocks whose dilation doubles, between a strided convolution and a linear layer."""

    def __init__(self, classes: int = 6, width: int = 16) -> None:
        super().__init__(
            nn.Conv1d(6, width, 7, stride=2, padding=3), nn.BatchNorm1d(width), nn.ReLU(),
            *(Block(width, 2**k) for k in range(3)),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, classes),
        )  # fmt: skip
