"""The training loop: what it does to weights, and what a run leaves and accepts in its folder."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import bars
import pytest
import torch
from command_line import contents
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from cnn2rtl.compress.modules import read_module
from cnn2rtl.compress.training import checkpoint, loop, record
from cnn2rtl.compress.training.checkpoint import Checkpoint, epochs_in
from cnn2rtl.compress.training.device import repeatable
from cnn2rtl.compress.training.feed import Batch, Data
from cnn2rtl.compress.training.folder import check_folder, discard
from cnn2rtl.compress.training.loop import train
from cnn2rtl.compress.training.objective import Objective, from_labels
from cnn2rtl.compress.training.recipe import Recipe
from cnn2rtl.compress.training.score import EpochScore, measure, output_of
from cnn2rtl.errors import UserError

RECIPE = Recipe(epochs=3, batch=16, rate=0.01, flip=True, shift=1, zoom=1.2, jitter=0.1, smoothing=0.1)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def no_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take longer than training does here."""
    monkeypatch.setattr(record, "draw", lambda *_: None)


def trained(folder: Path, recipe: Recipe = RECIPE, data: Data | None = None, epochs: int = 99) -> nn.Module:
    """A network that has been trained in ``folder``, stopped after so many epochs."""
    module = bars.small_net()
    for score in train(module, data or bars.data(), recipe, from_labels(recipe.smoothing), folder):
        if score.epoch == epochs:
            break
    return module


def test_it_learns_and_keeps_the_best(tmp_path: Path) -> None:
    data, recipe = bars.data(96), Recipe(epochs=15, batch=8, rate=0.02)
    module, seen = bars.small_net(), []
    for score in train(module, data, recipe, from_labels(), tmp_path):
        seen.append(score)
        assert epochs_in(tmp_path) == score.epoch
        # What the score says of the weights, it has measured.
        assert measure(module, data.val, CPU, 5) == pytest.approx((score.val_loss, score.val_accuracy))
    best = max(seen, key=lambda s: (s.val_accuracy, -s.val_loss))
    assert best == [score for score in seen if score.best][-1]
    assert best.val_accuracy > 0.9
    assert not module.training
    assert measure(module, data.val, CPU, 64) == pytest.approx((best.val_loss, best.val_accuracy))
    bars.assert_same(module, read_module(tmp_path / "network.pt"))


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
    bars.assert_same(trained(tmp_path / "parts", recipe), whole)
    logs = [json.loads((tmp_path / name / "log.json").read_text()) for name in ("whole", "parts")]
    for log in logs:
        for row in log["epochs"]:
            del row["seconds"]
    assert logs[0] == logs[1]
    # There is nothing left to do, and still the result is there.
    bars.assert_same(trained(tmp_path / "parts", recipe), whole)


@pytest.mark.usefixtures("no_curve")
def test_the_best_is_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is from another epoch than what is trained further, also where a run stops between the two."""

    def judged(folder: Path, stops: tuple[int, ...]) -> nn.Module:
        # Loss and accuracy of four epochs; the last is as good as the second.
        verdicts = iter([(1.0, 0.5), (0.9, 0.5), (2.0, 0.4), (0.9, 0.5)])
        monkeypatch.setattr(loop, "measure", lambda *arguments: next(verdicts))
        for stop in stops:
            module = trained(folder, replace(RECIPE, epochs=4), epochs=stop)
        return module

    second = trained(tmp_path / "second", replace(RECIPE, epochs=4), epochs=2).state_dict()
    whole, parts = judged(tmp_path / "whole", (99,)), judged(tmp_path / "parts", (3, 99))
    bars.assert_same(whole, parts)
    assert all(torch.equal(second[name], tensor) for name, tensor in parts.state_dict().items())
    runs = [checkpoint.load(tmp_path / name) for name in ("whole", "parts")]
    for found in runs:
        assert found is not None and [score.best for score in found.scores] == [True, True, False, False]
    assert all(torch.equal(runs[0].network[name], runs[1].network[name]) for name in second)  # type: ignore[union-attr]


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
        from_labels(0.2).loss(scores, batch), F.cross_entropy(scores, labels, label_smoothing=0.2)
    )


@pytest.mark.usefixtures("no_curve")
def test_another_run_is_refused(tmp_path: Path) -> None:
    trained(tmp_path, epochs=2)
    before = contents(tmp_path)
    with pytest.raises(UserError) as caught:
        trained(tmp_path, replace(RECIPE, rate=0.02, epochs=4, device="cpu"))
    assert str(caught.value) == (
        f"{tmp_path}: holds 2 epochs of a run with epochs 3 (now 4), rate 0.01 (now 0.02); run it as it was begun, "
        "choose another folder with `folder=`, or give `restart=True` `force=True` to discard it"
    )
    with pytest.raises(UserError, match=r"a run with images \w{16} \(now \w{16}\);"):
        trained(tmp_path, data=bars.data(51))
    with pytest.raises(UserError, match=r"a run with network \w{16} \(now \w{16}\);"):
        train(bars.small_net(1), bars.data(), RECIPE, from_labels(0.1), tmp_path)
    objective = Objective(from_labels(0.1).loss, about={"strength": 3})
    with pytest.raises(UserError, match=r"a run with strength None \(now 3\);"):
        train(bars.small_net(), bars.data(), RECIPE, objective, tmp_path)
    assert contents(tmp_path) == before


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    trained(tmp_path, epochs=1)
    file = tmp_path / "checkpoint.pt"
    for damage in (file.read_bytes()[:-100], b"", b"nonsense"):
        file.write_bytes(damage)
        with pytest.raises(UserError, match=r"checkpoint\.pt: damaged, or nothing that a run wrote"):
            epochs_in(tmp_path)
    checkpoint.write_tensors(file, {"scores": [], "other": 1})
    with pytest.raises(UserError, match=r"checkpoint\.pt: damaged"):
        epochs_in(tmp_path)


def test_folders_that_hold_something_else(tmp_path: Path) -> None:
    for folder in (tmp_path / "new", tmp_path):
        check_folder(folder)
        assert epochs_in(folder) == 0
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"exists and holds thesis\.txt, but no run"):
        check_folder(tmp_path)
    with pytest.raises(UserError, match="exists and is no folder"):
        check_folder(tmp_path / "thesis.txt")
    (tmp_path / "thesis.txt").rename(tmp_path / "teacher.pt")
    check_folder(tmp_path)
    trained(tmp_path, epochs=1)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds a run; give `force=True` as well to discard it"):
        check_folder(tmp_path, restart=True)
    check_folder(tmp_path, restart=True, force=True)
    assert epochs_in(tmp_path) == 1
    discard(tmp_path)
    assert list(contents(tmp_path)) == ["thesis.txt"]


def test_a_loss_that_is_no_number(tmp_path: Path) -> None:
    objective = Objective(lambda scores, batch: scores.sum() * float("nan"))
    with pytest.raises(UserError, match=r"epoch 1: the loss is no number any more; a smaller `rate=` than 0.01"):
        list(train(bars.small_net(), bars.data(), RECIPE, objective, tmp_path))
    assert contents(tmp_path) == {}


def test_networks_that_cannot_be_trained(tmp_path: Path) -> None:
    fixed = bars.small_net().requires_grad_(False)
    with pytest.raises(UserError, match="the network has no weights that can be trained"):
        train(fixed, bars.data(), RECIPE, from_labels(), tmp_path)
    with pytest.raises(UserError, match=r"net: does not take an input of 3x8x8, see `example=`: it takes 1 channels"):
        output_of(bars.small_net(), (3, 8, 8), "net")
    with pytest.raises(UserError, match=r"net: scores \(n, c\) or a map .* for an image, but its output is 1x4x64"):
        output_of(nn.Sequential(nn.Conv2d(1, 4, 1), nn.Flatten(2)), (1, 8, 8), "net")
    assert output_of(nn.Conv2d(1, 4, 3), (1, 8, 8), "net").shape == (4, 6, 6)
    assert output_of(nn.Conv2d(1, 4, 8), (1, 8, 8), "net").shape == (4, 1, 1)


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
