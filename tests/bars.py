"""A task that is learned in a moment: grey images with a bar that lies, stands, or is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from cnn2rtl.compress.training.feed import Data, Feed
from cnn2rtl.images import ImageSet, Pixels

CLASSES = ("lying", "none", "standing")
SIZE = 8


def bars(count: int, seed: int = 0) -> tuple[Pixels, np.ndarray]:
    """Images (count, 8, 8, 1), and their labels."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 60, (count, SIZE, SIZE, 1), np.uint8)
    labels = np.arange(count) % len(CLASSES)
    for image, label, place in zip(images, labels, random.integers(0, SIZE, count), strict=True):
        if label == 0:
            image[place] += 150
        elif label == 2:
            image[:, place] += 150
    return images, labels


def image_set(count: int, seed: int = 0) -> ImageSet:
    images, labels = bars(count, seed)
    return ImageSet(images, tuple(labels.tolist()), CLASSES, tuple(map(str, range(count))))


def data(count: int = 48) -> Data:
    return Data(Feed(image_set(count), (0.2,), (0.3,)), Feed(image_set(12, 1), (0.2,), (0.3,)))


def write_folders(folder: Path, count: int, seed: int = 0) -> Path:
    """The same as image files, in a folder per class."""
    for index, (image, label) in enumerate(zip(*bars(count, seed), strict=True)):
        file = folder / CLASSES[label] / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(file)
    return folder


def small_net(seed: int = 0, width: int = 6) -> nn.Sequential:
    """With BatchNorm and dropout: what has a state, and what is random."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Dropout(0.2), nn.Linear(2 * width, len(CLASSES)),
        )  # fmt: skip


def assert_same(a: nn.Module, b: nn.Module) -> None:
    """Every weight and every statistic is the same, to the bit."""
    states = a.state_dict(), b.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
