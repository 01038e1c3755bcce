"""Networks with several inputs and several outputs: some of everyday life, and random ones."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from anything import AnythingBuilder
from fusion import Fusion
from models import randomised
from torch import Tensor, nn

from cnn2rtl.tensors import Shape


class Heads(nn.Module):
    """A detector: scores of the whole image, a map of boxes, and the features that both are made from."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(6, 5, 1), nn.ReLU())
        self.boxes = nn.Conv2d(5, 4, 3, padding=1)
        self.fc = nn.Linear(5, 7)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.stem(image)
        return self.fc(features.mean((2, 3))), self.boxes(features), features


class Siamese(nn.Module):
    """Two images through the same layers, and how far apart they are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, stride=2)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        a, b = self.conv(first).relu(), self.conv(second).relu()
        apart: Tensor = (a - b).mean((2, 3))
        return apart


class Pyramid(nn.Module):
    """Maps of two sizes that meet; the smaller input is an output as well, as it came."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, fine: Tensor, coarse: Tensor) -> dict[str, Tensor]:
        up = nn.functional.interpolate(coarse, scale_factor=2)
        return {"sum": self.conv(torch.cat([fine, up], 1)), "coarse": coarse}


class Choice(nn.Module):
    """Scores, twice, and which of them is the largest."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scores = self.fc(x)
        return scores.argmax(1), scores, scores


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = {
    "heads": (Heads, ((3, 8, 7),)),
    "fusion": (Fusion, ((3, 9, 7), (8,))),
    "siamese": (Siamese, ((1, 9, 7), (1, 9, 7))),
    "pyramid": (Pyramid, ((1, 6, 8), (2, 3, 4))),
    "choice": (Choice, ((6,),)),
}


class Joined(nn.Module):
    """Random networks side by side, one for each input; their means meet, and some of their maps are outputs."""

    def __init__(self, rng: random.Random, shapes: tuple[Shape, ...]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(AnythingBuilder(rng, shape).build() for shape in shapes)
        maps = [part(torch.zeros(1, *shape)) for part, shape in zip(self.parts, shapes, strict=True)]
        self.fc = nn.Linear(sum(self._mean(x).shape[1] for x in maps), rng.randint(1, 4))
        self.shown = [number for number in range(len(shapes)) if rng.random() < 0.5]

    @staticmethod
    def _mean(x: Tensor) -> Tensor:
        return x if x.dim() == 2 else x.mean((2, 3))

    def forward(self, *images: Tensor) -> tuple[Tensor, ...]:
        maps = [part(x) for part, x in zip(self.parts, images, strict=True)]
        return self.fc(torch.cat([self._mean(x) for x in maps], 1)), *(maps[number] for number in self.shown)


def random_network(seed: int) -> tuple[nn.Module, tuple[Shape, ...]]:
    """The network of ``seed``, and the shapes of its inputs."""
    rng = random.Random(f"several {seed}")
    torch.manual_seed(seed)
    shapes = tuple((rng.randint(1, 4), rng.randint(1, 7), rng.randint(1, 7)) for _ in range(rng.choice([1, 2, 2, 3])))
    return randomised(Joined(rng, shapes), seed), shapes
