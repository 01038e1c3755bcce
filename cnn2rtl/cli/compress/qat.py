"""``cnn2rtl compress qat``: train the integers of a network."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cnn2rtl.cli import console
from cnn2rtl.cli.model import Arch, InputSize, ModelFile, TrustPickle, open_model, refuse
from cnn2rtl.cli.numbers import (
    CALIBRATING,
    ActivationBits,
    Bits,
    CalibLimit,
    ChannelOrder,
    EffortOf,
    Fitting,
    InputFormatOf,
    InputScale,
    LayerWidths,
    Mean,
    OutputBits,
    RangesBy,
    RequantScheme,
    Std,
    TaskOf,
    WeightBits,
    read_options,
    read_task,
)
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.graph import FloatGraph
from cnn2rtl.images import ImageSet, images_for
from cnn2rtl.labels import Labels
from cnn2rtl.output import check_file
from cnn2rtl.pipeline import calibrated, quantised, simplified, with_input_formats
from cnn2rtl.quantise.calibrate import Progress
from cnn2rtl.quantised import Quantised
from cnn2rtl.reading import readable, stem_of
from cnn2rtl.schedule import Target
from cnn2rtl.tasks import Choice, Wanted, check_tasks, choose
from cnn2rtl.trained import SUFFIX, save


def qat(
    context: typer.Context,
    model: ModelFile,
    data: Annotated[
        Path, typer.Option(metavar="PATH", help="Images: a folder (subfolders are classes), or .npz, .npy, .pt.")
    ],
    arch: Arch = None,
    bits: Bits = 4,
    weight_bits: WeightBits = None,
    activation_bits: ActivationBits = None,
    output_bits: OutputBits = 16,
    size: InputSize = None,
    mean: Mean = "0",
    std: Std = "1",
    input_format: InputFormatOf = "u8",
    input_scale: InputScale = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Use so many of them, spread over the classes.")
    ] = None,
    calib_limit: CalibLimit = CALIBRATING,
    fit: Fitting = "crop",
    channels: ChannelOrder = "rgb",
    teacher: Annotated[
        bool, typer.Option("--teacher", help="Learn what the float network answers, even where there are labels.")
    ] = False,
    task: TaskOf = None,
    scheme: RequantScheme = "pow2",
    layer: LayerWidths = None,
    ranges: RangesBy = "mse",
    effort: EffortOf = "fast",
    epochs: Annotated[int, typer.Option(metavar="N", min=1, help="Train so many times on all images.")] = 10,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Images per step.")] = 32,
    rate: Annotated[
        float, typer.Option(metavar="X", min=1e-9, max=1.0, help="First step size, a share of the weights' range.")
    ] = 0.002,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=2**31 - 1, help="Decides the order of images.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE.npz", help="MODEL_qat.npz if not given.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    trust_pickle: TrustPickle = False,
) -> None:
    """Train the integers of a network (quantisation-aware training), for widths at which rounding alone costs too much.

    What comes out is a file for `generate`. It is written after every epoch; given as MODEL, it is trained further.
    """
    problems = Problems()
    file = out or Path(f"{stem_of(model)}_qat{SUFFIX}")
    if file.suffix != SUFFIX:
        problems.found.append(f"-o {file}: a name that ends with {SUFFIX} is expected")
    with problems.gather():
        check_file(file, force)
    options = read_options(
        problems, bits=bits, weight_bits=weight_bits, activation_bits=activation_bits, output_bits=output_bits,
        scheme=scheme, layer=layer, ranges=ranges, effort=effort, mean=mean, std=std, fit=fit,
        channels=channels, input_format=input_format, input_scale=input_scale, target=Target(),
    )  # fmt: skip
    with problems.gather():
        options.check()
    if calib_limit < 1:
        problems.found.append(f"--calib-limit {calib_limit}: at least 1 image is needed")
    if not data.exists():
        problems.found.append(f"--data {data}: no such file or folder")
    source = open_model(model, arch, size, trust_pickle, problems)
    if source.normalised:
        refuse(context, source, model, problems)
    with problems.gather():
        check_tasks(read_task(task))
    # What follows imports torch, which takes seconds.
    problems.check()
    network = source.read()
    # One that whoever quantised it has given its integers is trained from its floats on.
    started = network if source.normalised and isinstance(network, Quantised) else None
    how = options if started is None else started.options
    graph = network.graph if isinstance(network, Quantised) else network
    images: ImageSet | None = None
    if started is None:
        with problems.gather():
            graph, options = with_input_formats(graph, options, data)
            options.check(graph.channels)
    if (len(graph.inputs), len(graph.outputs)) != (1, 1):
        problems.found.append(
            f"{model}: the network has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; training knows "
            "one image and its class"
        )
    else:
        with problems.gather():
            images = images_for(data, graph.inputs, how.fit, limit, how.channels, graph.numbers)
    choice: Choice | None = None
    if images is not None:
        with problems.gather():
            labels = {} if teacher else images.labels_of(graph.outputs)
            choice = _judged(data, graph, read_task(task), labels)
    problems.check()
    assert images is not None and choice is not None
    what = f"{len(images)} images of {readable(data.resolve().name)}"
    with console.progress() as bar:
        shown = bar.add_task("calibrating", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bar.update(shown, description=stage, completed=done, total=total)

        if started is None:
            # Every so manieth, so that sorted classes are all there.
            some = images.images[:: -(-len(images) // calib_limit)]
            calibration = calibrated(simplified(graph, options), some, show)
            made, origin = quantised(calibration, progress=show), f"{len(some)} of {what}"
            started = replace(made, origin=origin, frames=images.images)
        console.out.print(
            f"{console.plain(started.graph.name)}: {what}, "
            f"{'the float network teaches' if choice.truth is None else 'their labels'}, {choice.task.kind}, "
            f"seed {seed}",
            soft_wrap=True,
        )
        try:
            _train(started, images, choice, what, (epochs, batch, rate, seed), file, show)
        except KeyboardInterrupt:
            left = f"{file} holds the last whole epoch" if file.exists() else "no epoch was whole, nothing is written"
            console.err.print(f"interrupted: {console.plain(left)}", soft_wrap=True)
            raise typer.Exit(130) from None
    console.out.print(
        f"[bold]{console.plain(str(file))}[/]: next, cnn2rtl generate {console.plain(shlex.quote(str(file)))}",
        soft_wrap=True,
    )


def _train(
    started: Quantised,
    images: ImageSet,
    choice: Choice,
    what: str,
    how: tuple[int, int, float, int],
    file: Path,
    progress: Progress,
) -> None:
    # Slow to import, and needed for this alone.
    from cnn2rtl.compress.qat import Training, train
    from cnn2rtl.compress.training.lesson import lesson_of

    training, lesson = Training(*how), lesson_of(choice.task)
    for epoch in train(
        started.graph, started.integers, images.images, choice.truth, training, progress, lesson
    ):  # fmt: skip
        origin = f"{started.origin}, then trained on {what} ({epoch.number} epochs)"
        save(replace(started, integers=epoch.graph, origin=origin), file)
        console.out.print(
            f"epoch {epoch.number} of {training.epochs}: loss {epoch.loss:.4f}, {lesson.words(epoch.measure)}",
            soft_wrap=True,
        )


def _judged(data: Path, graph: FloatGraph, wanted: Wanted, labels: Mapping[str, Labels]) -> Choice:
    """What the network is for, and what is right by the labels; without, the float network is."""
    (choice,) = choose(graph, wanted, labels)
    if choice.flaw:
        raise UserError(
            f"--data {data}: {choice.flaw}; give others, or --teacher to learn from the float network instead"
        )
    return choice
