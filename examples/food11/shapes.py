"""Draw a small stand-in for food-11, in the same folders and file names: ``python examples/food11/shapes.py FOLDER``.

Its 11 classes are shapes, of a colour each, somewhere on a noisy ground.
"""

from __future__ import annotations

import argparse
import colorsys
from math import cos, pi, sin
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = 11
SIZE = 48
"""Pixels a side; the images are as high as wide."""
COUNTS = {"training": 24, "validation": 4, "evaluation": 4}
"""Images of each class."""


def image(number: int, random: np.random.Generator) -> Image.Image:
    """One of class ``number``: an ellipse, or a polygon or star of so many corners."""
    picture = Image.fromarray(random.integers(90, 140, (SIZE, SIZE, 3), np.uint8))
    hue = number / CLASSES + random.uniform(-0.02, 0.02)
    colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue % 1, 0.9, random.uniform(0.7, 1)))
    radius, x, y = random.uniform(0.2, 0.3), *random.uniform(0.4, 0.6, 2)
    corners, star = 2 + number // 2, number % 2
    draw = ImageDraw.Draw(picture)
    if corners == 2:
        draw.ellipse([SIZE * v for v in (x - radius, y - radius / 2, x + radius, y + radius / 2)], fill=colour)
        return picture
    turn, points = random.uniform(0, 2 * pi), []
    for step in range(2 * corners):
        inward = step % 2 and (0.4 if star else cos(pi / corners))
        angle, reach = turn + pi * step / corners, radius * (inward or 1)
        points.append((SIZE * (x + reach * cos(angle)), SIZE * (y + reach * sin(angle))))
    draw.polygon(points, fill=colour)
    return picture


def draw_all(folder: Path, seed: int = 0) -> None:
    """Fill ``folder`` with ``PART/CLASS_NUMBER.jpg``."""
    random = np.random.default_rng(seed)
    for part, count in COUNTS.items():
        (folder / part).mkdir(parents=True)
        for number in range(CLASSES):
            for index in range(count):
                image(number, random).save(folder / part / f"{number}_{index}.jpg", quality=95)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    draw_all(parser.parse_args().folder)
