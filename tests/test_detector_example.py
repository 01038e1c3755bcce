"""examples/detector: its commands, from made-up pictures to boxes and to the proven design."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import succeed
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "detector"


def share_found(text: str, who: str) -> float:
    """In percent; boxes of nothing must be few."""
    counts = re.search(rf"{who}: \d+ of 288 things found \(([\d.]+)%\), (\d+) of (\d+) boxes of nothing", text)
    assert counts is not None, text
    assert int(counts[2]) <= 0.05 * int(counts[3])
    return float(counts[1])


# It trains.
@pytest.mark.slow
def test_from_pictures_to_boxes_and_the_proven_design(tmp_path: Path) -> None:
    """Weights may differ a little from one processor to another, and so may the shares that the page tells."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    text = (EXAMPLE / "README.md").read_text().replace("\\\n", " ")
    lines = [" ".join(line.split()) for line in re.findall(r"^    ((?:cnn2rtl|python) .*)$", text, re.MULTILINE)]
    said = ""
    for line in lines:
        program, *words = shlex.split(line)
        if program == "python":
            done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
            said += done.stdout
        else:
            said += succeed(*words, cwd=tmp_path)
    assert "parameters: 27506\n" in said and len(lines) == 4
    floats, integers = share_found(said, "float network"), share_found(said, "hardware")
    assert min(floats, integers) > 93 and abs(floats - integers) < 2
    assert "is delivered as `small` (7x8x8), `large` (7x4x4)" in " ".join(said.split())
    assert "PASS" in said and " 0 wrong" in said
    with Image.open(tmp_path / "out" / "detector" / "found.png") as picture:
        assert picture.size == (8 * 128, 128)
