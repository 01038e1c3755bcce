"""The whole line, from a model to a project folder. Each stage hands one frozen value to the next."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from math import inf
from numbers import Integral, Real
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from cnn2rtl import schema, store
from cnn2rtl.design import Design, lay_out
from cnn2rtl.errors import UserError
from cnn2rtl.export import to_onnx
from cnn2rtl.graph import FloatGraph, Node, QuantGraph, QuantNode
from cnn2rtl.images import ImageSet, Pixels
from cnn2rtl.ops import ArgMax
from cnn2rtl.output import write_project
from cnn2rtl.passes import absorb_input, check_normalisation, simplify
from cnn2rtl.quant.layers import QuantOptions
from cnn2rtl.quant.qformat import IntArray, Scheme
from cnn2rtl.quantise.auto import Choice, cheapest
from cnn2rtl.quantise.calibrate import Progress, Seen, measure, seen_by_statistics, silent
from cnn2rtl.quantise.formats import Ranges
from cnn2rtl.quantise.given import GivenNetwork
from cnn2rtl.quantise.integers import Effort, Recipe, Widths, quantise
from cnn2rtl.quantise.sensitivity import sensitivities
from cnn2rtl.render import render
from cnn2rtl.render.describe import Facts
from cnn2rtl.render.verilog import reserved
from cnn2rtl.schedule import Refusal, Target, schedule, with_nearest
from cnn2rtl.tensors import Clamp, batch_of, noise, part
from cnn2rtl.verify.vectors import frame_vectors
from cnn2rtl.wording import refused

BATCH = 4
"""Images in the golden model at once."""

VECTOR_FRAMES = 2
"""Frames of test vectors that are emitted with a design."""


@dataclass(frozen=True)
class Options:
    """What the user may choose. The network was trained on ``(pixel / 255 - mean) / std``.

    ``layers`` gives single layers widths of their own, by name. ``ranges`` and ``effort`` say how to calibrate.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    output_bits: int = 16
    scheme: Scheme = "pow2"
    layers: Mapping[str, Widths] = field(default_factory=dict)
    ranges: Ranges = "minmax"
    effort: Effort = "fast"
    mean: Sequence[float] = (0.0,)
    std: Sequence[float] = (1.0,)
    class_index: bool = False
    target: Target = field(default_factory=Target)

    def check(self, channels: int | None = None) -> None:
        """Raise one :class:`UserError` for all values that no network could be built with.

        ``channels`` is how many the network's input has, where that is known.
        """
        widths = {"weights": self.weight_bits, "activations": self.activation_bits, "outputs": self.output_bits}
        for name, own in self.layers.items():
            parts = {"weights": own.weights, "activations": own.activations}
            widths |= {f"`{name}`'s {part}": bits for part, bits in parts.items() if bits is not None}
        problems = [
            f"width {bits!r} of {' and '.join(name for name in widths if widths[name] == bits)}: "
            "widths are whole numbers from 2 to 16 bits"
            for bits in dict.fromkeys(widths.values())
            if not isinstance(bits, Integral) or not 2 <= bits <= 16
        ]
        try:
            check_normalisation(self.mean, self.std, channels)
        except UserError as error:
            problems += error.problems
        problems += self._target_problems()
        if problems:
            raise UserError(problems)

    def _target_problems(self) -> list[str]:
        """What is wrong with the target, whatever the network."""
        target, problems = self.target, []
        if target.fps is not None and not _positive(target.fps, Real):
            problems.append(f"--fps {target.fps}: a number greater than 0 is expected")
        if not _positive(target.clock_mhz, Real):
            problems.append(f"--clock {target.clock_mhz}: a number of MHz greater than 0 is expected")
        if target.multipliers is not None and not _positive(target.multipliers, Integral):
            problems.append(f"--multipliers {target.multipliers}: a whole number, at least 1, is needed")
        if target.dsps is not None and not (isinstance(target.dsps, Integral) and target.dsps >= 0):
            problems.append(f"--dsps {target.dsps}: a whole number, at least 0, is needed")
        return problems

    def recipe(self, graph: FloatGraph, scores: Collection[str]) -> Recipe:
        """How to quantise ``graph``; raises :class:`UserError` for layers that it does not have or cannot widen."""
        names = [node.name for node in graph.nodes if node.inputs]
        problems = []
        for name, own in self.layers.items():
            node = graph.by_name.get(name)
            if node is None or not node.inputs:
                near = difflib.get_close_matches(name, names, 3, 0.5) or [*names[:3], "..."]
                why = f"no such layer; there are {', '.join(near)}"
            elif own.weights is not None and not node.op.weights:
                why = f"its kind, {node.op.kind}, has no weights; give it a width of activations alone"
            elif own.activations is not None and name in scores:
                why = "its activations are the network's output, whose width is --output-bits"
            elif own.activations is not None and node.op.keeps_format(node.clamp):
                why = f"it passes its input's codes on; give their width to `{node.inputs[0]}`"
            else:
                continue
            problems.append(f"--layer {name}: {why}")
        if problems:
            raise UserError(problems)
        return Recipe(
            self.weight_bits, self.activation_bits, self.output_bits, self.scheme, self.layers, self.ranges,
            self.effort, scores,
        )  # fmt: skip


def _positive(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and 0 < value < inf


@dataclass(frozen=True, eq=False)
class Compiled:
    """A network on its way into hardware: the float graph on raw pixels, the integers, the design and its files."""

    float_graph: FloatGraph
    graph: QuantGraph
    design: Design
    rendered: Mapping[str, str]
    vector_images: Pixels

    @property
    def about(self) -> Mapping[str, Any]:
        """What ``design.json`` says."""
        return cast(Mapping[str, Any], json.loads(self.rendered["design.json"]))

    def golden(self, images: np.ndarray | Mapping[str, np.ndarray]) -> IntArray:
        """Outputs of the hardware, integers (n, h, w, c), for ``images``, raw pixels (n, h, w, c).

        A network with several inputs takes a mapping from their names to such arrays. Of several outputs this is the
        first; :meth:`golden_outputs` has them all.
        """
        return _in_batches(self.graph.run, self._pixels(images)).astype(np.int64)

    def golden_outputs(self, images: np.ndarray | Mapping[str, np.ndarray]) -> tuple[IntArray, ...]:
        """As :meth:`golden`, but every output of the network."""
        tensors = self.golden_tensors(images)
        return tuple(tensors[name] for name in self.graph.outputs)

    def golden_tensors(self, images: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, IntArray]:
        """As :meth:`golden`, but every tensor, by the name of its layer."""
        tensors: dict[str, IntArray] = {}
        self.graph.run(self._pixels(images), lambda node, codes: tensors.update({node.name: codes.astype(np.int64)}))
        return tensors

    def onnx(self, every_layer: bool = False) -> bytes:
        """The integer network as the contents of an ``.onnx`` file: see :func:`cnn2rtl.export.to_onnx`."""
        return to_onnx(self.graph, every_layer)

    def _pixels(self, images: np.ndarray | Mapping[str, np.ndarray]) -> Pixels:
        shapes = self.graph.inputs
        if isinstance(images, Mapping):
            if images.keys() != shapes.keys():
                raise ValueError(f"images for {', '.join(images)}: the network's inputs are {', '.join(shapes)}")
            given = {name: np.asarray(images[name]) for name in shapes}
        else:
            given = {name: part(np.asarray(images), name) for name in shapes}
        for name, (c, h, w) in shapes.items():
            pixels = given[name]
            if pixels.ndim != 4 or pixels.shape[1:] != (h, w, c):
                raise ValueError(f"images of shape {pixels.shape}: (n, {h}, {w}, {c}) is expected")
            if pixels.dtype.kind not in "ui" or pixels.min(initial=0) < 0 or pixels.max(initial=0) > 255:
                raise ValueError("images must be integers from 0 to 255: the hardware takes raw pixels")
        counts = {len(pixels) for pixels in given.values()}
        if len(counts) > 1:
            raise ValueError(f"the inputs have {' and '.join(map(str, sorted(counts)))} images; as many are expected")
        return batch_of(given)

    @cached_property
    def files(self) -> Mapping[str, str | bytes]:
        """Every file of the project: path to contents."""
        streams = {stream.node: stream for stream in self.design.streams}
        frames = [frame_vectors(self.graph, streams, image) for image in self.vector_images]
        vectors = {f"sim/vectors/{name}": b"".join(frame[name] for frame in frames) for name in frames[0]}
        return {
            **self.rendered,
            **vectors,
            "sim/vectors/frames": f"{len(frames)}\n",
            "model.npz": store.dump({"float": self.float_graph, "integer": self.graph}),
        }

    def write(self, out: str | Path, force: bool = False) -> None:
        """Write the project into the folder ``out``: all of it, or nothing."""
        write_project(Path(out), self.files, force)


def _in_batches(run: Callable[[Any], np.ndarray], images: np.ndarray) -> np.ndarray:
    """``run`` on ``images``, a few at a time: they stay in the processor's cache."""
    return np.concatenate([run(images[start : start + BATCH]) for start in range(0, max(len(images), 1), BATCH)])


def feasible(captured: FloatGraph, options: Options) -> Refusal | None:
    """Why no data could make a design of this network that meets the target; ``None`` where nothing speaks against it.

    Layers, their order, their speed and what they take do not depend on the numbers in them, so this needs no
    calibration.
    """
    found = schedule(_unmeasured(captured, options), options.target, before=True)
    return found if isinstance(found, Refusal) else None


def _unmeasured(captured: FloatGraph, options: Options) -> QuantGraph:
    """Integers of a network whose ranges nobody has measured."""
    graph = absorb_input(simplify(captured), (0.0,), (1.0,))
    scores = scores_of(graph)
    if options.class_index:
        graph = with_class_index(graph)
    seen = {node.name: Seen.between(-1.0, 1.0) for node in graph.nodes}
    return quantise(graph, seen, options.recipe(graph, scores))


def check_feasible(captured: FloatGraph, options: Options) -> None:
    """Raise :class:`UserError` where :func:`feasible` finds a reason, with what would work instead."""
    try:
        options.check()
    except UserError:
        return  # is told on its own
    refusal = feasible(captured, options)
    if refusal is not None:
        widest = max(options.weight_bits, options.activation_bits)

        def narrower(bits: int) -> QuantGraph:
            return _unmeasured(captured, replace(options, weight_bits=bits, activation_bits=bits, layers={}))

        raise UserError(refused(with_nearest(refusal, _unmeasured(captured, options), widest, narrower)))


def compile_graph(
    captured: FloatGraph,
    options: Options,
    images: Pixels | None = None,
    source: str = "",
    progress: Progress = silent,
) -> Compiled:
    """From a captured network to a design. ``images``, raw pixels, calibrate it.

    Without images the BatchNorm statistics do. ``source`` names where the images come from.
    """
    graph, integers = quantise_graph(captured, options, images, progress)
    calibration = f"{len(images)} images{source}" if images is not None else "the BatchNorm statistics alone"
    notes = (*graph.notes, *_calibration_notes(images), *border_notes(graph))
    return designed(graph, integers, options, images, calibration, notes)


def quantise_graph(
    captured: FloatGraph, options: Options, images: Pixels | None = None, progress: Progress = silent
) -> tuple[FloatGraph, QuantGraph]:
    """A captured network on raw pixels, and its integers; ``images`` as for :func:`compile_graph`."""
    options.check()
    graph = absorb_input(simplify(captured), options.mean, options.std)
    scores = scores_of(graph)
    if options.class_index:
        graph = with_class_index(graph)
    recipe = options.recipe(graph, scores)
    histograms = options.ranges != "minmax"
    seen = seen_by_statistics(graph) if images is None else measure(graph, images, histograms, progress)
    return graph, quantise(graph, seen, recipe, images, progress)


def auto_widths(
    captured: FloatGraph,
    options: Options,
    images: Pixels,
    check: ImageSet,
    max_drop: float,
    progress: Progress = silent,
) -> tuple[Options, Choice]:
    """``options`` with the cheapest widths, per layer, at which the integers lose ``max_drop`` points at most.

    None is wider than ``options`` say, and those of layers that have widths of their own stay. ``images`` calibrate, as
    for :func:`compile_graph`. The drop is that of the accuracy on ``check`` where it has labels, else the share of its
    images, in percent, whose class is no longer the float network's. Raises :class:`UserError` where even the widest
    lose more.
    """
    options.check()
    graph = absorb_input(simplify(captured), options.mean, options.std)
    if len(graph.outputs) > 1:
        raise UserError(
            f"--auto-bits: the network has {len(graph.outputs)} outputs, and only one can be told right from wrong; "
            "choose widths with --bits and --layer"
        )
    recipe = options.recipe(graph, scores_of(graph))
    seen = measure(graph, images, options.ranges != "minmax", progress)
    output = graph[graph.output].op
    exact = output.classes(_in_batches(graph.forward, check.images))
    truth = exact if check.labels is None else np.asarray(check.labels)

    def drop(layers: Mapping[str, Widths]) -> float:
        integers = quantise(graph, seen, replace(recipe, layers=layers), images)
        found = output.classes(_in_batches(integers.run, check.images))
        # Of counts: a difference of shares would be a rounding error off a limit that it meets.
        return 100 * int((exact == truth).sum() - (found == truth).sum()) / len(check)

    widest = quantise(graph, seen, recipe)
    knobs = sensitivities(graph, widest, seen, recipe, images, progress)
    choice = cheapest(graph, recipe, knobs, drop, max_drop, progress)
    return replace(options, layers=choice.layers), choice


def compile_given(given: GivenNetwork, options: Options) -> Compiled:
    """From a network that came with its integers to a design. Of the options, those that quantise are not asked."""
    options = replace(
        options,
        weight_bits=max((layer.weight_bits for layer in given.layers.values()), default=options.weight_bits),
        activation_bits=max(layer.out.bits for layer in given.layers.values()),
        output_bits=max(given.layers[name].out.bits for name in given.graph.outputs),
        scheme="scale",
    )
    options.check(given.graph.channels)
    graph, integers = given.graph, given.integers()
    if options.class_index:
        graph, integers = both_with_class_index(graph, integers, options)
    return designed(graph, integers, options, None, "images of whoever quantised it", given.notes)


def designed(
    graph: FloatGraph,
    integers: QuantGraph,
    options: Options,
    images: Pixels | None,
    calibration: str,
    notes: tuple[str, ...],
) -> Compiled:
    """The design of ``integers``, which stand for ``graph``.

    The first of ``images`` become its test vectors; ``calibration`` says in words what the integers were fitted to,
    ``notes`` whatever else should be known.
    """
    plan = schedule(integers, options.target)
    if isinstance(plan, Refusal):
        raise UserError(refused(with_nearest(plan, integers)))
    target = options.target
    chosen = {key: value for key, value in asdict(options).items() if key != "target"}
    facts = Facts(msgspec.convert(chosen, schema.Options), calibration, notes, target.clock_mhz, target.device)
    design = lay_out(integers, plan, reserved())
    files = render(design, facts)
    return Compiled(graph, integers, design, files, _vector_images(integers, images))


def with_class_index(graph: FloatGraph) -> FloatGraph:
    """The graph with one more layer, which tells the index of the largest output, unless it has one.

    Raises :class:`UserError` where there are several outputs.
    """
    if len(graph.outputs) > 1:
        raise UserError(
            f"--class-index: the network has {len(graph.outputs)} outputs; let the model take the argmax of those that "
            "are scores of classes"
        )
    if isinstance(graph[graph.output].op, ArgMax):
        return graph
    name = "class_index"
    while name in graph.by_name:
        name += "_"
    op = ArgMax()
    node = Node(name, op, (graph.output,), op.out_shape([graph[graph.output].shape]))
    return replace(graph, nodes=(*graph.nodes, node), outputs=(name,))


def scores_of(graph: FloatGraph) -> tuple[str, ...]:
    """The tensors of scores: the outputs, or what their index is taken of, unless layers go on with them."""
    ends = [graph[name] for name in graph.outputs]
    found = dict.fromkeys(node.inputs[0] if isinstance(node.op, ArgMax) else node.name for node in ends)
    return tuple(name for name in found if all(isinstance(node.op, ArgMax) for node in graph.consumers(name)))


def both_with_class_index(graph: FloatGraph, integers: QuantGraph, options: Options) -> tuple[FloatGraph, QuantGraph]:
    """The same of a network that has its integers already; they stay as they are."""
    if len(graph.outputs) == 1 and isinstance(graph[graph.output].op, ArgMax):
        return graph, integers
    graph, scores = with_class_index(graph), integers[integers.output].out
    last = graph[graph.output]
    layer = last.op.quantise([scores], scores, Clamp(), QuantOptions(options.weight_bits, options.scheme))
    node = QuantNode(last.name, last.op, last.inputs, last.shape, layer.out, layer)
    return graph, QuantGraph(integers.name, (*integers.nodes, node), (last.name,))


def _calibration_notes(images: Pixels | None) -> tuple[str, ...]:
    if images is not None:
        return ()
    note = (
        "No calibration images: ranges are estimated from the BatchNorm statistics; real images (--calib) keep more "
        "of the accuracy."
    )
    return (note,)


def border_notes(graph: FloatGraph) -> tuple[str, ...]:
    """What it costs that the pixels around the image must be whole numbers, one line per layer that sees them."""
    notes = []
    for node in (node for name in graph.inputs for node in graph.consumers(name)):
        value = getattr(node.op, "pad_value", None)
        window = getattr(node.op, "window", None)
        if value is None or window is None or not window.padded or not np.any(value):
            continue
        error = float(np.abs(np.floor(value + 0.5).clip(0, 255) - value).max())
        exact = ", ".join(f"{v:.6g}" for v in np.unique(value))
        notes.append(
            f"{node.name}: the border stands for the mean pixel ({exact}); "
            + ("it is exact." if error < 1e-9 else f"rounded to whole pixels it is off by up to {error:.3g} of 255.")
        )
    return tuple(notes)


def _vector_images(graph: QuantGraph, images: Pixels | None) -> Pixels:
    """The frames of the emitted test vectors: the first calibration images, else noise of a fixed seed."""
    if images is not None and len(images) >= VECTOR_FRAMES:
        return images[:VECTOR_FRAMES]
    more = noise(graph.inputs, VECTOR_FRAMES)
    return more if images is None else np.concatenate([images, more])[:VECTOR_FRAMES]
