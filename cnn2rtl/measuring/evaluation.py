"""What the integers cost in accuracy, on images."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

from cnn2rtl import schema
from cnn2rtl.accuracy import Evaluation, compare
from cnn2rtl.compiled import Compiled
from cnn2rtl.errors import Notice, Problems, UserError
from cnn2rtl.images import Channels, Fit, ImageSet
from cnn2rtl.measuring.opening import Design, given_images_of, opened, preparation
from cnn2rtl.pictures import Preparation
from cnn2rtl.project import Project, record
from cnn2rtl.quantise.calibrate import Progress, silent
from cnn2rtl.reading import readable


def evaluate(
    design: Design,
    data: Any,
    labels: Sequence[int] | None = None,
    *,
    limit: int | None = None,
    fit: Fit | None = None,
    channels: Channels | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Compare the float network of ``design`` with its golden model on images.

    ``design`` is a folder, an open project or a compiled design; ``data`` a path as :func:`cnn2rtl.images.load_images`
    takes it, with classes or not, raw pixels (n, h, w, c) of 0 to 255 (or what else the input takes) or, of several
    inputs, a mapping from their names to such arrays. ``labels`` go with arrays, one number per image. ``limit`` uses
    so many images, spread over the classes; ``fit`` and ``channels`` say how picture files are prepared, if not as
    :func:`cnn2rtl.compile` was told; ``progress`` hears how far it is. A project keeps the result.

    Labels that cannot be the network's outputs are told (:class:`cnn2rtl.Notice`) and left out of account. Raises
    :class:`cnn2rtl.UserError`, with a line for everything that is wrong.
    """
    problems = Problems()
    networks: Project | Compiled | None = design if isinstance(design, Compiled) else None
    images: ImageSet | None = None
    if networks is None and not isinstance(design, Compiled):
        with problems.gather():
            networks = opened(design)
    how = Preparation() if networks is None else preparation(networks, fit, channels)
    with problems.gather():
        graph = None if networks is None else networks.graph
        images = given_images_of("data", data, graph, how, limit, labels)
    problems.check()
    assert networks is not None and images is not None
    told = images.mismatch(networks.graph.classes)
    if told:
        warnings.warn(Notice(f"{told}, so no accuracy is given"), stacklevel=2)
    result = compare(
        networks.float_graph, networks.graph, images.images, None if told else images.labels, progress
    )  # fmt: skip
    if isinstance(networks, Project):
        _keep(networks, result, data)
    return result


def _keep(project: Project, result: Evaluation, data: Any) -> None:
    """Record the result in the project; that may lie where nothing can be written."""
    figures = {
        name: schema.LayerAccuracy(
            None if layer.sqnr == inf else round(layer.sqnr, 2),
            layer.clipped,
            layer.used,
            layer.needed_bits,
            layer.acc_bits,
        )
        for name, layer in result.layers.items()
    }
    name = readable(Path(data).resolve().name) if isinstance(data, (str, os.PathLike)) else "arrays"
    found = schema.Accuracy(
        result.images, result.agreement, result.float_accuracy, result.integer_accuracy, figures, name
    )
    try:
        record(project.folder, accuracy=found)
    except UserError as error:
        warnings.warn(Notice(f"not kept in the report: {error}"), stacklevel=3)
