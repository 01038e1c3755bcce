"""Finds things with the hardware's integers and draws them into found.png: python find.py FOLDER"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from boxes import drawn, found, shared

SHOWN = 8
"""Pictures side by side in found.png."""


def score(boxes: Sequence[np.ndarray], truth: np.ndarray) -> str:
    """How many things of ``truth``, (n, 3, 5), have a box of their class that half overlaps them."""
    there = right = 0
    for rows, places in zip(boxes, truth, strict=True):
        things = places[places[:, 4] >= 0]
        there += len(things)
        right += sum(any(row[4] == thing[4] and shared(row, thing) > 0.5 for row in rows) for thing in things)
    told = sum(map(len, boxes))
    return f"{right} of {there} things found ({right / there:.1%}), {told - right} of {told} boxes of nothing"


def main(folder: Path) -> None:
    from PIL import Image

    import cnn2rtl

    images = np.load(folder / "test.npz")["x"]
    design = cnn2rtl.compile(folder / "detector.pt2", calibration=folder / "calib.npz")
    # Two maps leave the hardware; the model's own output is their boxes, one after another.
    (output,) = design.restore(design.golden_outputs(images))
    boxes = [found(one) for one in output]
    print(f"hardware: {score(boxes, np.load(folder / 'truth.npy'))}")
    rows = [drawn(image, own) for image, own in zip(images[:SHOWN], boxes, strict=False)]
    Image.fromarray(np.concatenate(rows, 1)).save(folder / "found.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
