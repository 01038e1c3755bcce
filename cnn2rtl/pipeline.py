"""The whole line, from a network to its files. Each stage hands one frozen value to the next."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, inf
from typing import Any

import msgspec

from cnn2rtl import schema
from cnn2rtl.accuracy import Judge
from cnn2rtl.compiled import Compiled
from cnn2rtl.design import lay_out
from cnn2rtl.errors import Notice, UserError
from cnn2rtl.graph import FloatGraph, QuantGraph
from cnn2rtl.images import ImageSet, raw_arrays
from cnn2rtl.options import Options
from cnn2rtl.passes import (
    absorb_input,
    check_inputs,
    pixels_as_they_are,
    scaled_twice,
    scores_of,
    simplify,
    with_class_index,
    with_inputs,
)
from cnn2rtl.quant.inputs import AUTO
from cnn2rtl.quantise.auto import Choice, Layers, Unfit, cheapest
from cnn2rtl.quantise.calibrate import Progress, Seen, measure, seen_by_statistics, silent
from cnn2rtl.quantise.integers import Recipe, quantise, sketch
from cnn2rtl.quantise.sensitivity import NARROWEST, sensitivities
from cnn2rtl.quantised import Quantised, notes_of
from cnn2rtl.render import render
from cnn2rtl.render.describe import Facts
from cnn2rtl.render.verilog import reserved
from cnn2rtl.samples import with_scales
from cnn2rtl.schedule import Refusal, Schedule, Target, schedule, with_nearest
from cnn2rtl.tasks import Choice as Judged
from cnn2rtl.tasks import choose
from cnn2rtl.tensors import Codes
from cnn2rtl.wording import refused

NO_IMAGES = (
    "No calibration images: ranges are estimated from the BatchNorm statistics; images to calibrate on keep more of "
    "the accuracy."
)


@dataclass(frozen=True, eq=False)
class Simplified:
    """A network in layers that hardware has, on what comes, and how to quantise it."""

    graph: FloatGraph
    options: Options
    recipe: Recipe


@dataclass(frozen=True, eq=False)
class Calibrated(Simplified):
    """What every tensor was ``seen`` to take, over ``images``, or by the BatchNorm statistics alone."""

    seen: Mapping[str, Seen]
    images: Codes | None


def compile_network(
    network: FloatGraph | Quantised,
    options: Options,
    images: Codes | None = None,
    source: str = "",
    progress: Progress = silent,
) -> Compiled:
    """A design of a network as the door hands it on, whether it is to be quantised or has its integers already.

    Of the ``options``, those that quantise are not asked where there are integers; nor are the ``images``, codes,
    which calibrate; without them the BatchNorm statistics do. ``source`` names where they come from.
    """
    if isinstance(network, FloatGraph):
        network = quantised(calibrated(simplified(network, options), images, progress), source, progress)
    return implemented(network, options)


def compile_graph(
    captured: FloatGraph,
    options: Options,
    images: Codes | None = None,
    source: str = "",
    progress: Progress = silent,
) -> Compiled:
    """As :func:`compile_network`, of a float network."""
    return compile_network(captured, options, images, source, progress)


def quantise_graph(
    captured: FloatGraph, options: Options, images: Codes | None = None, progress: Progress = silent
) -> Quantised:
    """A captured network in integers; ``images`` as for :func:`compile_network`."""
    return quantised(calibrated(simplified(captured, options), images, progress), progress=progress)


def simplified(captured: FloatGraph, options: Options) -> Simplified:
    """A captured network in layers that hardware has, on raw pixels or other numbers, as the ``options`` say.

    Raises :class:`UserError` for options that do not go with it.
    """
    options.check(captured.channels)
    captured = with_inputs(captured, options.inputs)
    mean, std, notes = pixels_as_they_are(captured, options.mean, options.std)
    for told in scaled_twice(captured, mean, std):
        warnings.warn(Notice(told), stacklevel=2)
    options = replace(options, mean=mean, std=std)
    captured = replace(captured, notes=(*captured.notes, *notes))
    graph = absorb_input(simplify(captured), options.mean, options.std)
    if options.class_index:
        with_class_index(graph)  # which may be refused
    return Simplified(graph, options, options.recipe(graph, scores_of(graph)))


def with_input_formats(captured: FloatGraph, options: Options, calibration: Any) -> tuple[FloatGraph, Options]:
    """A captured network that knows how its inputs come, and the options in which no scale is left to be found.

    ``calibration``, a path or arrays, tells such scales. Raises :class:`UserError` where it cannot, and for formats
    that do not go with the network.
    """
    check_inputs(captured, options.inputs)
    unknown = any(each.scale == AUTO for each in options.inputs)
    if unknown and calibration is None:
        raise UserError("`input_scale=auto`: data must show how far the values reach; give some: `calibration=`")
    if calibration is not None and any(each.unsaid for each in options.inputs):
        arrays = raw_arrays("calibration", calibration, captured.inputs)
        options = replace(options, inputs=with_scales(options.inputs, arrays, options.scheme))
    taking = with_inputs(captured, options.inputs)
    if unknown:
        notes = (
            f"{name}: a code of {numbers} is worth {numbers.coarsest:.10g}, found on the calibration data."
            for name, numbers in taking.numbers.items()
        )
        taking = replace(taking, notes=(*taking.notes, *notes))
    return taking, options


def refusal_of(simple: Simplified, target: Target) -> Refusal | None:
    """Why no data could make a design of this network that meets ``target``; ``None`` where nothing speaks against it.

    Layers, their order, their speed and about what they take do not depend on the numbers in them, so this needs no
    calibration, and judges no number.
    """
    found = schedule(sketch(simple.graph, simple.recipe), target, before=True)
    return found if isinstance(found, Refusal) else None


def narrowest(simple: Simplified) -> Simplified:
    """The same with the fewest bits that :func:`auto_widths` tries; layers with widths of their own keep them."""
    options = replace(simple.options, weight_bits=NARROWEST, activation_bits=NARROWEST)
    return Simplified(simple.graph, options, options.recipe(simple.graph, scores_of(simple.graph)))


def check_feasible(simple: Simplified, target: Target) -> None:
    """Raise :class:`UserError` where :func:`refusal_of` finds a reason, with what would work instead.

    Only the slowest design that would do is looked at; the best one is looked for when the numbers are known.
    """
    refusal = refusal_of(simple, target.unhurried) if target.limited else None
    if refusal is not None:
        refusal = replace(refusal, target=target, smallest=target.fps is None)
        raise _refused(refusal, simple.graph, sketch(simple.graph, simple.recipe), simple.options)


def _refused(refusal: Refusal, graph: FloatGraph, integers: QuantGraph, options: Options) -> UserError:
    """A refusal in words, with what would work instead."""

    def narrower(bits: int) -> QuantGraph:
        fewer = replace(options, weight_bits=bits, activation_bits=bits, layers={})
        return sketch(graph, fewer.recipe(graph, scores_of(graph)))

    widest = max(options.weight_bits, options.activation_bits)
    return UserError(refused(with_nearest(refusal, integers, widest, narrower)))


def calibrated(simple: Simplified, images: Codes | None, progress: Progress = silent) -> Calibrated:
    """What every tensor takes, on ``images``, codes as they come, or by the BatchNorm statistics."""
    histograms = simple.recipe.ranges != "minmax"
    seen = seen_by_statistics(simple.graph) if images is None else measure(simple.graph, images, histograms, progress)
    return Calibrated(simple.graph, simple.options, simple.recipe, seen, images)


def quantised(found: Calibrated, source: str = "", progress: Progress = silent) -> Quantised:
    """Integers for every layer; ``source`` names where the images come from."""
    integers = quantise(found.graph, found.seen, found.recipe, found.images, progress)
    return _quantised(found, integers, found.options, source)


def _quantised(found: Calibrated, integers: QuantGraph, options: Options, source: str) -> Quantised:
    images, notes = found.images, notes_of(found.graph, integers)
    if images is None:
        notes = (NO_IMAGES, *notes)
    origin = "the BatchNorm statistics alone" if images is None else f"{len(images)} images{source}"
    return Quantised(found.graph, integers, options, origin, (*found.graph.notes, *notes), images)


def auto_widths(
    found: Calibrated,
    check: ImageSet,
    max_drop: float,
    source: str = "",
    progress: Progress = silent,
    judged: Sequence[Judged] | None = None,
) -> tuple[Quantised, Choice]:
    """The integers with the cheapest widths, per layer, that lose ``max_drop`` points at most.

    None is wider than the options say, and those of layers that have widths of their own stay. The drop is what the
    output that loses most loses on ``check``, which is ``judged`` by the tasks that :func:`cnn2rtl.tasks.choose` finds,
    if none are given: of decisions, that of the accuracy where there are labels, else the share, in percent, that are
    no longer the float network's; of values, see :attr:`cnn2rtl.tasks.figures.Valued.lost`. On a device, they are
    widths with which a design fits, if any are found. Raises :class:`UserError` where even the widest lose more, or
    none that fit are found.
    """
    graph, recipe, images = found.graph, found.recipe, found.images
    assert images is not None
    if judged is None:
        judged = choose(graph, labels=check.labels_of(graph.outputs))
    judge = Judge(graph, judged, check.images)
    target = found.options.target.unhurried
    made: dict[tuple[tuple[int, int], ...], QuantGraph] = {}

    def integers(layers: Layers) -> QuantGraph:
        own = replace(recipe, layers=layers)
        widths = tuple((own.weights_of(node.name), own.activations_of(node.name)) for node in graph.nodes)
        if widths not in made:
            made[widths] = quantise(graph, found.seen, own, images)
        return made[widths]

    def network(layers: Layers) -> Quantised:
        """In the form that is scheduled."""
        own = _quantised(found, integers(layers), replace(found.options, layers=layers), source)
        return own.with_class_index() if found.options.class_index else own

    def drop(layers: Layers) -> float:
        return judge.lost(integers(layers))

    def fits(layers: Layers) -> bool:
        return target.device is None or isinstance(schedule(network(layers).integers, target), Schedule)

    knobs = sensitivities(graph, integers(recipe.layers), found.seen, recipe, images, progress)
    choice = cheapest(graph, recipe, knobs, drop, max_drop, progress, fits)
    if isinstance(choice, Unfit):
        raise _unfit(choice, network(choice.layers), max_drop)
    return network(choice.layers), choice


def _unfit(unfit: Unfit, network: Quantised, max_drop: float) -> UserError:
    """Why the widths that may be chosen do not do, and how much more accuracy would have to go."""
    try:
        scheduled(network, network.options.target)
    except UserError as error:
        needed = ceil(100 * unfit.needed) / 100 if unfit.needed < inf else None
        more = "nor do narrower ones" if needed is None else f"`max_drop={needed:g}` would do"
        return UserError(
            f"`max_drop={max_drop:g}`: of the widths that were tried, none that cost so little fit; {more}: {problem}"
            for problem in error.problems
        )
    raise AssertionError("fits after all")


def scheduled(network: Quantised, target: Target) -> Schedule:
    """How the layers of these integers are folded to meet ``target``; raises :class:`UserError` where they cannot."""
    plan = schedule(network.integers, target)
    if isinstance(plan, Refusal):
        raise _refused(plan, network.graph, network.integers, network.options)
    return plan


def implemented(network: Quantised, options: Options) -> Compiled:
    """The design of these integers that meets ``options.target``; raises :class:`UserError` where none does."""
    options.check()
    if options.class_index:
        network = network.with_class_index()
    plan = scheduled(network, options.target)
    design = lay_out(network.integers, plan, reserved())
    target = options.target
    chosen = {key: value for key, value in asdict(network.options).items() if key != "target"}
    options_as_written = msgspec.convert(chosen, schema.Options)
    notes = (*network.notes, *network.graph.restoring)
    facts = Facts(options_as_written, network.origin, notes, target.clock_mhz, target.device)
    files = render(design, facts)
    return Compiled(network.graph, network.integers, design, files, network.vector_images)
