"""An autoencoder of linear layers, as it finds anomalies in machine noise: what it cannot reproduce is new to it.

An image is five frames of 64 frequency bands.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

SHAPE = (1, 5, 64)


class Autoencoder(nn.Sequential):
    """From 320 numbers through 8 and back to 320."""

    def __init__(self, hidden: int = 64, code: int = 8) -> None:
        size = SHAPE[1] * SHAPE[2]
        widths = (size, hidden, hidden, code, hidden, hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for c, d in pairwise(widths):
            layers += [nn.Linear(c, d), nn.BatchNorm1d(d), nn.ReLU()]
        super().__init__(*layers, nn.Linear(hidden, size))
