"""From what the detector delivers to boxes, and into the picture, in numpy."""

from __future__ import annotations

import numpy as np
from detector import SIDE, STRIDES


def found(output: np.ndarray, overlap: float = 0.3) -> np.ndarray:
    """The boxes in one image's ``output``, (80, 7): rows of left, top, right, bottom and class, the surest first."""
    cells = np.concatenate([np.argwhere(np.ones((SIDE // s, SIDE // s)))[:, ::-1] * s for s in STRIDES])
    strides = np.repeat(STRIDES, [(SIDE // s) ** 2 for s in STRIDES])[:, None]
    middle, size = cells + output[:, 1:3] * strides, output[:, 3:5] * SIDE
    rows = np.column_stack([middle - size / 2, middle + size / 2, output[:, 5:].argmax(1)])
    kept: list[np.ndarray] = []
    for row in rows[np.argsort(-output[:, 0])][: int((output[:, 0] > 0).sum())]:
        if all(shared(row, other) < overlap for other in kept):
            kept.append(row)
    return np.array(kept).reshape(-1, 5)


def shared(a: np.ndarray, b: np.ndarray) -> float:
    """The area of two boxes together that is in both, as a share."""
    sides = np.maximum(np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2]), 0)
    areas = sum(float(np.prod(box[2:4] - box[:2])) for box in (a, b))
    return float(sides.prod() / (areas - sides.prod()))


def drawn(image: np.ndarray, boxes: np.ndarray, larger: int = 4) -> np.ndarray:
    """``image``, (h, w, 3), so many times as large, with the boxes in it, one colour for each class."""
    picture = image.repeat(larger, 0).repeat(larger, 1)
    last = len(picture) - 1
    for *edges, kind in boxes:
        left, top, right, bottom = (int(np.clip(edge * larger, 0, last)) for edge in edges)
        colour = ((255, 255, 0), (0, 255, 255))[int(kind)]
        picture[[top, bottom], left : right + 1] = colour
        picture[top : bottom + 1, [left, right]] = colour
    return picture
