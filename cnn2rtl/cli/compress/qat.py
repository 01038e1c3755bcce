"""``cnn2rtl compress qat``: train the integers of a network."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cnn2rtl.cli import console
from cnn2rtl.cli.model import Arch, InputSize, ModelFile, TrustPickle, capture_file, is_trained, open_trained, stem_of
from cnn2rtl.cli.numbers import (
    ActivationBits,
    Bits,
    CalibLimit,
    EffortOf,
    Fitting,
    LayerWidths,
    Mean,
    OutputBits,
    RangesBy,
    RequantScheme,
    Std,
    WeightBits,
    read_options,
)
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.graph import FloatGraph
from cnn2rtl.images import ImageSet
from cnn2rtl.output import check_file
from cnn2rtl.pipeline import VECTOR_FRAMES, Options, quantise_graph
from cnn2rtl.quantise.calibrate import Progress
from cnn2rtl.schedule import Target
from cnn2rtl.trained import SUFFIX, Trained


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
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Use so many of them, spread over the classes.")
    ] = None,
    calib_limit: CalibLimit = 200,
    fit: Fitting = "crop",
    teacher: Annotated[
        bool, typer.Option("--teacher", help="Learn what the float network answers, even where there are labels.")
    ] = False,
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
    started: Trained | None = None
    graph: FloatGraph | None
    options = Options()
    if is_trained(model):
        started = open_trained(context, model, problems)
        graph = None if started is None else started.float_graph
    else:
        options = read_options(
            problems, bits=bits, weight_bits=weight_bits, activation_bits=activation_bits, output_bits=output_bits,
            scheme=scheme, layer=layer, ranges=ranges, effort=effort, mean=mean, std=std, target=Target(),
        )  # fmt: skip
        graph = capture_file(model, arch, size, trust_pickle, problems)
        with problems.gather():
            options.check(None if graph is None else graph.channels)
        if graph is not None and (len(graph.inputs), len(graph.outputs)) != (1, 1):
            problems.found.append(
                f"{model}: the network has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; training knows "
                "one image and its class"
            )
            graph = None
        if calib_limit < 1:
            problems.found.append(f"--calib-limit {calib_limit}: at least 1 image is needed")
    images: ImageSet | None = None
    with problems.gather():
        images = console.images("--data", data, graph, fit, limit)
    if images is not None and graph is not None and images.labels is not None and not teacher:
        with problems.gather():
            _check_labels(data, images, graph)
    problems.check()
    assert images is not None and graph is not None
    if teacher:
        images = replace(images, labels=None)
    what = f"{len(images)} images of {console.readable(data.resolve().name)}"
    with console.progress() as bar:
        task = bar.add_task("calibrating", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        if started is None:
            # Every so manieth, so that sorted classes are all there.
            some = images.images[:: -(-len(images) // calib_limit)]
            float_graph, integers = quantise_graph(graph, options, some, show)
            origin = f"{len(some)} of {what}"
            started = Trained(float_graph, integers, options, origin, images.images[:VECTOR_FRAMES])
        console.out.print(
            f"{started.graph.name}: {what}, {'their labels' if images.labels else 'the float network teaches'}, "
            f"seed {seed}",
            soft_wrap=True,
        )
        try:
            _train(started, images, what, (epochs, batch, rate, seed), file, show)
        except KeyboardInterrupt:
            left = f"{file} holds the last whole epoch" if file.exists() else "no epoch was whole, nothing is written"
            console.err.print(f"interrupted: {escape(left)}", soft_wrap=True)
            raise typer.Exit(130) from None
    console.out.print(f"[bold]{escape(str(file))}[/]: next, cnn2rtl generate {shlex.quote(str(file))}", soft_wrap=True)


def _train(
    started: Trained, images: ImageSet, what: str, how: tuple[int, int, float, int], file: Path, progress: Progress
) -> None:
    # Slow to import, and needed for this alone.
    from cnn2rtl.compress.qat import Training, train

    training = Training(*how)
    for epoch in train(started.float_graph, started.graph, images.images, images.labels, training, progress):
        origin = f"{started.origin}, then trained on {what} ({epoch.number} epochs)"
        replace(started, graph=epoch.graph, origin=origin).save(file)
        console.out.print(
            f"epoch {epoch.number} of {training.epochs}: loss {epoch.loss:.4f}, {epoch.right:.1%} right", soft_wrap=True
        )


def _check_labels(data: Path, images: ImageSet, graph: FloatGraph) -> None:
    """The images' labels must be the network's outputs."""
    classes, labels, folders = graph.classes, images.labels or (0,), len(images.class_names)
    if folders in (0, classes) and min(labels) >= 0 and max(labels) < classes:
        return
    found = f"{folders} class folders" if folders else f"labels from {min(labels)} to {max(labels)}"
    raise UserError(
        f"--data {data}: {found}, but the network has {classes} outputs; give labels 0 to {classes - 1}, or --teacher "
        "to learn from the float network instead"
    )
