"""``cnn2rtl compress prune``: a network with fewer channels."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from cnn2rtl.cli import console
from cnn2rtl.cli.compress.aim import Aim, Calibration
from cnn2rtl.cli.compress.data import DataOptions, read_normalisation
from cnn2rtl.cli.compress.stages import Stages, discard_stages
from cnn2rtl.cli.compress.training import RECIPE, RunOptions, Session, begin, result_of, say
from cnn2rtl.cli.model import Arch, NetworkFile, TrustPickle, read_trainable, tell_written
from cnn2rtl.cli.numbers import CALIBRATING, FITTING
from cnn2rtl.cli.spread import spread
from cnn2rtl.compress.files import check_module_file
from cnn2rtl.compress.training.recipe import Recipe
from cnn2rtl.counting import total
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.images import Fit
from cnn2rtl.tensors import Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from cnn2rtl.compress.prune import Channels, Scores, Widths
    from cnn2rtl.compress.prune.rounds import Train

By: TypeAlias = Literal["slimming", "magnitude", "taylor"]
FINE_TUNING = {
    **RECIPE,
    "epochs": typer.Option(metavar="N", help="Train so many times on all images in every round."),
    "keep": typer.Option("--keep-epoch", help="The epoch that a round ends with: the most accurate one, or the last."),
}
"""The recipe's options; what ``--keep`` is elsewhere has another name, as a share of channels is kept here."""


@dataclass(frozen=True, kw_only=True)
class Images(DataOptions):
    """As for training, but there need not be any; and ``--fit`` means something else here."""

    data: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Images to train on, as for `compress train`; without, nothing is trained."),
    ] = None  # type: ignore[assignment]
    fit: Annotated[Fit, typer.Option("--fit-images", help=FITTING)] = "crop"

    def check_needless(self, problems: Problems) -> None:
        """Tell ``problems`` of what is for training, where nothing is trained."""
        task = " ".join(self.task) if self.task else None
        for option, value in (("--val", self.val), ("--limit", self.limit), ("--task", task)):
            if value is not None and self.data is None:
                problems.found.append(f"{option} {value}: is for training; say on which images, with --data")


@dataclass(frozen=True)
class Manner:
    """Which channels go first, and in how many steps."""

    by: Annotated[
        By, typer.Option(help="Least |gamma| of BatchNorm first, least norm of filters, or least effect on the loss.")
    ] = "slimming"
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Remove them in so many steps.")] = 1
    sparsity_epochs: Annotated[
        int, typer.Option(metavar="N", min=0, help="Before that, train so many epochs with |gamma| in the loss.")
    ] = 0
    sparsity: Annotated[float, typer.Option(metavar="X", help="Weight of |gamma| in that loss.")] = 1e-4

    @property
    def stages(self) -> list[str]:
        """The folders of all trainings, within that of the run."""
        return [*(["sparsity"] if self.sparsity_epochs else []), *(f"round-{n + 1}" for n in range(self.rounds))]

    def sparse(self, stages: Stages, module: nn.Module, recipe: Recipe) -> nn.Module:
        """``module`` after the training with ``|gamma|``, whose last epoch is the one with the smallest."""
        from cnn2rtl.compress.prune import with_gammas
        from cnn2rtl.compress.training.objective import from_labels

        longer = replace(recipe, epochs=self.sparsity_epochs, keep="last")
        objective = with_gammas(from_labels(recipe.smoothing), self.sparsity)
        return stages.train("sparsity", f"sparsity {self.sparsity:g}", module, longer, objective)

    def fine_tuning(self, stages: Stages | None, recipe: Recipe) -> Train:
        """What is done after each round: nothing, without images."""
        from cnn2rtl.compress.training.objective import from_labels

        def train(module: nn.Module, number: int) -> nn.Module:
            if stages is None:
                return module
            title, objective = f"round {number} of {self.rounds}", from_labels(recipe.smoothing)
            return stages.train(f"round-{number}", title, module, recipe, objective)

        return train

    def check(self, recipe: Recipe, trains: bool, problems: Problems) -> None:
        """Tell ``problems`` of what is wrong whatever the network."""
        if self.sparsity_epochs and self.sparsity_epochs <= recipe.warm_up < recipe.epochs:
            problems.found.append(
                f"--sparsity-epochs {self.sparsity_epochs}: more than the {recipe.warm_up} of --warm-up are expected"
            )
        if not 0 < self.sparsity < float("inf"):
            problems.found.append(f"--sparsity {self.sparsity:g}: a number above 0 is expected")
        for option, needed in (
            ("--by taylor", self.by == "taylor"),
            (f"--rounds {self.rounds}", self.rounds > 1),
            (f"--sparsity-epochs {self.sparsity_epochs}", self.sparsity_epochs > 0),
        ):
            if needed and not trains:
                problems.found.append(f"{option}: needs images; say where they are with --data")


@spread(recipe=FINE_TUNING)
def prune(
    model: NetworkFile,
    aim: Aim,
    manner: Manner,
    data: Images,
    recipe: Recipe,
    run: RunOptions,
    arch: Arch = None,
    trust_pickle: TrustPickle = False,
) -> None:
    """Remove the channels that matter least, and train what is left.

    `--keep 0.75` keeps three quarters of every layer's channels; `--fit xc7a35t` as many as that FPGA has room for.
    """
    problems = Problems()
    aim.check(problems)
    manner.check(recipe, data.data is not None, problems)
    data.check_needless(problems)
    on = Calibration()
    if data.data is None:
        on = Calibration(*read_normalisation(data.mean, data.std, None, problems))
        session, opened = None, _open(model, arch, data, run, recipe.seed, trust_pickle, problems)
    else:
        session = begin(model, arch, trust_pickle, data, recipe, run, "pruned", problems, manner.stages)
        opened = None if session is None else (session.module, session.data.train.shape)
    problems.check()
    from cnn2rtl.compress.modules import write_module
    from cnn2rtl.compress.prune import find_channels
    from cnn2rtl.compress.prune import prune as in_rounds

    assert opened is not None
    module, shape = opened
    if session is not None:
        train = session.data.train
        on = Calibration(train.mean, train.std, train.images.every(ceil(len(train) / CALIBRATING), 0).images)
    channels = find_channels(module, shape, aim.only or ())
    rank = partial(_rank, manner.by, session)
    # Before anything is trained: much of what could be wrong shows here.
    widths = aim.widths(module, shape, channels, rank(module, channels), on)
    if widths is None:
        say(f"{console.plain(str(model))}: {aim.reached}; nothing is removed, and nothing written")
        return
    for c in channels:
        if c.name not in widths:
            say(
                f"[yellow]note[/] {console.plain(c.name)}: no BatchNorm scales its channels, so they all stay; see --by"
            )
    before = _size(module, shape)
    stages = None if session is None else Stages(session)
    if session is not None and run.restart:
        discard_stages(manner.stages, session.folder)
    if stages is not None and manner.sparsity_epochs:
        module = manner.sparse(stages, module, recipe)
        if aim.scope == "global":
            widths = aim.widths(module, shape, channels, rank(module, channels), on) or {}
    fine_tune = manner.fine_tuning(stages, recipe)
    *_, last = in_rounds(module, shape, channels, widths, rank, fine_tune, manner.rounds)
    file, folder = run.places(model, "pruned")
    write_module(last.module, file, run.force)
    _tell(channels, widths, before, _size(last.module, shape))
    try:
        aim.judge(last.module, shape, on)
    except UserError as error:
        raise UserError(
            f"{file}: is written, but with its weights as they are now, {it}" for it in error.problems
        ) from None
    if session is None:
        tell_written(file, last.module, model, arch, shape, aim.asked)
    else:
        result = result_of(folder / manner.stages[-1], recipe, session.data.val.lesson)
        command = " ".join([session.generate, *map(shlex.quote, aim.asked)])
        say(f"[bold]{console.plain(str(file))}[/]: {result}; next, {console.plain(command)}")


def _open(
    model: Path, arch: str | None, data: Images, run: RunOptions, seed: int, trust_pickle: bool, problems: Problems
) -> tuple[nn.Module, Shape] | None:
    """The network where nothing is trained."""
    with problems.gather():
        check_module_file(run.places(model, "pruned")[0], run.force)
    return read_trainable(model, arch, data.size, trust_pickle, problems, seed)


def _rank(by: By, session: Session | None, module: nn.Module, channels: Sequence[Channels]) -> Scores:
    from cnn2rtl.compress.prune import magnitude, slimming, some_batches, taylor
    from cnn2rtl.compress.training.device import choose

    if by == "taylor":
        assert session is not None
        device = choose(session.recipe.device)
        batches = some_batches(session.data.train, session.recipe.batch, device)
        scores = taylor(module.to(device), channels, batches)
        module.cpu()
        return scores
    return {"slimming": slimming, "magnitude": magnitude}[by](module, channels)


def _size(module: nn.Module, shape: Shape) -> tuple[int, int | None]:
    """Parameters, and MACs of a network that hardware can be made of."""
    from cnn2rtl.frontend import capture

    parameters = sum(parameter.numel() for parameter in module.parameters())
    try:
        return parameters, total(capture(module, shape, "network")).macs
    except UserError:
        return parameters, None


def _tell(
    channels: Sequence[Channels], widths: Widths, before: tuple[int, int | None], after: tuple[int, int | None]
) -> None:
    rows = console.table("channels of", "before", "after")
    for c in channels:
        rows.add_row(console.plain(c.name), f"{c.width:,}", f"{widths.get(c.name, c.width):,}")
    rows.add_section()
    for name, old, new in zip(("parameters", "MACs"), before, after, strict=True):
        if old is not None and new is not None:
            rows.add_row(name, f"{old:,}", f"{new:,}", style="bold")
    console.show(rows)
