"""``cnn2rtl compress distill``: a small network learns from a large one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cnn2rtl.cli.compress.data import DataOptions, read_normalisation
from cnn2rtl.cli.compress.training import RECIPE, RunOptions, Session, begin, train_session
from cnn2rtl.cli.model import Arch, ModelFile, TrustPickle
from cnn2rtl.cli.spread import spread
from cnn2rtl.compress.training.recipe import Recipe, check_distillation
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.quantise.calibrate import Progress
from cnn2rtl.reading import Source, open_file
from cnn2rtl.tensors import times

if TYPE_CHECKING:
    from torch import nn

    from cnn2rtl.compress.training.objective import Objective


@spread(recipe=RECIPE)
def distill(
    model: ModelFile,
    teacher: Annotated[Path, typer.Option(metavar="FILE", help="The network to learn from, like MODEL.")],
    data: DataOptions,
    recipe: Recipe,
    run: RunOptions,
    arch: Arch = None,
    teacher_arch: Annotated[
        str | None, typer.Option(metavar="FILE.py:NAME", help="Class or factory of the teacher, like --arch.")
    ] = None,
    teacher_mean: Annotated[
        str | None, typer.Option(metavar="X[,Y,...]", help="The --mean that the teacher was trained with, if another.")
    ] = None,
    teacher_std: Annotated[str | None, typer.Option(metavar="X[,Y,...]", help="Likewise, its --std.")] = None,
    teacher_sees: Annotated[
        Literal["augmented", "original"],
        typer.Option(help="What the teacher answers for: the images that the student sees, or those of --data, once."),
    ] = "augmented",
    alpha: Annotated[float, typer.Option(metavar="X", help="Weight of the teacher; the labels have the rest.")] = 0.7,
    temperature: Annotated[
        float, typer.Option(metavar="X", help="The higher, the more the teacher's second choices count.")
    ] = 4.0,
    trust_pickle: TrustPickle = False,
) -> None:
    """Train MODEL, the student, on what a teacher answers, and on the labels (Hinton et al., 2015).

    As `compress train`, with the loss alpha T^2 KL(teacher/T, student/T) + (1 - alpha) cross entropy.
    """
    problems = Problems()
    learned_from = open_file(teacher, teacher_arch, trust_pickle=trust_pickle)
    with problems.gather():
        check_distillation(alpha, temperature)
    with problems.gather():
        learned_from.check_trainable()
    own = teacher_mean or data.mean, teacher_std or data.std
    renormalise = bool(teacher_mean or teacher_std)
    if renormalise:
        read_normalisation(*own, None, problems, "teacher-")
    session = begin(model, arch, trust_pickle, data, recipe, run, "distilled", problems)
    from cnn2rtl.compress.distillation import distillation, renormalised

    taught = _teacher(learned_from, f"--teacher {teacher}", session, problems)
    if renormalise and session is not None and taught is not None:
        channels = session.data.train.shape[0]
        taught = renormalised(taught, session.data.train, read_normalisation(*own, channels, problems, "teacher-"))
    problems.check()
    assert session is not None and taught is not None

    def objective(progress: Progress) -> Objective:
        return distillation(
            taught, session.data.train, recipe, session.folder, alpha, temperature, teacher_sees, progress
        )

    train_session(session, objective)


def _teacher(source: Source, named: str, session: Session | None, problems: Problems) -> nn.Module | None:
    """The network to learn from; with its classes held against those of the student, where that is known."""
    from cnn2rtl.compress.training.score import output_of

    with problems.gather():
        module = source.module()
        if session is None:
            return None
        taught, learnt = (of.shape for of in (output_of(module, session.data.train.shape, named), session.task.output))
        if taught != learnt:
            has, wants = (f"{c}" if (h, w) == (1, 1) else times((c, h, w)) for c, h, w in (taught, learnt))
            raise UserError(f"{named}: has {has} outputs, but MODEL has {wants}; the same are expected")
        return module
    return None
