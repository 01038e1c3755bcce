"""``cnn2rtl generate``: a model in, a project folder out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import astuple, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cnn2rtl.cli import console
from cnn2rtl.cli.model import (
    QUANTISING,
    Arch,
    InputSize,
    ModelFile,
    TrustPickle,
    capture_file,
    is_given,
    is_trained,
    open_trained,
    read_given,
    refuse,
    stem_of,
)
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
from cnn2rtl.devices import Device, LargeRam, clock_words, default_clock, find
from cnn2rtl.errors import Problems
from cnn2rtl.images import ImageSet
from cnn2rtl.output import check_target
from cnn2rtl.pipeline import Compiled, Options, auto_widths, check_feasible, compile_given, compile_graph
from cnn2rtl.quantise.auto import Choice
from cnn2rtl.quantise.given import GivenNetwork
from cnn2rtl.schedule import Target


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
    mean: Mean = "0",
    std: Std = "1",
    calib: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Images to calibrate on: a folder, or arrays in .npz, .npy or .pt."),
    ] = None,
    calib_limit: CalibLimit = 200,
    fit: Fitting = "crop",
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
    chosen: Device | None = None
    if device is not None:
        with problems.gather():
            chosen = find(device)
    target = Target(fps, default_clock(chosen) if clock is None else clock, multipliers, dsps, chosen)
    if is_trained(model):
        network = open_trained(context, model, problems)
        with problems.gather():
            Options(target=target).check()
        problems.check()
        assert network is not None
        compiled = network.compile(target, class_index)
        compiled.write(folder, force)
        _summarise(compiled, folder)
        return
    options = read_options(
        problems, bits=bits, weight_bits=weight_bits, activation_bits=activation_bits, output_bits=output_bits,
        scheme=scheme, layer=layer, ranges=ranges, effort=effort, mean=mean, std=std, class_index=class_index,
        target=target,
    )  # fmt: skip
    if is_given(model):
        compiled = _compile_given(context, model, options, problems)
        compiled.write(folder, force)
        _summarise(compiled, folder)
        return
    graph = capture_file(model, arch, size, trust_pickle, problems)
    with problems.gather():
        options.check(None if graph is None else graph.channels)
    # Widths that are yet to be found make a smaller design: its feasibility shows in the end.
    if graph is not None and not auto_bits:
        with problems.gather():
            check_feasible(graph, options)
    found: ImageSet | None = None
    checking: ImageSet | None = None
    if calib is not None:
        if calib_limit < 1:
            problems.found.append(f"--calib-limit {calib_limit}: at least 1 image is needed")
        shared = 2 if auto_bits and check is None else 1
        with problems.gather():
            found = console.images("--calib", calib, graph if calib_limit > 0 else None, fit, shared * calib_limit)
    elif auto_bits:
        problems.found.append("--auto-bits: what narrower numbers cost is measured on images; say where, with --calib")
    if check is not None:
        if not auto_bits:
            problems.found.append(f"--check {check}: these are images for --auto-bits; leave it out, or give that too")
        with problems.gather():
            checking = console.images("--check", check, graph, fit, None)
    if found is not None and auto_bits and checking is None:
        if len(found) < 2:
            problems.found.append(f"--calib {calib}: one image cannot both calibrate and check; give more, or --check")
        found, checking = found.every(2, 0), found.every(2, 1)
    problems.check()
    assert graph is not None
    images = None if found is None else found.images

    with console.progress() as bar:
        task = bar.add_task("calibrating", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        if checking is not None and images is not None:
            if checking.mismatch(graph.classes):
                checking = replace(checking, labels=None)
            options, choice = auto_widths(graph, options, images, checking, max_drop, show)
            _tell_widths(choice, checking)
        source = "" if calib is None else f" of {console.readable(calib.resolve().name)}"
        compiled = compile_graph(graph, options, images, source, show)
        bar.update(task, description="writing")
        compiled.write(folder, force)
    _summarise(compiled, folder)


def _compile_given(context: typer.Context, model: Path, options: Options, problems: Problems) -> Compiled:
    """The network of an ONNX file that is quantised already."""
    refuse(context, QUANTISING, model, problems)
    given: GivenNetwork | None = None
    with problems.gather():
        given = read_given(model, options.mean, options.std)
    problems.check()
    assert given is not None
    return compile_given(given, options)


def _tell_widths(choice: Choice, checking: ImageSet) -> None:
    """What widths were found, in the words that ask for them."""
    memory, area = (
        f"{100 * (1 - now / max(before, 1)):.0f} %"
        for now, before in zip(astuple(choice.cost), astuple(choice.widest), strict=True)
    )
    what = "accuracy" if checking.labels is not None else "agreement with the float network"
    console.out.print(
        f"widths: {memory} less memory for weights, {area} less area of multipliers; {what} drops by "
        f"{choice.drop:.2f} points on {len(checking)} images (one is {100 / len(checking):.2g}). The same again with",
        soft_wrap=True,
    )
    for name, own in choice.layers.items():
        console.out.print(f"  --layer {escape(shlex.quote(f'{name}={own}'))}", soft_wrap=True)


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
    console.out.print(f"[bold]{escape(str(folder))}[/]: {about['name']}, {len(about['layers'])} layers", soft_wrap=True)
    for name, text in lines.items():
        console.out.print(f"  [bold]{name:9}[/]{escape(text)}", soft_wrap=True)
    for note in about["notes"]:
        console.out.print(f"  [yellow]note[/]     {escape(note)}", soft_wrap=True)


def _needs(about: Mapping[str, Any]) -> str:
    """What the design takes of an FPGA, by estimate, beside what the device has."""
    device = about.get("device", {})
    names = {"luts": "LUTs", "flip_flops": "flip-flops", "dsps": "DSP blocks", "rams": "block RAMs"}
    counts = (
        f"{about['estimate'][key]:,g}" + (f" of {device[key]:,}" if device else "") + f" {name}"
        for key, name in names.items()
    )
    unused = "".join(f"; not used: {LargeRam(**ram)}" for ram in device.get("large_rams", ()))
    return f"about {', '.join(counts)} on {device['name'] if device else about['estimate']['family']}{unused}"
