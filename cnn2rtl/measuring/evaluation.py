"""What the integers cost in accuracy, on images."""

from __future__ import annotations

import os
import warnings
from math import inf
from pathlib import Path
from typing import Any

from cnn2rtl import schema
from cnn2rtl.accuracy import Evaluation, compare
from cnn2rtl.compiled import Compiled
from cnn2rtl.errors import Notice, Problems, UserError
from cnn2rtl.images import Channels, Fit, ImageSet
from cnn2rtl.labels import Labels
from cnn2rtl.measuring.opening import Design, given_images_of, opened, preparation
from cnn2rtl.pictures import Preparation
from cnn2rtl.project import Project, record
from cnn2rtl.quantise.calibrate import Progress, silent
from cnn2rtl.reading import readable
from cnn2rtl.tasks import Judgement, Wanted, check_tasks, choose
from cnn2rtl.tasks.figures import Differences, Errors, Valued


def evaluate(
    design: Design,
    data: Any,
    labels: Any = None,
    *,
    task: Wanted = None,
    limit: int | None = None,
    fit: Fit | None = None,
    channels: Channels | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Compare the float network of ``design`` with its golden model on images, each output by the task that it is for.

    ``design`` is a folder, an open project or a compiled design; ``data`` a path as :func:`cnn2rtl.images.load_images`
    takes it, with labels or not, raw pixels (n, h, w, c) of 0 to 255 (or what else the input takes) or, of several
    inputs, a mapping from their names to such arrays. ``labels`` go with arrays: an array (n, ...), or a mapping from
    the outputs' names to such arrays; what they are depends on the task. ``task`` is one of
    :data:`cnn2rtl.tasks.KINDS`, for all outputs, or a mapping from their names; without, the labels tell it, or the
    output's shape and last layer. ``limit`` uses so many images, spread over the classes; ``fit`` and ``channels`` say
    how picture files are prepared, if not as :func:`cnn2rtl.compile` was told; ``progress`` hears how far it is. A
    project keeps the result.

    Labels that cannot be those of an output are told (:class:`cnn2rtl.Notice`) and left out of account. Raises
    :class:`cnn2rtl.UserError`, with a line for everything that is wrong.
    """
    problems = Problems()
    networks: Project | Compiled | None = design if isinstance(design, Compiled) else None
    images: ImageSet | None = None
    right: dict[str, Labels] = {}
    if networks is None and not isinstance(design, Compiled):
        with problems.gather():
            networks = opened(design)
    how = Preparation() if networks is None else preparation(networks, fit, channels)
    with problems.gather():
        check_tasks(task, None if networks is None else networks.graph.outputs)
    with problems.gather():
        graph = None if networks is None else networks.graph
        images = given_images_of("data", data, graph, how, limit, labels)
        if images is not None and graph is not None:
            right.update(images.labels_of(graph.outputs))
    problems.check()
    assert networks is not None and images is not None
    choices = choose(networks.float_graph, task, right)
    for choice in choices:
        if choice.flaw:
            whose = f"`{choice.task.output.name}`: " if len(choices) > 1 else ""
            warnings.warn(Notice(f"{whose}{choice.flaw}, so no accuracy is given"), stacklevel=2)
    result = compare(networks.float_graph, networks.graph, images.images, choices, progress)
    if isinstance(networks, Project):
        _keep(networks, result, data)
    return result


def _keep(project: Project, result: Evaluation, data: Any) -> None:
    """Record the result in the project; that may lie where nothing can be written."""
    figures = {
        name: schema.LayerAccuracy(
            _finite(layer.sqnr), layer.clipped, layer.used, layer.needed_bits, layer.acc_bits
        )
        for name, layer in result.layers.items()
    }  # fmt: skip
    name = readable(Path(data).resolve().name) if isinstance(data, (str, os.PathLike)) else "arrays"
    outputs = tuple(map(described, result.judgements))
    try:
        record(project.folder, accuracy=schema.Accuracy(result.images, outputs, figures, name))
    except UserError as error:
        warnings.warn(Notice(f"not kept in the report: {error}"), stacklevel=3)


def _finite(sqnr: float) -> float | None:
    return None if sqnr == inf else round(sqnr, 2)


def described(found: Judgement) -> schema.Judged:
    """What ``design.json`` says of an output."""
    return schema.Judged(found.name, found.kind, found.choice.why, _decisions(found), _values(found))


def _decisions(found: Judgement) -> schema.Decisions | None:
    decided, task = found.score.decided, found.choice.task
    if decided is None or found.agreement is None:
        return None
    return schema.Decisions(
        task.unit, task.measure, decided.count, found.agreement, found.float_accuracy, found.integer_accuracy,
        tuple(schema.Further(it.name, it.floats, it.integers) for it in found.further),
        tuple(
            schema.Confusion(matrix.classes, tuple((row, column, n) for (row, column), n in matrix.counts.items()))
            for matrix in found.confusions
        ),
        found.class_names,
    )  # fmt: skip


def _values(found: Judgement) -> schema.Values | None:
    valued: Valued | None = found.score.valued
    if valued is None:
        return None
    return schema.Values(
        _finite(valued.between.sqnr), _errors(valued.between.errors), tuple(map(_errors, valued.between.by_channel)),
        _of(valued.of_floats), _of(valued.of_integers),
    )  # fmt: skip


def _of(differences: Differences | None) -> schema.Errors | None:
    return None if differences is None else _errors(differences.errors)


def _errors(found: Errors) -> schema.Errors:
    return schema.Errors(found.mean, found.rms, found.largest)
