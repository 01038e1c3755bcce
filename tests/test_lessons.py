"""Training by what an output is for: loss and measure of classes, pixels, labels and values, and the commands."""

from __future__ import annotations

import re
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import mistakes, succeed
from torch import Tensor, nn
from torch.nn import functional as F

from cnn2rtl.accuracy import compare
from cnn2rtl.compress.qat import Training, train
from cnn2rtl.compress.training.lesson import Values, lesson_of
from cnn2rtl.frontend import capture
from cnn2rtl.labels import Labels
from cnn2rtl.options import Options
from cnn2rtl.pipeline import quantise_graph
from cnn2rtl.tasks import KINDS, choose
from cnn2rtl.tasks.output import Output

SIZE = 8


def pictures(count: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright square: images (n, 8, 8, 1), and whether each pixel is of it."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 90, (count, SIZE, SIZE, 1), np.uint8)
    masks = np.zeros((count, SIZE, SIZE), np.int64)
    for mask, (row, column) in zip(masks, rng.integers(0, 5, (count, 2)), strict=True):
        mask[row : row + 3, column : column + 4] = 1
    images[..., 0] += (150 * masks).astype(np.uint8)
    return images, masks


def maps(outputs: int, *last: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, outputs, 1), *last)


def vector(outputs: int, *last: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, outputs), *last,
    )  # fmt: skip


def tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_losses_and_measures_are_those_of_the_task() -> None:
    def learnt(kind: str, shape: tuple[int, int, int], ending: str = "") -> tuple[float, float, Tensor, Tensor]:
        output = Output("out", shape, ending, shape[0], (4, 6))
        task = KINDS[kind](output)
        lesson = lesson_of(task)
        scores = torch.sigmoid(tensor(5, *shape)) if ending == "sigmoid" else tensor(5, *shape)
        exact = scores.permute(0, 2, 3, 1).double().numpy()
        labels = {
            "classification": np.arange(5) % max(shape[0], 2),
            "segmentation": np.arange(5 * 4 * 6).reshape(5, 4, 6) % (max(shape[0], 2)),
            "multilabel": (np.arange(5 * shape[0]).reshape(5, -1) % 3 == 0).astype(int),
            "regression": tensor(5, *shape, seed=1).double().numpy(),
        }[kind]
        truth = task.truth(Labels(labels))
        right = torch.from_numpy(truth)
        found = task.score(exact, exact, truth)
        good, count = lesson.good(scores, right)
        measure = lesson.measure(good, count)
        if found.decided is not None:
            assert (good, count) == (found.decided.integer_right, found.decided.judged)
        else:
            assert found.valued is not None and found.valued.of_integers is not None
            assert measure == pytest.approx(found.valued.of_integers.errors.rms, rel=1e-6)
        assert lesson.key(1.0) != lesson.key(2.0)
        return float(lesson.loss(scores, right)), measure, scores, right

    loss, _, scores, right = learnt("classification", (3, 1, 1))
    assert loss == pytest.approx(float(F.cross_entropy(scores.flatten(1), right)))
    loss, _, scores, right = learnt("classification", (1, 1, 1))
    assert loss == pytest.approx(float(F.binary_cross_entropy_with_logits(scores.flatten(), right.float())))
    loss, _, scores, right = learnt("segmentation", (3, 4, 6))
    assert loss == pytest.approx(float(F.cross_entropy(scores, right)))
    loss, _, scores, right = learnt("segmentation", (1, 4, 6), "sigmoid")
    assert loss == pytest.approx(float(F.binary_cross_entropy(scores[:, 0], right.float())))
    # Labels twice as fine as the map judge every score four times.
    loss, _, scores, right = learnt("segmentation", (3, 2, 3))
    fine = scores.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert loss == pytest.approx(float(F.cross_entropy(fine, right)))
    loss, _, scores, right = learnt("multilabel", (4, 1, 1), "sigmoid")
    assert loss == pytest.approx(float(F.binary_cross_entropy(scores.flatten(1), right.flatten(1).float())))
    loss, measure, scores, right = learnt("regression", (2, 4, 6))
    assert loss == pytest.approx(float((scores - right.permute(0, 3, 1, 2)).square().mean()))
    assert measure == pytest.approx(sqrt(loss))


def test_pixels_without_a_label_are_not_learnt_from() -> None:
    lesson = lesson_of(KINDS["segmentation"](Output("out", (3, 2, 2), "", 3, (2, 2))))
    scores, right = tensor(1, 3, 2, 2).requires_grad_(), torch.tensor([[[0, -1], [-1, 2]]])
    lesson.loss(scores, right).backward()
    assert scores.grad is not None and (scores.grad[0, :, 0, 1] == 0).all() and (scores.grad[0, :, 0, 0] != 0).all()
    assert lesson.good(scores, right)[1] == 2
    assert float(lesson.loss(scores.detach(), torch.full((1, 2, 2), -1))) == 0.0


@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("kind", ["segmentation", "binary", "regression"])
def test_integers_learn_what_the_output_is_for(kind: str, taught: bool) -> None:
    torch.set_num_threads(1)
    images, masks = pictures()
    values = images[..., 0] / 255 * 2 - 0.5
    module = {"segmentation": maps(2), "binary": maps(1, nn.Sigmoid()), "regression": maps(1)}[kind]
    right = torch.from_numpy(values if kind == "regression" else masks).float()
    optimiser = torch.optim.Adam(module.parameters(), 0.02)
    inputs = torch.from_numpy(images.transpose(0, 3, 1, 2) / np.float32(255))
    for _ in range(150):
        scores = module(inputs)
        loss = {
            "segmentation": lambda s=scores: F.cross_entropy(s, right.long()),
            "binary": lambda s=scores: F.binary_cross_entropy(s[:, 0], right),
            "regression": lambda s=scores: F.mse_loss(s[:, 0], right),
        }[kind]()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    graph = capture(module.eval(), (1, SIZE, SIZE), "net")
    # Of two bits, a logit would be 0 or far from it.
    bits = 3 if kind == "binary" else 2
    made = quantise_graph(graph, Options(weight_bits=bits, activation_bits=bits), images)
    labels = Labels(values if kind == "regression" else masks)
    (choice,) = choose(made.graph, labels={made.graph.output: labels})
    truth = None if taught else choice.truth
    lesson = lesson_of(choice.task)
    first, *_, last = train(
        made.graph, made.integers, images, truth, Training(epochs=12, batch=8, rate=0.01), lesson=lesson
    )
    lost = [
        compare(made.graph, integers, images, choose(made.graph) if taught else [choice]).judgements[0].score.lost
        for integers in (made.integers, last.graph)
    ]
    assert last.loss < first.loss and lesson.key(last.measure) > lesson.key(first.measure)
    # A teacher's probabilities are more than its decisions.
    assert taught or lost[1] < lost[0]


def test_training_on_values(tmp_path: Path) -> None:
    images, masks = pictures(60)
    ages = 20 + 2.0 * masks.sum((1, 2)) + images.mean((1, 2, 3)) / 4
    np.savez(tmp_path / "ages.npz", images=images, labels=ages.astype(np.float32))
    torch.save(vector(1), tmp_path / "age.pt")
    given = ("age.pt", "--data", "ages.npz", "--input", "1x8x8", "--epochs", "8", "--rate", "0.05")
    text = succeed("compress", "train", *given, "-o", "out.pt", cwd=tmp_path)
    lines = text.splitlines()
    assert lines[0].startswith("regression: 54 images to train on, 6 to validate on")
    errors = [float(found) for found in re.findall(r"validation: loss \S+, rms error ([\d.]+)", text)]
    assert len(errors) == 8 and errors[-1] < errors[0] and "right" not in text
    assert f"rms error {min(errors):.3g} in validation" in text.replace("\n", " ")
    head = (tmp_path / "out.run" / "log.csv").read_text().splitlines()[0]
    assert head == "epoch,loss,rms_error,val_loss,val_rms_error,rate,seconds,best"
    # Pruned by what each channel does for the same loss, then trained on.
    pruned = succeed(
        "compress", "prune", "out.pt", "--data", "ages.npz", "--input", "1x8x8", "--keep", "0.5", "--by", "taylor",
        "--epochs", "2", "-o", "small.pt", cwd=tmp_path,
    )  # fmt: skip
    assert "rms error" in pruned and "right" not in pruned
    refused = mistakes("compress", "train", *given, "--smoothing", "0.1", "-o", "no.pt", cwd=tmp_path)
    assert refused == ["--smoothing 0.1: is for labels that are classes; leave it out"]


def test_training_on_masks(tmp_path: Path) -> None:
    images, masks = pictures(30)
    np.savez(tmp_path / "masks.npz", x=images, y=masks)
    torch.save(maps(2), tmp_path / "seg.pt")
    torch.save(maps(1, nn.Sigmoid()), tmp_path / "one.pt")
    given = ("--data", "masks.npz", "--input", "1x8x8", "--epochs", "3", "--rate", "0.05")
    text = succeed("compress", "train", "seg.pt", *given, "-o", "teacher.pt", cwd=tmp_path)
    assert text.startswith("segmentation: 27 images") and re.search(r"[\d.]+% right in validation", text)
    one = succeed("compress", "train", "one.pt", *given, "-o", "binary.pt", cwd=tmp_path)
    assert one.startswith("segmentation: ")
    taught = succeed("compress", "distill", "seg.pt", "--teacher", "teacher.pt", *given, "-o", "d.pt", cwd=tmp_path)
    assert taught.startswith("segmentation: ")
    trained = succeed("compress", "qat", "teacher.pt", "--data", "masks.npz", "--input", "1x8x8", "--epochs", "1",
        "-o", "q.npz", cwd=tmp_path)  # fmt: skip
    assert "their labels, segmentation, seed 0" in trained and "% right" in trained
    succeed("generate", "q.npz", "-o", "out", cwd=tmp_path)
    assert "mean IoU" in succeed("evaluate", "out", "--data", "masks.npz", cwd=tmp_path)
    refused = mistakes("compress", "train", "seg.pt", *given, "--flip", "--shift", "1", "-o", "no.pt", cwd=tmp_path)
    assert refused == [
        f"--{name}: would move the images and not their labels, which are maps; leave it out"
        for name in ("flip", "shift")
    ]
    (line,) = mistakes(
        "compress", "distill", "seg.pt", "--teacher", "one.pt", *given, "-o", "no.pt", cwd=tmp_path
    )  # fmt: skip
    assert line == "--teacher one.pt: has 1x8x8 outputs, but MODEL has 2x8x8; the same are expected"


def test_the_best_epoch_of_values_has_the_smallest_error() -> None:
    assert Values().key(0.1) > Values().key(0.2)
