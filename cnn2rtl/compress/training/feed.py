"""Labelled images on their way into training: split, checked, and normalised as the hardware will do it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cnn2rtl.compress.training.lesson import CLASSES, Lesson
from cnn2rtl.compress.training.recipe import check_share
from cnn2rtl.errors import UserError
from cnn2rtl.images import ImageSet
from cnn2rtl.tasks import Choice, Wanted, choose_for
from cnn2rtl.tasks.output import Output
from cnn2rtl.tensors import Shape


@dataclass(frozen=True, eq=False)
class Batch:
    """``inputs`` (n, c, h, w), as the network sees them, ``labels`` (n, ...), the right answers of the ``lesson``, and
    ``indices`` (n,) in the feed."""

    inputs: Tensor
    labels: Tensor
    indices: Tensor
    lesson: Lesson = CLASSES


@dataclass(frozen=True, eq=False)
class Feed:
    """Images for a network that is trained on ``(pixel / 255 - mean) / std``, one number or one per channel.

    ``truth``, (n, ...), are the right answers of the ``lesson``; without, they are the images' labels.
    """

    images: ImageSet
    mean: Sequence[float] = (0.0,)
    std: Sequence[float] = (1.0,)
    truth: np.ndarray | None = None
    lesson: Lesson = CLASSES

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> Shape:
        """Of an image: (c, h, w)."""
        _, height, width, channels = self.images.images.shape
        return channels, height, width

    def pixels(self, indices: Tensor, device: torch.device) -> Tensor:
        """Raw pixels, (n, c, h, w), of 8 bits."""
        chosen = torch.from_numpy(self.images.images[indices.numpy()])
        return chosen.to(device).permute(0, 3, 1, 2).contiguous()

    def batch(self, pixels: Tensor, indices: Tensor) -> Batch:
        """The images with these numbers, of which ``pixels`` are the perhaps augmented ones."""
        mean, std = (torch.tensor(v, device=pixels.device).reshape(-1, 1, 1) for v in (self.mean, self.std))
        right = np.array(self.images.labels) if self.truth is None else self.truth
        labels = torch.from_numpy(right[indices.numpy()]).to(pixels.device)
        return Batch((pixels.to(torch.float32) / 255 - mean) / std, labels, indices, self.lesson)

    def digest(self) -> str:
        """Tells whether two feeds give the same."""
        found = hashlib.sha256(np.ascontiguousarray(self.images.images).data)
        found.update(repr((self.images.labels, tuple(self.mean), tuple(self.std), self.lesson)).encode())
        if self.truth is not None:
            found.update(np.ascontiguousarray(self.truth).data)
        return found.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Data:
    """What is trained on, and what the result is measured on."""

    train: Feed
    val: Feed


def split(images: ImageSet, share: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """``images`` to train and to validate on: of every class, or of all where there are none, ``share`` at random.

    No class is left without images to train on. Raises :class:`UserError` where nothing would be left to validate on.
    """
    check_share(share)
    labels = np.zeros(len(images), int) if images.labels is None else np.array(images.labels)
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(images), bool)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        chosen[members[: min(max(1, round(share * len(members))), len(members) - 1)]] = True
    if not chosen.any():
        raise UserError(f"`val_share={share}`: no class has 2 images; give images to validate on with `val=`")
    train, val = (np.flatnonzero(part).tolist() for part in (~chosen, chosen))
    return images.take(train), images.take(val)


def chosen(output: Output, wanted: Wanted, images: ImageSet, source: str) -> Choice:
    """What ``output`` is for, by what is ``wanted`` and by the labels, and the right answers for ``images``.

    Raises :class:`UserError` where there are no labels, or none of this kind.
    """
    labels = images.labels_of((output.name,)).get(output.name)
    if labels is None:
        raise UserError(
            f"{source}: the images have no labels; a subfolder for each class is expected, or labels in the file"
        )
    choice = choose_for(output, wanted, labels)
    if choice.flaw:
        raise UserError(f"{source}: {choice.flaw}")
    return choice


def check_pair(train: ImageSet, val: ImageSet, source: str) -> None:
    """Raise :class:`UserError` where labels of the one do not mean the same in the other, or are too few."""
    if len(train) < 2:
        raise UserError(f"{source}: at least 2 images to train on are expected")
    if train.class_names and val.class_names and train.class_names != val.class_names:
        lists = (set(train.class_names) - set(val.class_names), set(val.class_names) - set(train.class_names))
        found = " and ".join(
            f"{'lacks' if lacks else 'has also'} {', '.join(sorted(names))}"
            for lacks, names in zip((True, False), lists, strict=True)
            if names
        )
        raise UserError(f"{source}: class folders must be those of `data=`, but it {found}")
