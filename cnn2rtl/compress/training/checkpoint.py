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

from cnn2rtl.compress.training.objective import Fact
from cnn2rtl.compress.training.score import EpochScore
from cnn2rtl.errors import UserError
from cnn2rtl.output import tidy_errors, write_file

CHECKPOINT, NETWORK, TEACHER = "checkpoint.pt", "network.pt", "teacher.pt"
FILES = (CHECKPOINT, NETWORK, TEACHER, "log.csv", "log.json", "curve.png")
"""All that a run leaves in its folder."""


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


def check_folder(folder: Path, restart: bool = False, force: bool = False) -> int:
    """How many epochs of a run are in ``folder``; 0 with ``restart``, which means to discard them.

    Raises :class:`UserError` for a folder of anything else, and for ``restart`` without ``force``.
    """
    with tidy_errors(folder):
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise UserError(f"{folder}: exists and is no folder; choose another one with `folder=`")
        others = sorted(f.name for f in folder.glob("*") if f.name not in FILES and not f.name.startswith("."))
        there = (folder / CHECKPOINT).is_file()
    if others and not there:
        raise UserError(f"{folder}: exists and holds {others[0]}, but no run; choose another folder with `folder=`")
    if restart and there and not force:
        raise UserError(
            f"{folder}: holds a run; give `force=True` as well to discard it, or another folder with `folder=`"
        )
    run = None if restart else load(folder)
    return 0 if run is None else len(run.scores)


def discard(folder: Path) -> None:
    """Remove the run in ``folder``, and nothing else."""
    with tidy_errors(folder):
        for name in FILES:
            (folder / name).unlink(missing_ok=True)


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
