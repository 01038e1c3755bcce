"""examples/motion and examples/keywords: their commands, from made-up data to the proven design."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import succeed

ROOT = Path(__file__).resolve().parents[1]


def commands(page: Path) -> list[str]:
    text = page.read_text().replace("\\\n", " ")
    return [" ".join(line.split()) for line in re.findall(r"^    ((?:cnn2rtl|python) .*)$", text, re.MULTILINE)]


# They train.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "parameters", "least", "form"),
    [("motion", 6405, 97, "s16.12"), ("keywords", 4710, 95, "s8.0")],
)
def test_from_data_to_the_proven_design(example: str, parameters: int, least: float, form: str, tmp_path: Path) -> None:
    """Weights may differ a little from one processor to another, and so may the accuracies that the page tells."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    train, *others = commands(ROOT / "examples" / example / "README.md")
    done = subprocess.run(
        [sys.executable, *shlex.split(train)[1:]], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert f"parameters: {parameters}\n" in done.stdout
    assert float(re.search(r"test accuracy: ([\d.]+)%", done.stdout)[1]) > least  # type: ignore[index]
    said = {command.split()[1]: succeed(*shlex.split(command)[1:], cwd=tmp_path) for command in others}
    assert [*said] == ["generate", "evaluate", "simulate"]
    shares = {what: float(share) for share, what in re.findall(r"([\d.]+) % +(float|integer)", said["evaluate"])}
    agreed = re.search(r"top-1 agreement +([\d.]+) %", said["evaluate"])
    assert agreed is not None and float(agreed[1]) > 98 and min(shares["float"], shares["integer"]) > least
    assert "PASS" in said["simulate"] and " 0 wrong" in said["simulate"]
    top = tmp_path / "out" / example / "design" / "rtl" / f"{example}.v"
    assert f"{form} each" in top.read_text()
