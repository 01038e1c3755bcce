"""``cnn2rtl generate``: a model in, a project folder out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cnn2rtl.cli import console
from cnn2rtl.cli.model import Arch, InputSize, ModelFile, OutputNames, TrustPickle, open_model, refuse
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
from cnn2rtl.compiled import Compiled
from cnn2rtl.devices import Device, LargeRam, clock_words, default_clock, find
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.graph import FloatGraph
from cnn2rtl.images import ImageSet, images_for
from cnn2rtl.options import Options
from cnn2rtl.output import check_target
from cnn2rtl.pictures import Preparation
from cnn2rtl.pipeline import (
    NO_IMAGES,
    Simplified,
    auto_widths,
    calibrated,
    check_feasible,
    implemented,
    narrowest,
    quantised,
    simplified,
    with_input_formats,
)
from cnn2rtl.quantise.auto import Choice
from cnn2rtl.quantise.calibrate import Progress
from cnn2rtl.quantised import Quantised
from cnn2rtl.reading import MODEL_SUFFIXES, readable, stem_of
from cnn2rtl.schedule import Target
from cnn2rtl.tasks import Choice as Judged
from cnn2rtl.tasks import Wanted, check_tasks, choose
from cnn2rtl.tasks.wording import drop_words


def generate(
    context: typer.Context,
    model: ModelFile,
    arch: Arch = None,
    bits: Bits = 8,
    weight_bits: WeightBits = None,
    activation_bits: ActivationBits = None,
    output_bits: OutputBits = 16,
    class_index: Annotated[
        bool, typer.Option("--class-index", help="Deliver the index of the largest output instead of the outputs.")
    ] = False,
    size: InputSize = None,
    outputs: OutputNames = None,
    mean: Mean = "0",
    std: Std = "1",
    input_format: InputFormatOf = "u8",
    input_scale: InputScale = None,
    calib: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Images to calibrate on: a folder, or arrays in .npz, .npy or .pt."),
    ] = None,
    calib_limit: CalibLimit = CALIBRATING,
    fit: Fitting = "crop",
    channels: ChannelOrder = "rgb",
    scheme: RequantScheme = "pow2",
    layer: LayerWidths = None,
    ranges: RangesBy = "minmax",
    effort: EffortOf = "fast",
    auto_bits: Annotated[
        bool, typer.Option("--auto-bits", help="Find the cheapest widths per layer, none above --bits; needs --calib.")
    ] = False,
    max_drop: Annotated[
        float, typer.Option(metavar="POINTS", min=0.0, max=100.0, help="Accuracy that --auto-bits may cost.")
    ] = 0.5,
    check: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Images that --auto-bits measures on; else every second one of --calib."),
    ] = None,
    task: TaskOf = None,
    fps: Annotated[float | None, typer.Option(metavar="X", help="Frames per second to reach at --clock.")] = None,
    clock: Annotated[
        float | None,
        typer.Option(
            metavar="MHZ", help="Clock that speeds are told for; if not given, one that the device can reach, or 100."
        ),
    ] = None,
    multipliers: Annotated[
        int | None, typer.Option(metavar="N", help="Multipliers at most; without this and --fps, 64.")
    ] = None,
    dsps: Annotated[
        int | None, typer.Option(metavar="N", help="DSP blocks at most; more products are made in logic.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="FPGA that it must fit, by estimate, such as xc7a35t.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Project folder; MODEL_rtl if not given.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Discard changes made within the project folder.")] = False,
    trust_pickle: TrustPickle = False,
) -> None:
    """Generate Verilog, ROM files, a testbench and build scripts for a trained network."""
    problems = Problems()
    folder = out or Path(f"{stem_of(model)}_rtl")
    with problems.gather():
        check_target(folder, force)
    if folder.suffix.lower() in MODEL_SUFFIXES and not folder.is_dir():
        problems.found.append(
            f"-o {folder}: is to be a folder, not a model file; give another name, like {folder.stem}"
        )
    chosen: Device | None = None
    if device is not None:
        with problems.gather():
            chosen = find(device)
    target = Target(fps, default_clock(chosen) if clock is None else clock, multipliers, dsps, chosen)
    options = read_options(
        problems, bits=bits, weight_bits=weight_bits, activation_bits=activation_bits, output_bits=output_bits,
        scheme=scheme, layer=layer, ranges=ranges, effort=effort, mean=mean, std=std, class_index=class_index,
        fit=fit, channels=channels, input_format=input_format, input_scale=input_scale, target=target,
    )  # fmt: skip
    with problems.gather():
        options.check()
    wanted: Wanted = None
    with problems.gather():
        wanted = read_task(task)
        check_tasks(wanted)
    images = Images(calib, calib_limit, Preparation(fit, channels), check if auto_bits else None, auto_bits, wanted)
    source = open_model(model, arch, size, trust_pickle, problems, outputs)
    refuse(context, source, model, problems)
    if not source.given:
        images.check(problems)
        _check_auto(context, auto_bits, check, task, problems)
    # What follows imports torch, which takes seconds.
    problems.check()
    network = source.read(options.mean, options.std)
    if isinstance(network, Quantised) and not source.normalised:
        network = network.on_pictures(fit, channels)
    with console.progress() as bar:
        shown = bar.add_task("calibrating", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bar.update(shown, description=stage, completed=done, total=total)

        compiled = implemented(_integers(network, options, images, max_drop, show), options)
        bar.update(shown, description="writing")
        compiled.write(folder, force)
    _summarise(compiled, folder)


def _check_auto(
    context: typer.Context, auto: bool, check: Path | None, task: Sequence[str] | None, problems: Problems
) -> None:
    """Tell of what is for widths that are to be found, where none are."""
    if auto:
        return
    if check is not None:
        problems.found.append(f"--check {check}: these are images for --auto-bits; leave it out, or give that too")
    for text in task or ():
        problems.found.append(f"--task {text}: says what --auto-bits measures; leave it out, or give that too")
    given = context.get_parameter_source("max_drop")
    if given is not None and given.name == "COMMANDLINE":
        problems.found.append("--max-drop: is what --auto-bits may cost; leave it out, or give that too")


@dataclass(frozen=True)
class Images:
    """Where the images are to calibrate on and, for widths that are to be found, to check them on."""

    calib: Path | None
    limit: int
    how: Preparation
    checking: Path | None
    auto: bool
    task: Wanted

    def check(self, problems: Problems) -> None:
        """Tell ``problems`` of what is wrong whatever is in them."""
        if self.calib is None:
            if self.auto:
                problems.found.append(
                    "--auto-bits: what narrower numbers cost is measured on images; say where, with --calib"
                )
        elif self.limit < 1:
            problems.found.append(f"--calib-limit {self.limit}: at least 1 image is needed")
        for option, source in (("--calib", self.calib), ("--check", self.checking)):
            if source is not None and not source.exists():
                problems.found.append(f"{option} {source}: no such file or folder")

    def read(self, graph: FloatGraph, problems: Problems) -> tuple[ImageSet | None, ImageSet | None]:
        """Images to calibrate and to check on, as far as they are wanted; what is wrong goes to ``problems``."""
        found: ImageSet | None = None
        checking: ImageSet | None = None
        if self.calib is not None:
            shared = 2 if self.auto and self.checking is None else 1
            with problems.gather():
                found = images_for(
                    self.calib, graph.inputs, self.how.fit, shared * self.limit, self.how.channels, graph.numbers
                )
        if self.checking is not None:
            with problems.gather():
                checking = images_for(
                    self.checking, graph.inputs, self.how.fit, channels=self.how.channels, numbers=graph.numbers
                )
        elif self.auto and found is not None:
            if len(found) < 2:
                problems.found.append(
                    f"--calib {self.calib}: one image cannot both calibrate and check; give more, or --check"
                )
            found, checking = found.every(2, 0), found.every(2, 1)
        return found, checking

    @property
    def source(self) -> str:
        return "" if self.calib is None else f" of {readable(self.calib.resolve().name)}"


def _integers(
    network: FloatGraph | Quantised, options: Options, images: Images, max_drop: float, progress: Progress
) -> Quantised:
    """The network in integers; all that is wrong with it, the options and the images is told together."""
    if isinstance(network, Quantised):
        return network
    problems = Problems()
    simple: Simplified | None = None
    found, checking = None, None
    with problems.gather():
        network, options = with_input_formats(network, options, images.calib)
        with problems.gather():
            simple = simplified(network, options)
        found, checking = images.read(network, problems)
    choices: tuple[Judged, ...] = ()
    if checking is not None and simple is not None:
        with problems.gather():
            choices = choose(simple.graph, images.task, checking.labels_of(simple.graph.outputs))
    # Calibration takes long.
    if simple is not None and images.calib is not None:
        with problems.gather():
            _check_feasible(simple, options.target, images.auto)
    problems.check()
    assert simple is not None
    calibration = calibrated(simple, None if found is None else found.images, progress)
    if checking is None:
        return quantised(calibration, images.source, progress)
    integers, choice = auto_widths(calibration, checking, max_drop, images.source, progress, choices)
    _tell_widths(choice, choices, len(checking))
    return integers


def _check_feasible(simple: Simplified, target: Target, auto: bool) -> None:
    """With the fewest bits of all, where widths are yet to be found."""
    if not auto:
        return check_feasible(simple, target)
    try:
        return check_feasible(narrowest(simple), target)
    except UserError as error:
        raise UserError(f"--auto-bits: even the narrowest widths do not fit: {it}" for it in error.problems) from None


def _tell_widths(choice: Choice, judged: Sequence[Judged], images: int) -> None:
    """What widths were found, in the words that ask for them."""
    memory, area = (
        f"{100 * (1 - now / max(before, 1)):.0f} %"
        for now, before in zip(astuple(choice.cost), astuple(choice.widest), strict=True)
    )
    for output in judged:
        if output.flaw:
            console.note(f"`{output.task.output.name}`: {output.flaw}, so the float network's answers count")
        elif output.doubt:
            console.note(f"`{output.task.output.name}` is judged by {output.task.kind}, {output.why} ({output.doubt})")
    console.out.print(
        f"widths: {memory} less memory for weights, {area} less area of multipliers; "
        f"{console.plain(drop_words(judged, choice.drop, images))}. The same again with",
        soft_wrap=True,
    )
    for name, own in choice.layers.items():
        console.out.print(f"  --layer {console.plain(shlex.quote(f'{name}={own}'))}", soft_wrap=True)


def _summarise(compiled: Compiled, folder: Path) -> None:
    """The four answers, as far as they are known before simulation."""
    about = compiled.about
    options, clock = about["options"], about["clock_mhz"]
    at = clock_words(clock, about.get("device", {}).get("family"))
    project, sim = shlex.quote(str(folder)), shlex.quote(str(folder / "sim"))
    lines = {
        "fits?": f"{about['multipliers']:,} multipliers, {about['rom_bits']:,} bits of ROM, "
        f"{about['buffer_bits']:,} bits of line buffers and FIFOs",
        "takes": _needs(about),
        "speed": f"{about['interval']:,} cycles per frame "
        f"({1e6 * clock / about['interval']:,.1f} frames/s at {at}), latency {about['latency']:,} cycles, "
        f"{100 * about['mac_efficiency']:.1f} % MAC efficiency",
        "accuracy": f"{options['weight_bits']}-bit weights, {options['activation_bits']}-bit activations"
        f"{', but for layers with widths of their own' if options['layers'] else ''}, "
        f"calibrated on {about['calibration']}; measure it: cnn2rtl evaluate {project} --data FOLDER",
        "proof": f"cnn2rtl simulate {project}   or, without cnn2rtl: make -C {sim}",
    }
    console.out.print(
        f"[bold]{console.plain(str(folder))}[/]: {about['name']}, {len(about['layers'])} layers", soft_wrap=True
    )
    for name, text in lines.items():
        console.out.print(f"  [bold]{name:9}[/]{console.plain(text)}", soft_wrap=True)
    for note in about["notes"]:
        how = " Give some with --calib." if note == NO_IMAGES else ""
        console.out.print(f"  [yellow]note[/]     {console.message(note)}{how}", soft_wrap=True)


def _needs(about: Mapping[str, Any]) -> str:
    """What the design takes of an FPGA, by estimate, beside what the device has."""
    device = about.get("device", {})
    names = {
        "luts": "LUTs", "flip_flops": "flip-flops", "logic_cells": "logic cells that these share", "dsps": "DSP blocks",
        "rams": "block RAMs",
    }  # fmt: skip
    counts = (
        f"{about['estimate'][key]:,g}" + (f" of {device[key]:,}" if device else "") + f" {name}"
        for key, name in names.items()
        if key in about["estimate"]
    )
    unused = "".join(f"; not used: {LargeRam(**ram)}" for ram in device.get("large_rams", ()))
    return f"about {', '.join(counts)} on {device['name'] if device else about['estimate']['family']}{unused}"
