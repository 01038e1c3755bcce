"""A small network for accelerometers: 3 axes x 128 readings -> 5 kinds of movement."""

from __future__ import annotations

from torch import nn


class MotionNet(nn.Sequential):
    """Readings in g, whatever the sensor's own units; three strided convolutions over time, a mean, one score each."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs, kernel in ((3, 16, 7), (16, 24, 5), (24, 32, 5)):
            layers += [
                nn.Conv1d(inputs, outputs, kernel, 2, kernel // 2, bias=False),
                nn.BatchNorm1d(outputs),
                nn.ReLU(),
            ]
        super().__init__(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 5))
