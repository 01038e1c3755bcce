"""The images that a network is trained on: options, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnn2rtl.cli import console
from cnn2rtl.cli.numbers import ChannelOrder, Fitting, Mean, Std
from cnn2rtl.compress.training.recipe import check_share
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.images import ImageSet, load_images
from cnn2rtl.passes.absorb_input import check_normalisation
from cnn2rtl.reading import readable
from cnn2rtl.tensors import Shape

if TYPE_CHECKING:
    from cnn2rtl.compress.training.feed import Data


@dataclass(frozen=True)
class DataOptions:
    """Options of every command that trains."""

    data: Annotated[
        Path, typer.Option(metavar="PATH", help="Images: a folder (subfolders are classes), or .npz, .pt with labels.")
    ]
    size: Annotated[str, typer.Option("--input", metavar="CxHxW", help="Size of the network's input, like 3x128x128.")]
    val: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Images to validate on, of the same classes, likewise.")
    ] = None
    val_share: Annotated[
        float, typer.Option(metavar="X", help="Without --val: validate on this share of every class instead.")
    ] = 0.1
    fit: Fitting = "crop"
    channels: ChannelOrder = "rgb"
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Use so many images of --data, spread over the classes.")
    ] = None
    mean: Mean = "0"
    std: Std = "1"

    def check(self, channels: int | None, problems: Problems) -> None:
        """Tell ``problems`` of what is wrong whatever is in the images; ``channels`` are the input's, if known."""
        read_normalisation(self.mean, self.std, channels, problems)
        for option, source in (("--data", self.data), ("--val", self.val)):
            if source is not None and not source.exists():
                problems.found.append(f"{option} {source}: no such file or folder")
        if self.val is None:
            with problems.gather():
                check_share(self.val_share)


def read_normalisation(
    mean: str, std: str, channels: int | None, problems: Problems, whose: str = ""
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What ``--mean`` and ``--std`` say; what is wrong goes to ``problems``. With ``whose``, their names begin so."""
    means: tuple[float, ...] = (0.0,)
    stds: tuple[float, ...] = (1.0,)
    with problems.gather():
        means = console.parse_numbers(f"--{whose}mean", mean)
    with problems.gather():
        stds = console.parse_numbers(f"--{whose}std", std)
    with problems.gather():
        try:
            check_normalisation(means, stds, channels)
        except UserError as error:
            raise UserError(f"{whose}{problem}" for problem in error.problems) from None
    return means, stds


def read_data(
    options: DataOptions, shape: Shape, classes: int, seed: int, problems: Problems
) -> tuple[Data | None, Sequence[str]]:
    """The images, and what is wrong with those that were skipped; what cannot be skipped goes to ``problems``.

    ``shape`` and ``classes`` are those of the network.
    """
    from cnn2rtl.compress.training.feed import Data, Feed, check_pair, split

    mean, std = read_normalisation(options.mean, options.std, shape[0], problems)
    skipped: list[str] = []
    train = _read("--data", options.data, options, options.limit, (shape, classes), skipped, problems)
    if options.val is not None:
        val = _read("--val", options.val, options, None, (shape, classes), skipped, problems)
    elif train is not None:
        val = None
        with problems.gather():
            train, val = split(train, options.val_share, seed)
    if train is None or val is None:
        return None, skipped
    with problems.gather():
        check_pair(train, val, f"--val {options.val}")
    return Data(Feed(train, mean, std), Feed(val, mean, std)), skipped


def _read(
    option: str, source: Path, options: DataOptions, limit: int | None, network: tuple[Shape, int],
    skipped: list[str], problems: Problems,
) -> ImageSet | None:  # fmt: skip
    from cnn2rtl.compress.training.feed import check_labels

    shape, classes = network
    with problems.gather(), console.progress() as bar:
        task = bar.add_task(f"reading {console.plain(readable(source.name))}", total=None)
        found = load_images(
            source, shape, options.fit, limit, skipped.append, lambda n, of: bar.update(task, completed=n, total=of),
            options.channels,
        )  # fmt: skip
        check_labels(found, classes, f"{option} {source}")
        return found
    return None
