"""Random networks of every layer that there is, each fully determined by its seed."""

from __future__ import annotations

import random
from dataclasses import replace

import torch
from generator import BranchBuilder, Case, random_case
from models import randomised
from torch import nn


class Part(nn.Module):
    """Some of a map along one dimension: every ``step``-th from ``start``, or in reverse."""

    def __init__(self, dim: int, start: int, step: int, flip: bool) -> None:
        super().__init__()
        self.dim, self.start, self.step, self.flip = dim, start, step, flip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.narrow(self.dim, self.start, x.shape[self.dim] - self.start)
        x = x[(slice(None),) * self.dim + (slice(None, None, self.step),)]
        return x.flip(self.dim) if self.flip else x

    def extra_repr(self) -> str:
        return f"dim={self.dim}, start={self.start}, step={self.step}, flip={self.flip}"


class Reduced(nn.Module):
    """Mean, sum or maximum over some dimensions, which stay with one value."""

    def __init__(self, name: str, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.name, self.dims = name, dims

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        reduced: torch.Tensor = getattr(x, self.name)(self.dims, True)
        return reduced

    def extra_repr(self) -> str:
        return f"{self.name}, {self.dims}"


class AnythingBuilder(BranchBuilder):
    """Any layer on any of the maps there are, and maps that meet."""

    def build(self) -> nn.Module:
        rng = self.rng
        kinds = (
            self.convolution, self.transposed, self.pool, self.adaptive, self.function, self.padding, self.upsampling,
            self.part, self.shuffle, self.sum, self.join, self.product, self.reduction, self.trifle,
        )  # fmt: skip
        for _ in range(rng.randint(2, 6)):
            if rng.random() < 0.4:
                self._go_to(rng.randrange(len(self.tensors)))
            rng.choice(kinds)()
        if rng.random() < 0.3:
            self.head()
        return self.finished()

    def attempt(self, layer: nn.Module, macs_per_output: int = 1) -> bool:
        """Add ``layer`` if its result has a size, and not too much of it."""
        if not self.fits(layer, macs_per_output):
            return False
        self.add(layer)
        return True

    def convolution(self) -> None:
        """As ever, or with a dilation."""
        rng, c = self.rng, self.channels
        if rng.random() < 0.5:
            return super().convolution()
        kernel, dilation = self.pair(3), self.pair(3)
        groups = rng.choice([g for g in range(1, c + 1) if c % g == 0])
        padding = tuple(rng.randint(0, (k - 1) * d) for k, d in zip(kernel, dilation, strict=True))
        conv = nn.Conv2d(c, groups * rng.randint(1, 3), kernel, self.pair(2), padding, dilation, groups)
        if self.attempt(conv, conv.weight[0].numel()):
            self.activation()
        return None

    def transposed(self) -> None:
        rng, c = self.rng, self.channels
        kernel, stride = self.pair(4), self.pair(3)
        groups = rng.choice([g for g in range(1, c + 1) if c % g == 0])
        padding = tuple(rng.randint(0, k // 2) for k in kernel)
        out = groups * rng.randint(1, 3)
        layer = nn.ConvTranspose2d(c, out, kernel, stride, padding, groups=groups, bias=rng.random() < 0.7)
        if self.attempt(layer, c // groups * kernel[0] * kernel[1]):
            self.activation()

    def pool(self) -> None:
        rng = self.rng
        kernel, stride, ceil = self.pair(4), self.pair(3), rng.random() < 0.5
        padding = tuple(rng.randint(0, k // 2) for k in kernel)
        if rng.random() < 0.5:
            layer = nn.MaxPool2d(kernel, stride, padding, self.pair(2), ceil_mode=ceil)
            if self.fits(layer) and layer(self.x).isfinite().all():
                self.add(layer)
        else:
            override = rng.choice([None, None, rng.randint(1, 9)])
            self.attempt(nn.AvgPool2d(kernel, stride, padding, ceil, rng.random() < 0.5, override))

    def adaptive(self) -> None:
        self.attempt(self.rng.choice([nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d])(self.pair(6)))

    def function(self) -> None:
        rng = self.rng
        functions = (
            nn.SiLU(), nn.GELU(), nn.Sigmoid(), nn.Tanh(), nn.Hardswish(), nn.ELU(), nn.LeakyReLU(0.1), nn.Softplus(),
            nn.Mish(), nn.Softshrink(), nn.PReLU(), nn.PReLU(self.channels),
        )  # fmt: skip
        self.add(rng.choice(functions))

    def padding(self) -> None:
        rng = self.rng
        _, _, h, w = self.x.shape
        around = tuple(rng.randint(0, 2) for _ in range(4))
        inside = tuple(min(n, size - 1) for n, size in zip(around, (w, w, h, h), strict=True))
        self.attempt(
            rng.choice(
                [
                    nn.ZeroPad2d(around), nn.ConstantPad2d(around, rng.uniform(-1, 1)), nn.ReplicationPad2d(around),
                    nn.ReflectionPad2d(inside), nn.CircularPad2d(inside),
                ]
            )
        )  # fmt: skip

    def upsampling(self) -> None:
        rng = self.rng
        factor = self.pair(3)
        if rng.random() < 0.3:
            self.attempt(nn.Upsample(scale_factor=factor, mode="bilinear"), 16)
        else:
            self.attempt(nn.Upsample(scale_factor=factor))

    def part(self) -> None:
        rng = self.rng
        dim = rng.randint(1, 3)
        self.attempt(Part(dim, rng.randrange(self.x.shape[dim]), rng.randint(1, 2), rng.random() < 0.4))

    def shuffle(self) -> None:
        rng, c = self.rng, self.channels
        choices: list[nn.Module] = [nn.ChannelShuffle(g) for g in range(1, c + 1) if c % g == 0]
        choices += [nn.PixelShuffle(2)] if c % 4 == 0 else []
        choices += [nn.PixelUnshuffle(2)] if all(size % 2 == 0 for size in self.x.shape[2:]) else []
        self.attempt(rng.choice(choices))

    def reduction(self) -> None:
        rng = self.rng
        dims = tuple(sorted(rng.sample([1, 2, 3], rng.randint(1, 3))))
        name = rng.choice(["mean", "sum", "amax"]) if 1 not in dims else rng.choice(["mean", "sum"])
        self.attempt(Reduced(name, dims))

    def product(self) -> None:
        """This map and one that torch broadcasts to it, gated as often as not."""
        rng, here = self.rng, self.at
        if rng.random() < 0.5:
            self.reduction()
            self.add(nn.Sigmoid())
        others = [i for i, x in enumerate(self.tensors) if self._broadcasts(x, self.tensors[here])]
        self._made("mul", (here, rng.choice(others)), self.tensors[here])

    @staticmethod
    def _broadcasts(x: torch.Tensor, to: torch.Tensor) -> bool:
        return all(size in (1, other) for size, other in zip(x.shape, to.shape, strict=True))


def any_case(seed: int) -> Case:
    """The network of ``seed``: any layers, with branches."""
    case, rng = random_case(seed), random.Random(f"anything {seed}")
    torch.manual_seed(seed)
    return replace(case, model=randomised(AnythingBuilder(rng, case.shape).build(), seed))
