"""The images that a network is trained on: options, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnn2rtl.arrays import NO_PICTURES
from cnn2rtl.cli import console
from cnn2rtl.cli.numbers import ChannelOrder, Fitting, Mean, Std, TaskOf, read_task
from cnn2rtl.compress.training.recipe import check_share
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.images import ImageSet, load_images
from cnn2rtl.passes.absorb_input import check_normalisation
from cnn2rtl.reading import readable
from cnn2rtl.tasks import check_tasks
from cnn2rtl.tasks.base import Task
from cnn2rtl.tasks.output import Output
from cnn2rtl.tensors import Shape

PICTURES_ALONE = (
    "This command takes pictures alone; of anything else, train the network in PyTorch, or its integers with "
    "`cnn2rtl compress qat`"
)

if TYPE_CHECKING:
    from torch import nn

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
    task: TaskOf = None

    def check(self, channels: int | None, problems: Problems) -> None:
        """Tell ``problems`` of what is wrong whatever is in the images; ``channels`` are the input's, if known."""
        read_normalisation(self.mean, self.std, channels, problems)
        for option, source in (("--data", self.data), ("--val", self.val)):
            if source is not None and not source.exists():
                problems.found.append(f"{option} {source}: no such file or folder")
        with problems.gather():
            check_tasks(read_task(self.task))
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


@dataclass(frozen=True)
class Learner:
    """A network to be trained: the (c, h, w) that it takes, and what it gives, as far as that is known."""

    module: nn.Module
    shape: Shape
    output: Output

    def told(self, images: ImageSet) -> Output:
        """The output, with what it ends with where that may matter for these labels."""
        from cnn2rtl.compress.training.score import ending_of

        plain = images.labels is not None and self.output.classes > 1 and not self.output.is_map
        return self.output if plain else replace(self.output, ending=ending_of(self.module, self.shape))


def read_data(
    options: DataOptions, learner: Learner, seed: int, problems: Problems
) -> tuple[Data | None, Task | None, Sequence[str]]:
    """The images, what is learnt of them, and what is wrong with those that were skipped; what cannot be skipped goes
    to ``problems``."""
    from cnn2rtl.compress.training.feed import Data, Feed, check_pair, chosen, split
    from cnn2rtl.compress.training.lesson import lesson_of

    mean, std = read_normalisation(options.mean, options.std, learner.shape[0], problems)
    skipped: list[str] = []
    wanted = read_task(options.task)
    train = _read("--data", options.data, options, options.limit, learner.shape, skipped, problems)
    task: Task | None = None
    if train is not None:
        with problems.gather():
            task = chosen(learner.told(train), wanted, train, f"--data {options.data}").task
    val: ImageSet | None = None
    if options.val is not None:
        val = _read("--val", options.val, options, None, learner.shape, skipped, problems)
        if val is not None:
            with problems.gather():
                chosen(learner.told(val), task.kind if task else wanted, val, f"--val {options.val}")
    elif train is not None and task is not None:
        with problems.gather():
            train, val = split(train, options.val_share, seed)
    if train is None or val is None:
        return None, None, skipped
    with problems.gather():
        check_pair(train, val, f"--val {options.val}")
    if task is None or problems.found:
        return None, None, skipped
    lesson = lesson_of(task)
    feeds = [
        Feed(images, mean, std, task.truth(images.labels_of((task.output.name,))[task.output.name]), lesson)
        for images in (train, val)
    ]
    return Data(*feeds), task, skipped


def _read(
    option: str, source: Path, options: DataOptions, limit: int | None, shape: Shape, skipped: list[str],
    problems: Problems,
) -> ImageSet | None:  # fmt: skip
    with problems.gather(), console.progress() as bar:
        task = bar.add_task(f"reading {console.plain(readable(source.name))}", total=None)
        try:
            return load_images(
                source, shape, options.fit, limit, skipped.append,
                lambda n, of: bar.update(task, completed=n, total=of), options.channels,
            )  # fmt: skip
        except UserError as error:
            # These commands have no such options.
            raise UserError(it.replace(NO_PICTURES, PICTURES_ALONE) for it in error.problems) from None
    return None
