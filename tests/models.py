"""Networks that the tests share."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from torch import nn

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def need_data(relative: str) -> Path:
    """A path under the shared test data; skips the test where it is absent."""
    path = DATA / relative
    if not path.exists():
        pytest.skip(f"the shared test data (shared/data/{relative}) is not here")
    return path


class StudentNet(nn.Module):
    """The food classifier: 3x128x128 -> 11."""

    WIDTHS = (16, 32, 64, 128, 256, 256, 256, 256)

    def __init__(self, widths: tuple[int, ...] = WIDTHS, classes: int = 11) -> None:
        super().__init__()
        first = nn.Sequential(nn.Conv2d(3, widths[0], 3, 1, 1), nn.BatchNorm2d(widths[0]), nn.ReLU6(), nn.MaxPool2d(2))
        blocks = [self._block(c, d, pool=i < 3) for i, (c, d) in enumerate(pairwise(widths))]
        self.cnn = nn.Sequential(first, *blocks, nn.AdaptiveAvgPool2d(1))
        self.fc = nn.Sequential(nn.Linear(widths[-1], classes))

    @staticmethod
    def _block(c: int, d: int, pool: bool) -> nn.Sequential:
        layers: list[nn.Module] = [
            nn.Conv2d(c, c, 3, 1, 1, groups=c), nn.BatchNorm2d(c), nn.ReLU6(), nn.Conv2d(c, d, 1),
        ]  # fmt: skip
        return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if pool else []))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc(self.cnn(x).flatten(1))
        return out


Net = TypeVar("Net", bound=nn.Module)


class ResNet8(nn.Module):
    """ResNet-8 of MLPerf Tiny, for 3x32x32: three residual blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(_Residual(16, 16, 1), _Residual(16, 32, 2), _Residual(32, 64, 2))
        self.classify = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.classify(self.blocks(self.stem(x)))
        return scores


class _Residual(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        self.skip = nn.Identity() if stride == 1 else nn.Conv2d(before, after, 1, stride)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.act(self.inner(x) + self.skip(x))
        return y


def randomised(model: Net, seed: int = 0) -> Net:
    """``model`` in evaluation mode, with random BatchNorm parameters and statistics (some scales negative)."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for tensor, lo, hi in (
                (module.running_mean, -0.5, 0.5), (module.running_var, 0.2, 2.0),
                (module.weight, -0.5, 1.5), (module.bias, -0.5, 0.5),
            ):  # fmt: skip
                if tensor is not None:
                    with torch.no_grad():
                        tensor.uniform_(lo, hi, generator=generator)
    return model.eval()
