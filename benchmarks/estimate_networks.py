"""The networks that the resource estimate is judged by; none of them has any part in its coefficients."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import common
import torch

# Found only since `common` has put their folders on the path.
from generator import random_case
from model import DigitNet
from models import randomised
from torch import nn

from cnn2rtl.compiled import Compiled
from cnn2rtl.frontend import capture
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.schedule import Target


class Residual(nn.Module):
    """A stem, a block with a skip, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
        self.head = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head(x + self.block(x))


class Branch(nn.Module):
    """Two convolutions of different size side by side, their channels concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.small = nn.Sequential(nn.Conv2d(4, 6, 1), nn.ReLU())
        self.large = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.ReLU())
        self.head = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(12, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([self.small(x), self.large(x)], 1))


class SqueezeExcite(nn.Module):
    """Channels are weighted by what their means say (Hu et al., 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU())
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1), nn.ReLU(), nn.Conv2d(4, 16, 1), nn.Sigmoid()
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head(x * self.weigh(x))


def series() -> nn.Module:
    """A one-dimensional convolutional network."""
    return nn.Sequential(
        nn.Conv1d(2, 8, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(8, 12, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(12, 6),
    )  # fmt: skip


def perceptron() -> nn.Module:
    """Fully connected, with sigmoids."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(144, 40), nn.Sigmoid(), nn.Linear(40, 24), nn.Sigmoid(), nn.Linear(24, 3)
    )


def m5_stem() -> nn.Module:
    """The first layers of M5 for raw sound (Dai et al., 2017), half as wide."""
    return nn.Sequential(
        nn.Conv1d(1, 16, 80, stride=16), nn.ReLU(), nn.MaxPool1d(4), nn.Conv1d(16, 16, 3), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


BUILT: Mapping[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "residual": (Residual, (3, 16, 16)),
    "branch": (Branch, (4, 12, 12)),
    "series": (series, (2, 64)),
    "se": (SqueezeExcite, (3, 16, 16)),
    "mlp": (perceptron, (1, 12, 12)),
    "m5": (m5_stem, (1, 800)),
    "digits": (DigitNet, (1, 8, 8)),
}
NETWORKS = (
    "student-64", "student-156", "digits-64", "random-3", "random-8", "random-21",
    "residual-16", "branch-12", "series-8", "se-8", "mlp-8", "m5-4",
)  # fmt: skip
"""``NAME-N``: a network on N multipliers; ``random-N`` is the random network of the tests with the seed N."""


def compiled(name: str) -> Compiled:
    """The network of that name, with random weights, the same ones each time."""
    kind, number = name.split("-")
    torch.manual_seed(0)
    if kind == "random":
        return random_case(int(number)).compile()
    options = Options(target=Target(multipliers=int(number)))
    if kind == "student":
        return compile_graph(common.student(), options)
    build, shape = BUILT[kind]
    return compile_graph(capture(randomised(build()), shape, kind), options)
