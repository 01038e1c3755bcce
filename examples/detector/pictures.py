"""Made-up pictures, from a seed: squares and discs of any colour on a noisy ground, and where they are."""

from __future__ import annotations

import numpy as np
from detector import SIDE

MOST = 3
"""Things in a picture."""


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 32, 32, 3) of uint8, and boxes (n, 3, 5): left, top, right, bottom, class; -1 where there is none."""
    rng = np.random.default_rng(seed)
    images = rng.normal(rng.uniform(60, 190, (count, 1, 1, 3)), 12, (count, SIDE, SIDE, 3))
    boxes = np.full((count, MOST, 5), -1.0)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    for image, places in zip(images, boxes, strict=True):
        taken = np.zeros((SIDE, SIDE), bool)
        for place in places[: rng.integers(1, MOST + 1)]:
            side = rng.integers(5, 10) if rng.random() < 0.6 else rng.integers(12, 19)
            left, top = rng.integers(0, SIDE - side + 1, 2)
            within = np.s_[max(top - 1, 0) : top + side + 1, max(left - 1, 0) : left + side + 1]
            if taken[within].any():
                continue
            taken[within] = True
            kind = rng.integers(2)
            middle = (left + side / 2, top + side / 2)
            far = np.hypot(x - middle[0], y - middle[1]) if kind else np.maximum(abs(x - middle[0]), abs(y - middle[1]))
            ground = image[within].mean((0, 1))
            colour = rng.uniform(0, 255, 3)
            colour = np.where(abs(colour - ground) < 60, (ground + 128) % 256, colour)
            image[far <= side / 2] = colour + rng.normal(0, 8, 3)
            place[:] = left, top, left + side, top + side, kind
    return images.clip(0, 255).astype(np.uint8), boxes
