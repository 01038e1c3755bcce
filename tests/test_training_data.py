"""What comes before a training step: the recipe's numbers, labelled images, and how they are changed at random."""

from __future__ import annotations

from dataclasses import replace
from math import pi

import bars
import numpy as np
import pytest
import torch
from torch import Tensor

from cnn2rtl.compress.training import augment
from cnn2rtl.compress.training.feed import Feed, check_pair, chosen, split
from cnn2rtl.compress.training.loop import _batches
from cnn2rtl.compress.training.recipe import Recipe
from cnn2rtl.errors import UserError
from cnn2rtl.images import ImageSet
from cnn2rtl.tasks.output import Output

RECIPE = Recipe(epochs=3, batch=16, rate=0.01, flip=True, shift=1, zoom=1.2, jitter=0.1, smoothing=0.1)
CPU = torch.device("cpu")


# ------------------------------------------------------------------------------------------------------------- recipe


def test_schedules() -> None:
    recipe = Recipe(epochs=10, warm_up=2, rate=1.0)
    epochs = (0, 1, 2, 6, 8, 10)
    cosine = [0, 0.5, 1, 0.5, (1 + np.cos(0.75 * pi)) / 2, 0]
    assert [recipe.rate_at(epoch) for epoch in epochs] == pytest.approx(cosine)
    assert [replace(recipe, schedule="step").rate_at(e) for e in epochs] == pytest.approx([0, 0.5, 1, 0.1, 0.01, 0.01])
    assert [replace(recipe, schedule="constant").rate_at(e) for e in epochs] == pytest.approx([0, 0.5, 1, 1, 1, 1])


def test_all_that_is_wrong_with_a_recipe() -> None:
    with pytest.raises(UserError) as caught:
        Recipe(epochs=0, batch=1, rate=float("nan"), smoothing=1.0, zoom=0.5, seed=-1).check()
    assert caught.value.problems == (
        "--epochs 0: at least 1 is expected", "--batch 1: at least 2 is expected",
        "--rate nan: 1e-09 to 100 is expected", "--smoothing 1.0: 0 to 0.9999 is expected",
        "--zoom 0.5: 1 to 16 is expected", "--seed -1: 0 to 2.14748e+09 is expected",
    )  # fmt: skip
    with pytest.raises(UserError, match="`warm_up=3`: fewer than the 3 epochs are expected"):
        Recipe(epochs=3, warm_up=3).check()


# --------------------------------------------------------------------------------------------------------------- data


def test_the_split_takes_of_every_class() -> None:
    labels = (0,) * 20 + (1,) * 10 + (2,) * 2 + (3,)
    images = ImageSet(np.arange(33, dtype=np.uint8)[:, None, None, None], labels, (), tuple(map(str, range(33))))
    train_part, val = split(images, 0.2, 0)
    counts = [[part.labels.count(label) for label in range(4)] for part in (train_part, val) if part.labels]
    assert counts == [[16, 8, 1, 1], [4, 2, 1, 0]]
    assert sorted({*train_part.names, *val.names}, key=int) == list(images.names)
    assert all(str(int(image.item())) == name for image, name in zip(val.images, val.names, strict=True))
    assert split(images, 0.2, 0)[1].names == val.names != split(images, 0.2, 1)[1].names
    with pytest.raises(UserError, match="`val_share=0`: a number between 0 and 1"):
        split(images, 0, 0)
    with pytest.raises(UserError, match="no class has 2 images; give images to validate on with `val=`"):
        split(images.take([0, 32]), 0.5, 0)


def test_what_labels_must_be() -> None:
    images = bars.image_set(6)
    three, four, two = (Output("output", (c, 1, 1), "", c) for c in (3, 4, 2))
    assert chosen(three, None, images, "x").task.kind == "classification"
    with pytest.raises(UserError, match="x: 3 class folders, but the network has 4 outputs"):
        chosen(four, None, images, "x")
    with pytest.raises(UserError, match="x: label 2 is none of the network's outputs, 0 to 1"):
        chosen(two, None, replace(images, class_names=()), "x")
    with pytest.raises(UserError, match="x: the images have no labels"):
        chosen(three, None, replace(images, labels=None), "x")
    with pytest.raises(UserError, match="v: class folders must be those of `data=`, but it lacks none and has also no"):
        check_pair(images, replace(images, class_names=("lying", "no", "standing")), "v")
    with pytest.raises(UserError, match="at least 2 images to train on"):
        check_pair(images.take([0]), images, "v")


def test_a_feed_normalises_as_the_hardware_does() -> None:
    images = ImageSet(np.full((2, 1, 2, 3), (0, 51, 255), np.uint8), (1, 0), (), ("a", "b"))
    feed = Feed(images, (0.5, 0.0, 0.2), (0.5, 1.0, 2.0))
    batch = feed.batch(feed.pixels(torch.tensor([1, 0]), CPU), torch.tensor([1, 0]))
    assert batch.labels.tolist() == [0, 1] and batch.indices.tolist() == [1, 0]
    assert batch.inputs.shape == (2, 3, 1, 2)
    torch.testing.assert_close(batch.inputs[0, :, 0, 0], torch.tensor([-1.0, 0.2, 0.4]))
    assert feed.digest() == Feed(images, (0.5, 0.0, 0.2), (0.5, 1.0, 2.0)).digest()
    others = (Feed(images), Feed(replace(images, labels=(0, 0))), Feed(images.take([1, 0])))
    assert len({feed.digest(), *(other.digest() for other in others)}) == 4


def test_the_last_image_is_never_alone() -> None:
    assert [len(part) for part in _batches(torch.arange(9), 4)] == [4, 5]
    assert [len(part) for part in _batches(torch.arange(10), 4)] == [4, 4, 2]
    assert [len(part) for part in _batches(torch.arange(1), 4)] == [1]
    assert torch.equal(torch.cat(_batches(torch.arange(9), 4)), torch.arange(9))


# ------------------------------------------------------------------------------------------------------- augmentation

PIXELS = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 3, 5, 7), np.uint8))


def test_flips_and_shifts_are_exact() -> None:
    flipped = augment.flipped(PIXELS, torch.tensor([True, False, True, False]))
    assert flipped.dtype == torch.uint8
    np.testing.assert_array_equal(flipped[::2], PIXELS[::2].numpy()[..., ::-1])
    assert torch.equal(flipped[1::2], PIXELS[1::2])
    shifted = augment.shifted(PIXELS, torch.tensor([1, 0, -2, 0]), torch.tensor([0, -3, 0, 0]))
    assert shifted.dtype == torch.uint8
    assert torch.equal(shifted[0, :, 1:], PIXELS[0, :, :-1]) and torch.equal(shifted[0, :, 0], PIXELS[0, :, 0])
    assert torch.equal(shifted[1, ..., :-3], PIXELS[1, ..., 3:])
    assert torch.equal(shifted[1, ..., -3:], PIXELS[1, ..., -1:].expand(3, 5, 3))
    assert torch.equal(shifted[2, :, :-2], PIXELS[2, :, 2:]) and torch.equal(shifted[3], PIXELS[3])


def test_a_zoom_shows_a_part() -> None:
    ramp = torch.arange(16.0).expand(2, 1, 16, 16)
    none = augment.zoomed(ramp, torch.ones(2), torch.zeros(2), torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(none, ramp)
    twice = augment.zoomed(ramp, torch.full((2,), 2.0), torch.zeros(2), torch.tensor([-1.0, 1.0]))
    expected = torch.arange(16) / 2 - 0.25
    torch.testing.assert_close(twice[0, 0, 0], expected.clamp(min=0))
    torch.testing.assert_close(twice[1, 0, 0], (expected + 8).clamp(max=15))


def test_colours() -> None:
    one = torch.ones(4)
    torch.testing.assert_close(augment.coloured(PIXELS, one, one, one), PIXELS.to(torch.float32))
    light = augment.coloured(PIXELS, one * 0.5, one, one)
    torch.testing.assert_close(light, PIXELS / 2)
    flat = augment.coloured(PIXELS, one, one * 0, one)
    torch.testing.assert_close(flat, PIXELS.to(torch.float32).mean((1, 2, 3), keepdim=True).expand_as(flat))
    grey = augment.coloured(PIXELS, one, one, one * 0)
    torch.testing.assert_close(grey[:, 0], grey[:, 2])
    assert augment.coloured(PIXELS, one * 2, one * 2, one).max() == 255


def test_augmentation_follows_the_generator() -> None:
    def changed(seed: int, recipe: Recipe = RECIPE) -> Tensor:
        return augment.augmented(PIXELS, recipe, torch.Generator().manual_seed(seed))

    assert torch.equal(changed(0), changed(0)) and not torch.equal(changed(0), changed(1))
    assert not torch.equal(changed(0)[0], augment.augmented(PIXELS[1:], RECIPE, torch.Generator().manual_seed(0))[0])
    plain = Recipe()
    assert torch.equal(changed(0, plain), PIXELS) and not plain.augments and RECIPE.augments
    # One pixel, one channel: there is nothing to move.
    one = torch.full((2, 1, 1, 1), 7, dtype=torch.uint8)
    still = augment.augmented(one, replace(RECIPE, jitter=0), torch.Generator().manual_seed(0))
    torch.testing.assert_close(still, one.to(torch.float32))
