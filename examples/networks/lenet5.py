"""LeNet-5 (LeCun et al.: *Gradient-Based Learning Applied to Document Recognition*, 1998), with ReLU, max pooling."""

from __future__ import annotations

from torch import Tensor, nn

SHAPE = (1, 32, 32)


class LeNet5(nn.Module):
    """Two convolutions of 5x5, three linear layers."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.c1, self.s2 = nn.Conv2d(1, 6, 5), nn.MaxPool2d(2)
        self.c3, self.s4 = nn.Conv2d(6, 16, 5), nn.MaxPool2d(2)
        self.c5, self.f6, self.output = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.s2(self.c1(x).relu())
        x = self.s4(self.c3(x).relu()).flatten(1)
        scores: Tensor = self.output(self.f6(self.c5(x).relu()).relu())
        return scores
