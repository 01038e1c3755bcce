"""The log of a run, for people and for programs: a table, a picture."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from cnn2rtl.compress.training.objective import Fact
from cnn2rtl.compress.training.score import EpochScore
from cnn2rtl.output import write_file

CAN_DRAW = importlib.util.find_spec("matplotlib") is not None
"""matplotlib is not among what cnn2rtl needs: without it, there is no picture."""


def write(folder: Path, about: Mapping[str, Fact], scores: Sequence[EpochScore], measured: str = "accuracy") -> None:
    """Write ``log.csv`` and ``log.json`` of all epochs so far; what was ``measured`` has its own name."""
    rows = [{_name(name, measured): value for name, value in asdict(score).items()} for score in scores]
    table = io.StringIO()
    writer = csv.DictWriter(table, [_name(field.name, measured) for field in fields(EpochScore)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    log = json.dumps({"run": dict(about), "epochs": rows}, indent=1) + "\n"
    write_file(folder / "log.csv", table.getvalue().encode(), force=True)
    write_file(folder / "log.json", log.encode(), force=True)


def _name(field: str, measured: str) -> str:
    return field.replace("accuracy", measured)


def draw(folder: Path, scores: Sequence[EpochScore], measured: str = "accuracy") -> None:
    """Write ``curve.png``, where it can be."""
    if CAN_DRAW and scores:
        write_file(folder / "curve.png", _curve(scores, measured), force=True)


def _curve(scores: Sequence[EpochScore], measured: str) -> bytes:
    # Slow to import. Drawn without pyplot, whose state would outlive it.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    epochs = [score.epoch for score in scores]
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for prefix, label in (("", "training"), ("val_", "validation")):
            values = [getattr(score, prefix + name) for score in scores]
            axes.plot(epochs, values, marker="o" if len(epochs) == 1 else "", label=label)
        axes.set(xlabel="epoch", ylabel=_name(name, measured).replace("_", " "))
        axes.grid(alpha=0.3)
        axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    return picture.getvalue()
