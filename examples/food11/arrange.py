"""Give the food-11 data set a folder per class: ``python examples/food11/arrange.py FOOD11 ARRANGED``.

As it comes, it has three folders, ``training``, ``validation`` and ``evaluation``, with files CLASS_NUMBER.jpg. The
files are linked, or copied where that cannot be; FOOD11 stays as it is.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from pathlib import Path

PARTS = ("training", "validation", "evaluation")
CLASSES = (
    "bread", "dairy", "dessert", "egg", "fried", "meat", "noodles", "rice", "seafood", "soup", "vegetables",
)  # fmt: skip


def arrange(source: Path, target: Path) -> None:
    """Put ``source``'s images into ``target/PART/NN-CLASS``; names sort in the order of the class numbers."""
    missing = [part for part in PARTS if not (source / part).is_dir()]
    if missing:
        sys.exit(f"{source}: has no folder {', '.join(missing)}; give the folder that food-11 was unpacked into")
    if target.exists():
        sys.exit(f"{target}: exists; give a folder that does not")
    places = {file: target / part / folder_of(file) for part in PARTS for file in sorted((source / part).glob("*.jpg"))}
    for part in PARTS:
        for number in range(len(CLASSES)):
            (target / part / folder_name(number)).mkdir(parents=True)
    for file, folder in places.items():
        place(file, folder / file.name)
    for part in PARTS:
        print(f"{target / part}: {sum(file.parent.name == part for file in places)} images")


def folder_name(number: int) -> str:
    return f"{number:02}-{CLASSES[number]}"


def folder_of(file: Path) -> str:
    found = re.fullmatch(r"(\d+)_\d+", file.stem)
    if found is None or int(found[1]) >= len(CLASSES):
        sys.exit(f"{file}: CLASS_NUMBER.jpg is expected, with classes 0 to {len(CLASSES) - 1}")
    return folder_name(int(found[1]))


def place(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="FOOD11", type=Path)
    parser.add_argument("target", metavar="ARRANGED", type=Path)
    given = parser.parse_args()
    arrange(given.source, given.target)
