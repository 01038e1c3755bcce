"""What the commands that train have in common: the recipe as options, the run, and what is said about it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.models import OptionInfo

from cnn2rtl.cli import console
from cnn2rtl.cli.compress.data import DataOptions, Learner, read_data
from cnn2rtl.compress.files import check_module_file
from cnn2rtl.compress.training.folder import NETWORK, check_run, discard
from cnn2rtl.compress.training.recipe import Recipe
from cnn2rtl.errors import Problems
from cnn2rtl.quantise.calibrate import Progress
from cnn2rtl.reading import open_file, stem_of
from cnn2rtl.tasks.base import Task
from cnn2rtl.tasks.output import Output
from cnn2rtl.tensors import Shape

if TYPE_CHECKING:
    from torch import nn

    from cnn2rtl.compress.training.feed import Data
    from cnn2rtl.compress.training.lesson import Lesson
    from cnn2rtl.compress.training.objective import Objective
    from cnn2rtl.compress.training.score import EpochScore

RECIPE: dict[str, OptionInfo] = {
    "epochs": typer.Option(metavar="N", help="Train so many times on all images."),
    "batch": typer.Option(metavar="N", help="Images per step."),
    "rate": typer.Option(metavar="X", help="Largest step size."),
    "optimiser": typer.Option(help="AdamW, or stochastic gradient descent."),
    "momentum": typer.Option(metavar="X", help="Momentum of sgd, first beta of adamw."),
    "weight_decay": typer.Option(metavar="X", help="Of all weights but biases and BatchNorm."),
    "schedule": typer.Option(help="How the step size falls: to 0, to a tenth twice, or never."),
    "warm_up": typer.Option(metavar="N", help="Epochs in which the step size rises at first."),
    "smoothing": typer.Option(metavar="X", help="Label smoothing: the share of a label that all classes have."),
    "flip": typer.Option("--flip", help="Mirror images at random, left to right."),
    "shift": typer.Option(metavar="N", help="Move images at random, by so many pixels at most."),
    "zoom": typer.Option(metavar="X", help="Enlarge parts of images at random, so many times at most."),
    "jitter": typer.Option(metavar="X", help="Change brightness, contrast, colour at random, by this share at most."),
    "seed": typer.Option(metavar="N", help="Decides all that is random."),
    "keep": typer.Option(help="The epoch that FILE.pt is from: the most accurate one on validation, or the last."),
    "device": typer.Option(help="Where to train; auto: on a GPU if there is one."),
    "deterministic": typer.Option(help="The same result in every run, to the bit; always so on a CPU, if not said."),
}  # fmt: skip


@dataclass(frozen=True)
class RunOptions:
    """Where the result goes, and what it takes to make it."""

    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE.pt", help="The result; named after MODEL if not given.")
    ] = None
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Checkpoint and log of the run; FILE.run if not given. A run goes on there."
        ),
    ] = None
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, though FOLDER has epochs already.")] = False
    force: Annotated[
        bool, typer.Option("--force", help="Replace FILE.pt if it exists; with --restart, lose the epochs.")
    ] = False

    def places(self, model: Path, suffix: str) -> tuple[Path, Path]:
        """FILE.pt, by default the model's name with ``suffix``, and FOLDER."""
        file = self.out or Path(f"{stem_of(model)}_{suffix}.pt")
        return file, self.run or file.with_suffix(".run")


@dataclass(frozen=True)
class Session:
    """A run that is ready to begin, or to go on after ``done`` epochs."""

    module: nn.Module
    data: Data
    task: Task
    recipe: Recipe
    folder: Path
    file: Path
    options: RunOptions
    done: int
    generate: str
    """The command for its result."""
    skipped: Sequence[str]
    """What was wrong with the images that are not among the data."""


def begin(
    model: Path,
    arch: str | None,
    trust_pickle: bool,
    options: DataOptions,
    recipe: Recipe,
    run: RunOptions,
    suffix: str,
    problems: Problems,
    stages: Sequence[str] = (),
) -> Session | None:
    """Read all that training needs; what is wrong goes to ``problems``. Writes nothing.

    Raises :class:`UserError` for all that is wrong so far before anything is imported that is slow. Where there are
    ``stages``, each has a folder of its own within that of the run.
    """
    file, folder = run.places(model, suffix)
    source = open_file(model, arch, trust_pickle=trust_pickle)
    shape: Shape | None = None
    with problems.gather():
        recipe.check()
    with problems.gather():
        check_module_file(file, run.force)
    with problems.gather():
        check_run(folder, stages, run.restart, run.force)
    with problems.gather():
        shape = console.parse_shape(options.size)
    with problems.gather():
        source.check_trainable()
    options.check(None if shape is None else shape[0], problems)
    # What follows imports torch, which takes seconds.
    problems.check()
    assert shape is not None
    from cnn2rtl.compress.training.checkpoint import epochs_in
    from cnn2rtl.compress.training.device import choose
    from cnn2rtl.compress.training.score import output_of

    module: nn.Module | None = None
    output: Output | None = None
    done: list[int] = []
    with problems.gather():
        choose(recipe.device)
    with problems.gather():
        done = [0 if run.restart else epochs_in(folder / stage) for stage in stages or [""]]
    with problems.gather():
        module = source.module(recipe.seed)
        output = output_of(module, shape, str(model))
    if module is None or output is None:
        return None
    data, task, skipped = read_data(options, Learner(module, shape, output), recipe.seed, problems)
    if problems.found or data is None or task is None:
        return None
    _check_recipe(recipe, data, problems)
    generate = generate_command(file, module, model, arch, options)
    # Where each stage of several is, is seen when it goes on.
    return Session(module, data, task, recipe, folder, file, run, 0 if stages else done[0], generate, skipped)


def _check_recipe(recipe: Recipe, data: Data, problems: Problems) -> None:
    """Tell ``problems`` of what does not go with labels of this kind."""
    truth, lesson = data.train.truth, data.train.lesson
    if recipe.smoothing and not lesson.smooth:
        problems.found.append(f"--smoothing {recipe.smoothing:g}: is for labels that are classes; leave it out")
    moves = {"flip": recipe.flip, "shift": recipe.shift, "zoom": recipe.zoom > 1}
    if truth is not None and truth.shape[1:3] > (1, 1):
        problems.found += [
            f"--{name}: would move the images and not their labels, which are maps; leave it out"
            for name, given in moves.items()
            if given
        ]


def train_session(session: Session, objective: Callable[[Progress], Objective]) -> None:
    """Train, say how it goes, and write the result; Ctrl-C ends it with what there is."""
    from cnn2rtl.compress.modules import write_module

    if session.options.restart:
        discard(session.folder)
    train_epochs(session, objective, introduce)
    write_module(session.module, session.file, session.options.force)
    if session.skipped:
        say(f"[yellow]note[/] {len(session.skipped)} images could not be read and were skipped")
    result = result_of(session.folder, session.recipe, session.data.val.lesson)
    say(f"[bold]{console.plain(str(session.file))}[/]: {result}; next, {console.plain(session.generate)}")


def train_epochs(
    session: Session, objective: Callable[[Progress], Objective], begins: Callable[[Session], None]
) -> None:
    """Train the session's module and say how it goes; ``begins`` has the first word, once it is sure that it will."""
    from cnn2rtl.compress.training.loop import train

    recipe, folder, done = session.recipe, session.folder, session.done
    try:
        with console.progress() as bar:
            task = bar.add_task("training", total=None)

            def show(stage: str, completed: int, total: int) -> None:
                bar.update(task, description=stage, completed=completed, total=total)

            epochs = train(session.module, session.data, recipe, objective(show), folder, show)
            begins(session)
            for score in epochs:
                say(_line(score, recipe.epochs, session.data.val.lesson))
                done = score.epoch
    except KeyboardInterrupt:
        left = (
            f"{folder / NETWORK} holds the {recipe.keep} of {done} epochs; the same command goes on after them"
            if done
            else "no epoch was whole, the same command begins anew"
        )
        console.err.print(f"interrupted: {console.plain(left)}", soft_wrap=True)
        raise typer.Exit(130) from None


def introduce(session: Session) -> None:
    """Say what a run is about to do."""
    from cnn2rtl.compress.training.device import choose
    from cnn2rtl.compress.training.record import CAN_DRAW

    recipe, data = session.recipe, session.data
    say(
        f"{session.task.kind}: {len(data.train)} images to train on, {len(data.val)} to validate on, on "
        f"{choose(recipe.device).type}, seed {recipe.seed}"
    )
    for line in session.skipped:
        say(f"[yellow]skipped[/] {console.message(line)}")
    if session.done:
        say(f"{console.plain(str(session.folder))}: goes on after epoch {session.done} of {recipe.epochs}")
    if not CAN_DRAW:
        say("[yellow]note[/] matplotlib is not installed, so no curve is drawn")


def say(text: str) -> None:
    """Print a line, however long."""
    console.out.print(text, soft_wrap=True)


def _line(score: EpochScore, epochs: int, lesson: Lesson) -> str:
    return (
        f"epoch {score.epoch} of {epochs}: loss {score.loss:.4f}, {lesson.words(score.accuracy)}; validation: loss "
        f"{score.val_loss:.4f}, {lesson.words(score.val_accuracy)}{', the best' if score.best else ''}"
    )


def result_of(folder: Path, recipe: Recipe, lesson: Lesson) -> str:
    """Which epoch the network is of, and how good."""
    from cnn2rtl.compress.training.checkpoint import load

    run = load(folder)
    assert run is not None
    kept = run.scores[-1] if recipe.keep == "last" else [score for score in run.scores if score.best][-1]
    return f"epoch {kept.epoch}, the {recipe.keep}, {lesson.words(kept.val_accuracy)} in validation"


def generate_command(file: Path, module: nn.Module, model: Path, arch: str | None, options: DataOptions) -> str:
    """The command that makes hardware of the network in ``file``, which came from ``model``."""
    from cnn2rtl.compress.modules import needs_arch
    from cnn2rtl.frontend.content import is_fresh

    words = ["cnn2rtl", "generate", str(file), "--input", options.size]
    if needs_arch(module):
        words += ["--arch", arch or (str(model) if is_fresh(model) else "FILE.py:NAME")]
    for option, value, default in (
        ("--mean", options.mean, "0"),
        ("--std", options.std, "1"),
        ("--fit", options.fit, "crop"),
        ("--channels", options.channels, "rgb"),
    ):
        words += [] if value == default else [option, value]
    return shlex.join([*words, "--calib", str(options.data)])
