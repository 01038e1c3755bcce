"""Distillation: its loss, the teacher's answers and when they are remembered, and that it is a run like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bars
import numpy as np
import pytest
import torch
from command_line import mistakes, succeed
from torch import Tensor, nn

from cnn2rtl.compress.distillation import distillation, distillation_loss, renormalised, teacher_scores
from cnn2rtl.compress.modules import read_module
from cnn2rtl.compress.training import checkpoint
from cnn2rtl.compress.training.feed import Batch, Feed
from cnn2rtl.compress.training.loop import train
from cnn2rtl.compress.training.objective import from_labels
from cnn2rtl.compress.training.recipe import Recipe
from cnn2rtl.errors import UserError

RECIPE = Recipe(epochs=2, batch=16, rate=0.01)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class Counting(nn.Module):
    """A teacher that counts the images it has answered for."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.network = bars.small_net(5, width)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        self.seen.append(x)
        result: Tensor = self.network(x)
        return result

    @property
    def asked(self) -> int:
        return sum(map(len, self.seen))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_loss_and_its_gradient_by_hand(alpha: float, temperature: float) -> None:
    random = np.random.default_rng(0)
    student, teacher, labels = random.normal(0, 3, (5, 4)), random.normal(0, 3, (5, 4)), random.integers(0, 4, 5)
    p, q, hard = (
        np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in (teacher / temperature, student / temperature, student)
    )
    divergence = (p * np.log(p / q)).sum(1).mean()
    entropy = -np.log(hard[np.arange(5), labels]).mean()
    scores = torch.from_numpy(student).requires_grad_()
    loss = distillation_loss(scores, torch.from_numpy(teacher), torch.from_numpy(labels), alpha, temperature)
    assert loss.item() == pytest.approx(alpha * temperature**2 * divergence + (1 - alpha) * entropy)
    loss.backward()
    wanted = alpha * temperature * (q - p) / 5 + (1 - alpha) * (hard - np.eye(4)[labels]) / 5
    assert scores.grad is not None
    np.testing.assert_allclose(scores.grad.numpy(), wanted, atol=1e-12)


def test_without_labels_smoothing_has_no_say() -> None:
    scores, taught, labels = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    plain, smooth = (distillation_loss(scores, taught, labels, 1.0, 2.0, s) for s in (0.0, 0.3))
    assert torch.equal(plain, smooth)
    assert not torch.equal(*(distillation_loss(scores, taught, labels, 0.5, 2.0, s) for s in (0.0, 0.3)))


def test_answers_are_remembered(tmp_path: Path) -> None:
    file, feed = tmp_path / "run" / "teacher.pt", bars.data(21).train
    teacher = Counting()

    def answers(of: Feed = feed) -> Tensor:
        return teacher_scores(teacher, of, RECIPE, file)

    first = answers()
    assert first.shape == (21, 3) and teacher.asked == 21
    everything = torch.arange(21)
    batch = feed.batch(feed.pixels(everything, torch.device("cpu")), everything)
    with torch.no_grad():
        torch.testing.assert_close(first, teacher.network.eval()(batch.inputs))
    assert torch.equal(answers(), first) and teacher.asked == 21
    # Other images, another normalisation, another teacher, a damaged file: asked again.
    answers(bars.data(24).train)
    assert teacher.asked == 45
    answers(replace(feed, mean=(0.0,)))
    assert teacher.asked == 66
    assert torch.equal(answers(), first) and teacher.asked == 87
    with torch.no_grad():
        next(teacher.network.parameters()).mul_(2)
    assert not torch.equal(answers(), first) and teacher.asked == 108
    file.write_bytes(file.read_bytes()[:-50])
    answers()
    assert teacher.asked == 129


def batch_of(feed: Feed, inputs: Tensor) -> Batch:
    return Batch(inputs, torch.zeros(len(inputs), dtype=torch.int64), torch.arange(len(inputs)))


def test_what_the_teacher_sees(tmp_path: Path) -> None:
    feed, scores = bars.data().train, torch.zeros(4, 3)
    changed = torch.rand(4, 1, 8, 8)
    augmenting = replace(RECIPE, flip=True)
    asked, results = {}, {}
    for name, recipe, sees in (
        ("plain", RECIPE, "augmented"), ("original", augmenting, "original"), ("augmented", augmenting, "augmented"),
    ):  # fmt: skip
        teacher = Counting()
        objective = distillation(teacher, feed, recipe, tmp_path / name, 1.0, 2.0, sees)  # type: ignore[arg-type]
        asked[name] = teacher.asked
        results[name] = objective.loss(scores, batch_of(feed, changed))
        assert (tmp_path / name / "teacher.pt").exists() == (name != "augmented")
        assert teacher.asked == (4 if name == "augmented" else len(feed))
    assert asked == {"plain": len(feed), "original": len(feed), "augmented": 0}
    assert torch.equal(results["plain"], results["original"])
    with torch.no_grad():
        taught = Counting().eval()(changed)
    torch.testing.assert_close(results["augmented"], distillation_loss(scores, taught, torch.zeros(4).long(), 1.0, 2.0))


def test_the_teacher_is_not_trained(tmp_path: Path) -> None:
    teacher, data = Counting(), bars.data()
    before = checkpoint.digest(teacher)
    recipe = replace(RECIPE, flip=True)
    student = bars.small_net()
    list(train(student, data, recipe, distillation(teacher, data.train, recipe, tmp_path), tmp_path))
    assert checkpoint.digest(teacher) == before
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_student_learns_without_labels_being_right(tmp_path: Path) -> None:
    """With alpha 1, only the teacher counts: its labels are all wrong, and still the student learns the bars."""
    data = bars.data(96)
    recipe = Recipe(epochs=15, batch=8, rate=0.02, keep="last")
    teacher = bars.small_net(3)
    list(train(teacher, data, recipe, from_labels(), tmp_path / "teacher"))
    wrong = replace(data.train.images, labels=(0,) * 96)
    misled = replace(data, train=replace(data.train, images=wrong))
    objective = distillation(teacher, misled.train, recipe, tmp_path / "student", 1.0, 2.0)
    *_, last = train(bars.small_net(4), misled, recipe, objective, tmp_path / "student")
    assert last.val_accuracy > 0.9 and last.accuracy < 0.5


def test_a_teacher_with_its_own_normalisation() -> None:
    pixels = torch.rand(2, 3, 4, 4)
    feed = Feed(bars.image_set(3), (0.5,), (0.25,))
    seen = renormalised(nn.Identity(), feed, ((0.1, 0.2, 0.3), (1.0, 2.0, 4.0)))((pixels - 0.5) / 0.25)
    own = torch.tensor([[0.1, 0.2, 0.3], [1.0, 2.0, 4.0]]).reshape(2, 3, 1, 1)
    torch.testing.assert_close(seen, (pixels - own[0]) / own[1])


def test_numbers_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        distillation(Counting(), bars.data().train, RECIPE, tmp_path, 1.5, 0.0)
    assert caught.value.problems == ("`alpha=1.5`: 0 to 1 is expected", "`temperature=0.0`: 0.01 to 1000 is expected")


# ------------------------------------------------------------------------------------------------------- command line


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, a trained teacher and an untrained student."""
    folder = tmp_path_factory.mktemp("work")
    images, labels = bars.bars(90)
    np.savez(folder / "bars.npz", images=images, labels=labels)
    torch.save(bars.small_net(0, 16), folder / "big.pt")
    torch.save(bars.small_net(1, 4), folder / "small.pt")
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), folder / "four.pt")
    return folder


def test_from_a_teacher_to_a_design(work: Path, tmp_path: Path) -> None:
    options = ("--data", work / "bars.npz", "--input", "1x8x8", "--batch", "8")
    succeed("compress", "train", work / "big.pt", *options, "--epochs", "4", "-o", "teacher.pt", cwd=tmp_path)
    distill = ("compress", "distill", work / "small.pt", "--teacher", "teacher.pt", *options, "--epochs", "3")
    text = succeed(*distill, "--mean", "0.2", "--teacher-mean", "0", "-o", "student.pt", cwd=tmp_path)
    assert "epoch 3 of 3: loss " in text and (tmp_path / "student.run" / "teacher.pt").exists()
    command = text.splitlines()[-1].partition("; next, ")[2]
    assert command.startswith("cnn2rtl generate student.pt --input 1x8x8 --mean 0.2 --calib ")
    succeed(*command.split()[1:], "-o", "out", cwd=tmp_path)
    assert "% integer, the same in hardware" in succeed("evaluate", "out", "--data", work / "bars.npz", cwd=tmp_path)
    # The same in one go and in two, with a teacher that is asked in every step.
    asking = (*distill, "--shift", "1", "--seed", "3")
    succeed(*asking, "-o", "a.pt", cwd=tmp_path)
    assert not (tmp_path / "a.run" / "teacher.pt").exists()
    (wrong,) = mistakes(*asking, "-o", "a.pt", "--force", "--alpha", "0.5", "--temperature", "3", cwd=tmp_path)
    assert "a run with alpha 0.7 (now 0.5), temperature 4.0 (now 3.0); run it as it was begun" in wrong
    bars.assert_same(read_module(tmp_path / "a.pt"), read_module(tmp_path / "a.run" / "network.pt"))


def test_mistakes(work: Path, tmp_path: Path) -> None:
    given = ("compress", "distill", work / "small.pt", "--data", work / "bars.npz", "--input", "1x8x8")
    assert mistakes(*given, "--teacher", work / "four.pt", cwd=tmp_path) == [
        f"--teacher {work}/four.pt: has 4 outputs, but MODEL has 3; the same are expected",
    ]
    assert mistakes(
        *given, "--teacher", "none.pt", "--epochs", "0", "--teacher-std", "0", "--alpha", "2", cwd=tmp_path
    ) == [
        "--alpha 2.0: 0 to 1 is expected",
        "none.pt: no such file",
        "teacher-std 0.0: every value must be greater than 0",
        "--epochs 0: at least 1 is expected",
    ]
    (missing,) = mistakes(*given, cwd=tmp_path)
    assert missing == "--teacher is missing; `cnn2rtl compress distill --help` tells what it is"
