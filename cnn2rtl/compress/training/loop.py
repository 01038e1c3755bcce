"""Training, epoch by epoch, each of which is on the disk before the next one begins."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cnn2rtl.compress.modules import write_module
from cnn2rtl.compress.training import checkpoint, record
from cnn2rtl.compress.training.augment import augmented
from cnn2rtl.compress.training.checkpoint import Checkpoint
from cnn2rtl.compress.training.device import choose, repeatable
from cnn2rtl.compress.training.feed import Data
from cnn2rtl.compress.training.folder import NETWORK
from cnn2rtl.compress.training.objective import Fact, Objective
from cnn2rtl.compress.training.recipe import Recipe
from cnn2rtl.compress.training.score import EpochScore, measure, scores_of
from cnn2rtl.errors import UserError
from cnn2rtl.quantise.calibrate import Progress, silent

REDRAWN = 20.0
"""Seconds between two drawings of the curve, which takes longer than an epoch of a very small network."""


def train(
    module: nn.Module, data: Data, recipe: Recipe, objective: Objective, folder: Path, progress: Progress = silent
) -> Iterator[EpochScore]:
    """Train ``module``, in place; gives every epoch, once it is in the ``folder`` of the run.

    If the folder has epochs of this run already, it goes on after them, and the result is the same to the bit as if it
    had never stopped (where ``recipe`` is deterministic, with as many threads). At the end, ``module`` has the weights
    that the recipe keeps. Raises :class:`UserError` where the folder has another run, for a recipe that makes no sense,
    and for a loss that is no number any more.
    """
    recipe.check()
    about = _about(module, data, recipe, objective)
    started = checkpoint.load(folder)
    if started is not None:
        started.check(about, folder)
    run = _Run(module, data, recipe, objective, choose(recipe.device), progress)
    if started is not None:
        run.restore(started)
    return _epochs(run, started, about, folder)


def _epochs(run: _Run, started: Checkpoint | None, about: Mapping[str, Fact], folder: Path) -> Iterator[EpochScore]:
    module, recipe = run.module, run.recipe
    scores = () if started is None else started.scores
    kept = {} if started is None else started.kept
    drawn = time.monotonic()
    try:
        for epoch in range(len(scores) + 1, recipe.epochs + 1):
            score = run.epoch(epoch, max((run.rank(s.val_accuracy, s.val_loss) for s in scores), default=None))
            scores = (*scores, score)
            if score.best or recipe.keep == "last":
                kept = copy.deepcopy(module.state_dict())
                write_module(module, folder / NETWORK, force=True)
            Checkpoint(about, scores, kept=kept, **run.state()).save(folder)
            record.write(folder, about, scores, run.data.val.lesson.measured)
            if time.monotonic() - drawn > REDRAWN:
                record.draw(folder, scores, run.data.val.lesson.measured)
                drawn = time.monotonic()
            yield score
    finally:
        record.draw(folder, scores, run.data.val.lesson.measured)
    module.load_state_dict(kept)
    module.cpu().eval()


def _about(module: nn.Module, data: Data, recipe: Recipe, objective: Objective) -> Mapping[str, Fact]:
    # On which machine it goes on is for the user to choose.
    chosen = {name: value for name, value in asdict(recipe).items() if name != "device"}
    digests = {"images": data.train.digest(), "validation images": data.val.digest()}
    return {**chosen, **objective.about, **digests, "network": checkpoint.digest(module)}


@dataclass(eq=False)
class _Run:
    module: nn.Module
    data: Data
    recipe: Recipe
    objective: Objective
    device: torch.device
    progress: Progress

    def __post_init__(self) -> None:
        self.module.to(self.device)
        self.optimiser = _optimiser(self.module, self.recipe)
        # Only numbers of 16 bits, on a GPU, need their gradients scaled.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.device.type == "cuda")

    def state(self) -> dict[str, dict[str, Any]]:
        """What has to be known to go on: all else follows from the number of the epoch."""
        return {
            "network": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, started: Checkpoint) -> None:
        self.module.load_state_dict(started.network)
        self.optimiser.load_state_dict(started.optimiser)
        self.scaler.load_state_dict(started.scaler)

    def rank(self, measure: float, loss: float) -> tuple[float, float]:
        """The larger, the better."""
        return self.data.val.lesson.key(measure), -loss

    def epoch(self, epoch: int, best: tuple[float, float] | None) -> EpochScore:
        """Train once on all images; ``best`` is the highest rank so far."""
        began = time.monotonic()
        with repeatable(self.device, self.recipe.deterministic, self.recipe.seed, epoch) as generator:
            loss, accuracy, rate = self._steps(epoch, generator)
            val_loss, val_accuracy = measure(self.module, self.data.val, self.device, self.recipe.batch)
        is_best = best is None or self.rank(val_accuracy, val_loss) > best
        return EpochScore(epoch, loss, accuracy, val_loss, val_accuracy, rate, time.monotonic() - began, is_best)

    def _steps(self, epoch: int, generator: torch.Generator) -> tuple[float, float, float]:
        self.module.train()
        loss_sum, good, count, seen, rate = 0.0, 0.0, 0, 0, 0.0
        lesson = self.data.train.lesson
        batches = _batches(torch.randperm(len(self.data.train), generator=generator), self.recipe.batch)
        for number, indices in enumerate(batches):
            # The middle of a step stands for it, so that neither the first nor the last one is lost.
            rate = self.recipe.rate_at(epoch - 1 + (number + 0.5) / len(batches))
            loss, (right, of) = self._step(indices, rate, generator)
            if not isfinite(loss):
                raise UserError(
                    f"epoch {epoch}: the loss is no number any more; a smaller `rate=` than {self.recipe.rate:g}, or a "
                    "`warm_up=`, may help"
                )
            loss_sum += loss * len(indices)
            good, count, seen = good + right, count + of, seen + len(indices)
            measured = lesson.words(lesson.measure(good, count))
            doing = f"epoch {epoch}/{self.recipe.epochs}: loss {loss_sum / seen:.4f}, {measured}"
            self.progress(doing, seen, len(self.data.train))
        return loss_sum / seen, lesson.measure(good, count), rate

    def _step(self, indices: Tensor, rate: float, generator: torch.Generator) -> tuple[float, tuple[float, int]]:
        """Loss of the batch, and what the lesson's measure sums up of it."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        feed = self.data.train
        batch = feed.batch(augmented(feed.pixels(indices, self.device), self.recipe, generator), indices)
        scores = scores_of(self.module, batch.inputs)
        loss = self.objective.loss(scores, batch)
        if self.objective.penalty is not None:
            loss = loss + self.objective.penalty(self.module)
        self.optimiser.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return float(loss.detach()), batch.lesson.good(scores.detach(), batch.labels)


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """``order`` in parts of ``size``; a single last image, which has no variance for BatchNorm, joins those before."""
    parts = list(torch.split(order, size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _optimiser(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not trained:
        raise UserError("the network has no weights that can be trained")
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, recipe.rate, recipe.momentum)
    return torch.optim.AdamW(groups, recipe.rate, (recipe.momentum, 0.999))
