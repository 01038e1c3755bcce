"""A run of several trainings, one after the other: each has a folder of its own within that of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cnn2rtl.cli.compress.training import Session, introduce, say, train_epochs
from cnn2rtl.compress.training.folder import discard

if TYPE_CHECKING:
    from torch import nn

    from cnn2rtl.compress.training.objective import Objective
    from cnn2rtl.compress.training.recipe import Recipe


def discard_stages(stages: Sequence[str], folder: Path) -> None:
    """Remove all trainings of the run in ``folder``, and nothing else."""
    for stage in stages:
        discard(folder / stage)


class Stages:
    """The trainings of a ``session``; what all begins with is told once the first of them is sure to begin."""

    def __init__(self, session: Session) -> None:
        from cnn2rtl.compress.training.device import choose
        from cnn2rtl.compress.training.score import measure

        device = choose(session.recipe.device)
        self._session, self._introduced = session, False
        self._before = measure(session.module.to(device), session.data.val, device, session.recipe.batch)
        session.module.cpu()

    def train(self, stage: str, title: str, module: nn.Module, recipe: Recipe, objective: Objective) -> nn.Module:
        """Train ``module`` in the folder of the ``stage``, or take from there what has been done already."""
        from cnn2rtl.compress.training.checkpoint import epochs_in

        folder = self._session.folder / stage
        done = epochs_in(folder)

        def begins(part: Session) -> None:
            if not self._introduced:
                introduce(self._session)
                loss, measured = self._before
                words = self._session.data.val.lesson.words(measured)
                say(f"before: validation: loss {loss:.4f}, {words}")
            self._introduced = True
            say(f"{title}{f', goes on after epoch {done} of {recipe.epochs}' if done else ''}")

        part = replace(self._session, module=module, recipe=recipe, folder=folder, done=done)
        train_epochs(part, lambda progress: objective, begins)
        return module
