"""Two inputs and two outputs: an image and numbers that are known of it; scores of the image and a map of spots.

The numbers (of a sensor beside the camera, say) open and close the image's channels, as squeeze-and-excitation does
(Hu et al., 2018), and are weighed beside them in the end.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SHAPES = ((3, 32, 32), (8,))


class Fusion(nn.Module):
    """``forward(image, facts)``: scores, (n, 4), and spots, (n, 2, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, stride=2, padding=1), nn.BatchNorm2d(12), nn.ReLU())
        self.gate = nn.Sequential(nn.Linear(8, 12), nn.Sigmoid())
        self.body = nn.Sequential(nn.Conv2d(12, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.spots = nn.Conv2d(16, 2, 1)
        self.scores = nn.Linear(16 + 8, 4)

    def forward(self, image: Tensor, facts: Tensor) -> tuple[Tensor, Tensor]:
        x = self.body(self.stem(image) * self.gate(facts)[:, :, None, None])
        return self.scores(torch.cat([x.mean((2, 3)), facts], 1)), self.spots(x)
