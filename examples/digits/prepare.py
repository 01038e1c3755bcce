"""Writes the data of this example: digits.npz, and PNG files of some of its images.

python prepare.py            # images/ and calib/, from digits.npz
python prepare.py --fetch    # digits.npz too, from scikit-learn: pip install 'cnn2rtl[train]'
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
CLASSES = 10
TEST_PER_CLASS = 50


def fetch() -> None:
    """Scale scikit-learn's copy of the data to whole bytes, and set 50 images of every class aside for testing."""
    # Needed for this alone.
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = digits.target.astype(np.uint8)
    rng = np.random.default_rng(0)
    test = np.zeros(len(labels), bool)
    for digit in range(CLASSES):
        test[rng.permutation(np.flatnonzero(labels == digit))[:TEST_PER_CLASS]] = True
    images = np.rint(digits.images * 255 / 16).astype(np.uint8)
    np.savez_compressed(HERE / "digits.npz", images=images, labels=labels, test=test)


def write_images(folder: Path, per_class: int, test: bool) -> None:
    """The first ``per_class`` images of every class, called by their number in digits.npz."""
    with np.load(HERE / "digits.npz") as data:
        images, labels, chosen = data["images"], data["labels"], data["test"] == test
    shutil.rmtree(folder, ignore_errors=True)
    for digit in range(CLASSES):
        (folder / str(digit)).mkdir(parents=True)
        for number in np.flatnonzero(chosen & (labels == digit))[:per_class]:
            Image.fromarray(images[number]).save(folder / str(digit) / f"{number:04d}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fetch", action="store_true", help="write digits.npz anew, from scikit-learn")
    if parser.parse_args().fetch:
        fetch()
    write_images(HERE / "images", per_class=10, test=True)
    write_images(HERE / "calib", per_class=5, test=False)


if __name__ == "__main__":
    main()
