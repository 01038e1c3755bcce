"""The folder of a run: what is needed to go on after an interruption, whatever it was."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cnn2rtl.compress.training.folder import CHECKPOINT
from cnn2rtl.compress.training.objective import Fact
from cnn2rtl.compress.training.score import EpochScore
from cnn2rtl.errors import UserError
from cnn2rtl.output import tidy_errors, write_file


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A run after a whole epoch, as state_dicts; ``kept`` is the network's of the epoch that is the result so far.

    ``about`` is all that must be the same for the run to go on.
    """

    about: Mapping[str, Fact]
    scores: tuple[EpochScore, ...]
    network: dict[str, Any]
    optimiser: dict[str, Any]
    scaler: dict[str, Any]
    kept: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Let it take the place of the one before, in one step."""
        parts = {**vars(self), "about": dict(self.about), "scores": [asdict(score) for score in self.scores]}
        write_tensors(folder / CHECKPOINT, parts)

    def check(self, about: Mapping[str, Fact], folder: Path) -> None:
        """Raise :class:`UserError` unless ``about`` is that of this run."""
        names = sorted({*self.about, *about})
        differing = [name for name in names if self.about.get(name) != about.get(name)]
        if differing:
            was = ", ".join(f"{name} {self.about.get(name)} (now {about.get(name)})" for name in differing)
            raise UserError(
                f"{folder}: holds {len(self.scores)} epochs of a run with {was}; run it as it was begun, choose "
                "another folder with `folder=`, or give `restart=True` `force=True` to discard it"
            )


def load(folder: Path) -> Checkpoint | None:
    """The run in ``folder``; None where not a whole epoch of one is there."""
    parts = read_tensors(folder / CHECKPOINT)
    if parts is None:
        return None
    try:
        return Checkpoint(**{**parts, "scores": tuple(EpochScore(**score) for score in parts["scores"])})
    except (TypeError, KeyError, AttributeError):
        raise _damaged(folder / CHECKPOINT) from None


def epochs_in(folder: Path) -> int:
    """How many epochs of a run are in ``folder``; raises :class:`UserError` where they are damaged."""
    run = load(folder)
    return 0 if run is None else len(run.scores)


def digest(module: nn.Module) -> str:
    """Tells networks apart: by their layers and by every weight."""
    found = hashlib.sha256(repr(module).encode())
    for name, tensor in module.state_dict().items():
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().numpy().data)
    return found.hexdigest()[:16]


def write_tensors(file: Path, parts: Mapping[str, Any]) -> None:
    """Write plain values and tensors, in one step."""
    buffer = io.BytesIO()
    torch.save(dict(parts), buffer)
    write_file(file, buffer.getvalue(), force=True)


def read_tensors(file: Path) -> dict[str, Any] | None:
    """What :func:`write_tensors` wrote, None if it did not; runs no code of the file's."""
    if not file.exists():
        return None
    with tidy_errors(file):
        data = file.read_bytes()
    try:
        parts = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return dict(parts)
    except Exception:
        # There is no end to what somebody may have made of the file.
        raise _damaged(file) from None


def _damaged(file: Path) -> UserError:
    return UserError(f"{file}: damaged, or nothing that a run wrote; give `restart=True` `force=True` to begin anew")
