"""Maps that meet: rows behind rows and columns behind columns, of unequal sizes and from branches of unequal depth."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cnn2rtl
from cnn2rtl.quant.qformat import Scheme


class Joined(nn.Module):
    """A short and a long branch from one stem, what joins them, and a layer that reads the result."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor], channels: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3, padding=1)
        self.short = nn.Conv2d(5, 4, 1)
        self.long = nn.Sequential(nn.Conv2d(5, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1))
        self.join, self.last = join, nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        result: Tensor = self.last(self.join(self.short(x), self.long(x)))
        return result


def attended(p: Tensor, q: Tensor) -> Tensor:
    """The spatial attention of CBAM, without its convolution."""
    both = torch.cat([p.mean(1, keepdim=True), p.max(1, keepdim=True)[0]], 1)
    return p * both.sum(1, keepdim=True).sigmoid()


JOINS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], int]] = {
    "rows of unequal heights": (lambda p, q: torch.cat([p[..., :4], q], 2), 4),
    "the long branch first": (lambda p, q: torch.cat([q, p[..., :4]], 2), 4),
    "columns of unequal widths": (lambda p, q: torch.cat([p[:, :, :3], q], 3), 4),
    "columns, the long branch first": (lambda p, q: torch.cat([q, p[:, :, :3], q], 3), 4),
    "rows of rows": (lambda p, q: torch.cat([torch.cat([q, q], 3), p, p.flip(3)], 2), 4),
    "an activation behind": (lambda p, q: torch.cat([p[..., :4], q], 2).clamp(-0.25, 0.5), 4),
    "the largest channel": (lambda p, q: torch.cat([p.amax(1, keepdim=True)[..., :4], q[:, 1:2]], 2), 1),
    "spatial attention": (attended, 4),
}


@pytest.mark.parametrize(("name", "scheme"), list(zip(JOINS, cycle(["pow2", "scale"]))), ids=str)
def test_maps_that_meet(name: str, scheme: Scheme) -> None:
    """To the bit and to the cycle, with and without stalls."""
    join, channels = JOINS[name]
    torch.manual_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3), np.uint8)
    model = Joined(join, channels).eval()
    design = cnn2rtl.compile(model, (3, 6, 8), calibration=images, scheme=scheme, multipliers=32)
    with torch.no_grad():
        expected = model(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255).numpy()
    found = design.restore(design.golden(images))[0]
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()
    for stall in (0, 30):
        result = cnn2rtl.simulate(design, images, frames=3, stall=stall)
        assert result.passed, result.details
