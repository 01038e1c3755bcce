"""Training: what it does to weights and images, and that no interruption changes the result."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from math import pi
from pathlib import Path

import bars
import numpy as np
import pytest
import torch
from command_line import contents, mistakes, run, succeed
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from cnn2rtl.compress.modules import read_module
from cnn2rtl.compress.training import augment, checkpoint, record
from cnn2rtl.compress.training.checkpoint import Checkpoint, check_folder
from cnn2rtl.compress.training.device import repeatable
from cnn2rtl.compress.training.feed import Batch, Data, Feed, check_labels, check_pair, split
from cnn2rtl.compress.training.loop import _batches, train
from cnn2rtl.compress.training.objective import Objective, cross_entropy
from cnn2rtl.compress.training.recipe import Recipe
from cnn2rtl.compress.training.score import EpochScore, classes_of, measure
from cnn2rtl.errors import UserError
from cnn2rtl.images import ImageSet

RECIPE = Recipe(epochs=3, batch=16, rate=0.01, flip=True, shift=1, zoom=1.2, jitter=0.1, smoothing=0.1)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def no_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take longer than training does here."""
    monkeypatch.setattr(record, "draw", lambda folder, scores: None)


def trained(folder: Path, recipe: Recipe = RECIPE, data: Data | None = None, epochs: int = 99) -> nn.Module:
    """A network that has been trained in ``folder``, stopped after so many epochs."""
    module = bars.small_net()
    for score in train(module, data or bars.data(), recipe, cross_entropy(recipe.smoothing), folder):
        if score.epoch == epochs:
            break
    return module


def assert_same(a: nn.Module, b: nn.Module) -> None:
    states = a.state_dict(), b.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


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
    with pytest.raises(UserError, match="--warm-up 3: fewer than the 3 epochs are expected"):
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
    with pytest.raises(UserError, match="--val-share 0: a number between 0 and 1"):
        split(images, 0, 0)
    with pytest.raises(UserError, match="no class has 2 images; give images to validate on with --val"):
        split(images.take([0, 32]), 0.5, 0)


def test_what_labels_must_be() -> None:
    images = bars.image_set(6)
    check_labels(images, 3, "x")
    with pytest.raises(UserError, match="x: 3 class folders, but the network has 4 outputs"):
        check_labels(images, 4, "x")
    with pytest.raises(UserError, match="x: label 2 is none of the network's outputs, 0 to 1"):
        check_labels(replace(images, class_names=()), 2, "x")
    with pytest.raises(UserError, match="x: the images have no labels"):
        check_labels(replace(images, labels=None), 3, "x")
    with pytest.raises(UserError, match="v: class folders must be those of --data, but it lacks none and has also no"):
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


# --------------------------------------------------------------------------------------------------------------- loop


def test_it_learns_and_keeps_the_best(tmp_path: Path) -> None:
    data, recipe = bars.data(96), Recipe(epochs=15, batch=8, rate=0.02)
    module, seen = bars.small_net(), []
    for score in train(module, data, recipe, cross_entropy(), tmp_path):
        seen.append(score)
        assert check_folder(tmp_path) == score.epoch
        # What the score says of the weights, it has measured.
        assert measure(module, data.val, CPU, 5) == pytest.approx((score.val_loss, score.val_accuracy))
    best = max(seen, key=lambda s: (s.val_accuracy, -s.val_loss))
    assert best == [score for score in seen if score.best][-1]
    assert best.val_accuracy > 0.9
    assert not module.training
    assert measure(module, data.val, CPU, 64) == pytest.approx((best.val_loss, best.val_accuracy))
    assert_same(module, read_module(tmp_path / "network.pt"))


def test_keep_last(tmp_path: Path) -> None:
    module = trained(tmp_path, replace(RECIPE, keep="last"))
    run_of = checkpoint.load(tmp_path)
    assert run_of is not None
    assert all(torch.equal(run_of.network[name], tensor) for name, tensor in module.state_dict().items())


@pytest.mark.usefixtures("no_curve")
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("stop", [1, 2])
def test_going_on_gives_the_same_weights(tmp_path: Path, optimiser: str, stop: int) -> None:
    recipe = replace(RECIPE, optimiser=optimiser)
    whole = trained(tmp_path / "whole", recipe)
    trained(tmp_path / "parts", recipe, epochs=stop)
    torch.rand(7)
    assert_same(trained(tmp_path / "parts", recipe), whole)
    logs = [json.loads((tmp_path / name / "log.json").read_text()) for name in ("whole", "parts")]
    for log in logs:
        for row in log["epochs"]:
            del row["seconds"]
    assert logs[0] == logs[1]
    # There is nothing left to do, and still the result is there.
    assert_same(trained(tmp_path / "parts", recipe), whole)


@pytest.mark.usefixtures("no_curve")
def test_seeds_differ(tmp_path: Path) -> None:
    states = [trained(tmp_path / str(seed), replace(RECIPE, seed=seed)).state_dict() for seed in (0, 1)]
    assert not torch.equal(states[0]["0.weight"], states[1]["0.weight"])


def test_randomness_is_borrowed() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with repeatable(CPU, None, 0, 1) as generator:
        assert torch.are_deterministic_algorithms_enabled()
        numbers = torch.rand(2), torch.rand(2, generator=generator)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.rand(2), expected)
    with repeatable(CPU, False, 0, 1) as generator:
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.equal(torch.rand(2), numbers[0])
        assert torch.equal(torch.rand(2, generator=generator), numbers[1])


def test_steps_are_those_of_the_objective(tmp_path: Path) -> None:
    """One step of plain gradient descent, by hand; the penalty's gradient is among it, decay spares biases."""
    data = bars.data()
    recipe = Recipe(
        epochs=1, batch=len(data.train), rate=0.1, optimiser="sgd", momentum=0, schedule="constant", weight_decay=0.5
    )
    module, by_hand = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), nn.Linear(64, 3)
    by_hand.load_state_dict(module[1].state_dict())

    def penalty(network: nn.Module) -> Tensor:
        return 0.3 * torch.stack([parameter.abs().sum() for parameter in network.parameters()]).sum()

    objective = Objective(lambda scores, batch: 2 * F.cross_entropy(scores, batch.labels), penalty)
    (score,) = train(module, data, recipe, objective, tmp_path)
    everything = torch.arange(len(data.train))
    batch = data.train.batch(data.train.pixels(everything, CPU), everything)
    loss = 2 * F.cross_entropy(by_hand(batch.inputs.flatten(1)), batch.labels) + penalty(by_hand)
    loss.backward()
    assert score.loss == pytest.approx(loss.item()) and score.rate == 0.1
    for name, decay in (("weight", 0.5), ("bias", 0.0)):
        parameter = getattr(by_hand, name)
        expected = parameter - 0.1 * (parameter.grad + decay * parameter)
        torch.testing.assert_close(getattr(module[1], name), expected)


def test_smoothing_is_that_of_the_recipe() -> None:
    scores, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    batch = Batch(torch.zeros(4, 1, 1, 1), labels, torch.arange(4))
    torch.testing.assert_close(
        cross_entropy(0.2).loss(scores, batch), F.cross_entropy(scores, labels, label_smoothing=0.2)
    )


@pytest.mark.usefixtures("no_curve")
def test_another_run_is_refused(tmp_path: Path) -> None:
    trained(tmp_path, epochs=2)
    before = contents(tmp_path)
    with pytest.raises(UserError) as caught:
        trained(tmp_path, replace(RECIPE, rate=0.02, epochs=4, device="cpu"))
    assert str(caught.value) == (
        f"{tmp_path}: holds 2 epochs of a run with epochs 3 (now 4), rate 0.01 (now 0.02); run it as it was begun, "
        "choose another folder with --run, or give --restart --force to discard it"
    )
    with pytest.raises(UserError, match=r"a run with images \w{16} \(now \w{16}\);"):
        trained(tmp_path, data=bars.data(51))
    with pytest.raises(UserError, match=r"a run with network \w{16} \(now \w{16}\);"):
        train(bars.small_net(1), bars.data(), RECIPE, cross_entropy(0.1), tmp_path)
    objective = Objective(cross_entropy(0.1).loss, about={"strength": 3})
    with pytest.raises(UserError, match=r"a run with strength None \(now 3\);"):
        train(bars.small_net(), bars.data(), RECIPE, objective, tmp_path)
    assert contents(tmp_path) == before


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    trained(tmp_path, epochs=1)
    file = tmp_path / "checkpoint.pt"
    for damage in (file.read_bytes()[:-100], b"", b"nonsense"):
        file.write_bytes(damage)
        with pytest.raises(UserError, match=r"checkpoint\.pt: damaged, or nothing that a run wrote"):
            check_folder(tmp_path)
    checkpoint.write_tensors(file, {"scores": [], "other": 1})
    with pytest.raises(UserError, match=r"checkpoint\.pt: damaged"):
        check_folder(tmp_path)


def test_folders_that_hold_something_else(tmp_path: Path) -> None:
    assert check_folder(tmp_path / "new") == 0 and check_folder(tmp_path) == 0
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"exists and holds thesis\.txt, but no run"):
        check_folder(tmp_path)
    with pytest.raises(UserError, match="exists and is no folder"):
        check_folder(tmp_path / "thesis.txt")
    (tmp_path / "thesis.txt").rename(tmp_path / "teacher.pt")
    assert check_folder(tmp_path) == 0
    trained(tmp_path, epochs=1)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds a run; give --force as well to discard it"):
        check_folder(tmp_path, restart=True)
    assert check_folder(tmp_path, restart=True, force=True) == 0 and check_folder(tmp_path) == 1
    checkpoint.discard(tmp_path)
    assert list(contents(tmp_path)) == ["thesis.txt"]


def test_a_loss_that_is_no_number(tmp_path: Path) -> None:
    objective = Objective(lambda scores, batch: scores.sum() * float("nan"))
    with pytest.raises(UserError, match=r"epoch 1: the loss is no number any more; a smaller --rate than 0.01"):
        list(train(bars.small_net(), bars.data(), RECIPE, objective, tmp_path))
    assert contents(tmp_path) == {}


def test_networks_that_cannot_be_trained(tmp_path: Path) -> None:
    fixed = bars.small_net().requires_grad_(False)
    with pytest.raises(UserError, match="the network has no weights that can be trained"):
        train(fixed, bars.data(), RECIPE, cross_entropy(), tmp_path)
    with pytest.raises(UserError, match=r"net: does not take an input of 3x8x8 .*; see --input"):
        classes_of(bars.small_net(), (3, 8, 8), "net")
    with pytest.raises(UserError, match="net: one score per class is expected for an image, but its output is 1x4x6x6"):
        classes_of(nn.Conv2d(1, 4, 3), (1, 8, 8), "net")
    assert classes_of(nn.Conv2d(1, 4, 8), (1, 8, 8), "net") == 4


def test_the_log_tells_of_every_epoch(tmp_path: Path) -> None:
    trained(tmp_path)
    run_of = checkpoint.load(tmp_path)
    assert isinstance(run_of, Checkpoint)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    log = json.loads((tmp_path / "log.json").read_text())
    assert [EpochScore(**row) for row in log["epochs"]] == list(run_of.scores) and len(rows) == 3
    for row, score in zip(rows, run_of.scores, strict=True):
        assert row == {name: str(value) for name, value in vars(score).items()}
    assert log["run"]["epochs"] == 3 and log["run"]["zoom"] == 1.2 and "device" not in log["run"]
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.format == "PNG" and picture.width == 900


# ------------------------------------------------------------------------------------------------------- command line

OPTIONS = ("--input", "1x8x8", "--batch", "8", "--rate", "0.02", "--shift", "1", "--mean", "0.2", "--std", "0.3")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images in folders and in a file, and an untrained network."""
    folder = tmp_path_factory.mktemp("work")
    bars.write_folders(folder / "images", 90)
    bars.write_folders(folder / "val", 30, 1)
    images, labels = bars.bars(90)
    np.savez(folder / "bars.npz", images=images, labels=labels)
    torch.save(bars.small_net(), folder / "net.pt")
    return folder


def test_from_images_to_a_design(work: Path, tmp_path: Path) -> None:
    for bad in ("images/lying/00.png", "val/none/00.png"):
        file = tmp_path / bad
        file.parent.mkdir(parents=True)
        file.write_bytes(b"no image")
    for folder in ("images", "val"):
        for image in (work / folder).glob("*/*.png"):
            target = tmp_path / image.relative_to(work)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(image.read_bytes())
    text = succeed(
        "compress", "train", work / "net.pt", "--data", "images", "--val", "val", *OPTIONS, "--epochs", "8",
        "-o", "a.pt", cwd=tmp_path,
    )  # fmt: skip
    lines = text.splitlines()
    assert lines[0] == "90 images to train on, 30 to validate on, on cpu, seed 0"
    assert lines[1].startswith("skipped images/lying/00.png: not a readable image (")
    assert lines[2].startswith("skipped val/none/00.png: not a readable image (")
    assert lines[3].startswith("epoch 1 of 8: loss ") and lines[3].endswith("% right, the best")
    assert lines[11] == "note 2 images could not be read and were skipped"
    assert lines[12].startswith("a.pt: epoch ")
    command = lines[12].partition("; next, ")[2]
    assert command == "cnn2rtl generate a.pt --input 1x8x8 --mean 0.2 --std 0.3 --calib images"
    (tmp_path / "images/lying/00.png").unlink()
    succeed(*command.split()[1:], "-o", "out", cwd=tmp_path)
    assert "PASS" in succeed("simulate", "out", cwd=tmp_path)
    assert sorted(path.name for path in (tmp_path / "a.run").iterdir()) == [
        "checkpoint.pt", "curve.png", "log.csv", "log.json", "network.pt",
    ]  # fmt: skip


def test_killed_at_any_time_it_gives_the_same_weights(work: Path, tmp_path: Path) -> None:
    train_it = ("compress", "train", "net.pt", "--data", "bars.npz", *OPTIONS, "--epochs", "8")
    for name in ("net.pt", "bars.npz"):
        (tmp_path / name).symlink_to(work / name)
    succeed(*train_it, "-o", "whole.pt", cwd=tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for target in (2, 5):
        process = subprocess.Popen(
            [sys.executable, "-m", "cnn2rtl", *train_it, "-o", "killed.pt"], cwd=tmp_path, env=environment,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None and check_folder(tmp_path / "killed.run") < target:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert target <= check_folder(tmp_path / "killed.run") < 8
        assert not (tmp_path / "killed.pt").exists()
    done = check_folder(tmp_path / "killed.run")
    text = succeed(*train_it, "-o", "killed.pt", cwd=tmp_path)
    assert f"killed.run: goes on after epoch {done} of 8\nepoch {done + 1} of 8: loss " in text
    assert_same(read_module(tmp_path / "killed.pt"), read_module(tmp_path / "whole.pt"))


def test_ctrl_c(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnn2rtl.compress.training import loop

    real, calls = loop.measure, [0]

    def interrupted(*arguments: object) -> tuple[float, float]:
        calls[0] += 1
        if calls[0] in (1, 3):
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "measure", interrupted)
    train_it = (
        "compress",
        "train",
        work / "net.pt",
        "--data",
        work / "bars.npz",
        *OPTIONS,
        "--epochs",
        "3",
        "-o",
        "a.pt",
    )
    first = run(*train_it, cwd=tmp_path)
    assert first.code == 130 and first.err == "interrupted: no epoch was whole, the same command begins anew\n"
    second = run(*train_it, cwd=tmp_path)
    assert second.code == 130
    assert second.err == (
        "interrupted: a.run/network.pt holds the best of 1 epochs; the same command goes on after them\n"
    )
    assert isinstance(read_module(tmp_path / "a.run/network.pt"), nn.Module)
    assert "a.run: goes on after epoch 1 of 3\nepoch 2 of 3" in succeed(*train_it, cwd=tmp_path)
    # Whole: the network is there, and only --force writes it again.
    assert mistakes(*train_it, cwd=tmp_path) == ["a.pt: exists; choose another name, or give --force to replace it"]
    assert "epoch 1 of" not in succeed(*train_it, "--force", cwd=tmp_path)
    assert mistakes(*train_it, "--force", "--epochs", "4", cwd=tmp_path)[0].startswith(
        "a.run: holds 3 epochs of a run with epochs 3 (now 4);"
    )
    assert "epoch 4 of 4" in succeed(*train_it, "--force", "--restart", "--epochs", "4", cwd=tmp_path)


def test_a_network_of_ones_own_class(work: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from torch import nn\n\n\nclass Own(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4, 3)\n\n"
        "    def forward(self, x):\n        return self.fc(self.conv(x).relu().mean((2, 3)))\n"
    )
    text = succeed(
        "compress", "train", "own.py:Own", "--data", work / "bars.npz", "--input", "1x8x8", "--epochs", "1",
        cwd=tmp_path,
    )  # fmt: skip
    command = text.splitlines()[-1].partition("; next, ")[2]
    assert command.startswith("cnn2rtl generate own_trained.pt --input 1x8x8 --arch own.py:Own --calib ")
    succeed(*command.split()[1:], "-o", "out", cwd=tmp_path)


def test_all_mistakes_at_once(work: Path, tmp_path: Path) -> None:
    (tmp_path / "a.run").mkdir()
    (tmp_path / "a.run" / "mine.txt").write_text("mine")
    assert mistakes(
        "compress", "train", "none.pt", "--data", "nowhere", "--input", "8x8", "--epochs", "0", "--mean", "x", "--std",
        "0", "-o", "a.pt", "--device", "cpu", cwd=tmp_path,
    ) == [
        "--epochs 0: at least 1 is expected",
        "a.run: exists and holds mine.txt, but no run; choose another folder with --run",
        "--input 8x8: channels x height x width is expected, like 3x128x128",
        "none.pt: no such file",
        "--mean x: numbers are expected, separated by commas, like 0.485,0.456,0.406",
        "std 0.0: every value must be greater than 0",
        "--data nowhere: no such file or folder",
    ]  # fmt: skip
    given = ("compress", "train", work / "net.pt", "--input", "1x8x8")
    np.savez(tmp_path / "four.npz", images=np.zeros((4, 8, 8), np.uint8), labels=np.arange(4))
    np.savez(tmp_path / "big.npz", images=np.zeros((4, 9, 9), np.uint8), labels=np.arange(4))
    assert mistakes(*given, "--data", "four.npz", "--val", "big.npz", cwd=tmp_path) == [
        "--data four.npz: label 3 is none of the network's outputs, 0 to 2",
        "big.npz: the images are 4x9x9x1; n x 8x8x1 or n x 1x8x8 expected",
    ]
    np.savez(tmp_path / "bare.npz", images=np.zeros((4, 8, 8), np.uint8))
    assert mistakes(*given, "--data", "bare.npz", cwd=tmp_path)[0].startswith(
        "--data bare.npz: the images have no labels"
    )
    bars.write_folders(tmp_path / "val", 6)
    (tmp_path / "val" / "none").rename(tmp_path / "val" / "nothing")
    assert mistakes(*given, "--data", work / "images", "--val", "val", cwd=tmp_path) == [
        "--val val: class folders must be those of --data, but it lacks none and has also nothing"
    ]
    assert mistakes(*given, "--data", work / "images", "-o", "a.npz", cwd=tmp_path)[0] == (
        "-o a.npz: a name that ends with .pt is expected"
    )
