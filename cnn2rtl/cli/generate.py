"""``cnn2rtl generate``: a model in, a project folder out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from cnn2rtl.cli import console
from cnn2rtl.cli.model import Arch, InputSize, ModelFile, TrustPickle, capture_file, is_onnx, read_given
from cnn2rtl.devices import Device, find
from cnn2rtl.errors import Problems
from cnn2rtl.images import ImageSet
from cnn2rtl.output import check_target
from cnn2rtl.pipeline import Compiled, Options, check_feasible, compile_given, compile_graph
from cnn2rtl.quant.given import GivenNetwork
from cnn2rtl.quant.quantise import Widths
from cnn2rtl.schedule import Target

QUANTISING = (
    "arch", "bits", "weight_bits", "activation_bits", "output_bits", "size", "calib", "calib_limit", "fit", "scheme",
    "layer", "ranges", "effort", "trust_pickle",
)  # fmt: skip
"""Arguments that have no say in a network that is quantised already."""


def generate(
    ctx: typer.Context,
    model: ModelFile,
    arch: Arch = None,
    bits: Annotated[int, typer.Option(metavar="N", help="Width of weights and activations, 2 to 16.")] = 8,
    weight_bits: Annotated[int | None, typer.Option(metavar="N", help="Width of the weights alone.")] = None,
    activation_bits: Annotated[int | None, typer.Option(metavar="N", help="Width of the activations alone.")] = None,
    output_bits: Annotated[int, typer.Option(metavar="N", help="Width of the network's outputs, 2 to 16.")] = 16,
    class_index: Annotated[
        bool, typer.Option("--class-index", help="Deliver the index of the largest output instead of the outputs.")
    ] = False,
    size: InputSize = None,
    mean: Annotated[
        str,
        typer.Option(
            metavar="X[,Y,...]",
            help="The network was trained on (pixel/255 - mean)/std: one number, or one per channel.",
        ),
    ] = "0",
    std: Annotated[str, typer.Option(metavar="X[,Y,...]", help="See --mean.")] = "1",
    calib: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Images to calibrate on: a folder, or arrays in .npz, .npy or .pt."),
    ] = None,
    calib_limit: Annotated[int, typer.Option(metavar="N", help="Calibrate on so many of them at most.")] = 200,
    fit: Annotated[
        Literal["crop", "resize"], typer.Option(help="Cut out an image's centre, or resize its shorter side first.")
    ] = "crop",
    scheme: Annotated[
        Literal["pow2", "scale"], typer.Option(help="Requantise by shifts alone, or by 16-bit multipliers.")
    ] = "pow2",
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=wNaN",
            help="Widths of one layer, such as cnn.1.0=w8a12; w8 or a12 alone will do. Repeatable.",
        ),
    ] = None,
    ranges: Annotated[
        Literal["minmax", "percentile", "mse"],
        typer.Option(help="Ranges reach to the ends, to all but 0.01 % of the values, or to where least is lost."),
    ] = "minmax",
    effort: Annotated[
        Literal["fast", "best"], typer.Option(help="best: also adapt how every weight is rounded; takes longer.")
    ] = "fast",
    fps: Annotated[float | None, typer.Option(metavar="X", help="Frames per second to reach at --clock.")] = None,
    clock: Annotated[float, typer.Option(metavar="MHZ", help="Clock that --fps is reached at.")] = 100.0,
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
    folder = out or Path(f"{model.name.split('.')[0]}_rtl")
    means: tuple[float, ...] = (0.0,)
    stds: tuple[float, ...] = (1.0,)
    with problems.gather():
        check_target(folder, force)
    with problems.gather():
        means = console.parse_numbers("--mean", mean)
    with problems.gather():
        stds = console.parse_numbers("--std", std)
    chosen: Device | None = None
    if device is not None:
        with problems.gather():
            chosen = find(device)
    layers: dict[str, Widths] = {}
    for text in layer or []:
        with problems.gather():
            name, widths = console.parse_widths(text)
            layers[name] = widths
    options = Options(
        weight_bits=bits if weight_bits is None else weight_bits,
        activation_bits=bits if activation_bits is None else activation_bits,
        output_bits=output_bits,
        scheme=scheme,
        layers=layers,
        ranges=ranges,
        effort=effort,
        mean=means,
        std=stds,
        class_index=class_index,
        target=Target(fps, clock, multipliers, dsps, chosen),
    )
    if is_onnx(model):
        compiled = _compile_given(ctx, model, options, problems)
        compiled.write(folder, force)
        _summarise(compiled, folder, clock)
        return
    graph = capture_file(model, arch, size, trust_pickle, problems)
    with problems.gather():
        options.check(None if graph is None else graph.input.shape[0])
    if graph is not None:
        with problems.gather():
            check_feasible(graph, options)
    found: ImageSet | None = None
    if calib is not None:
        if calib_limit < 1:
            problems.found.append(f"--calib-limit {calib_limit}: at least 1 image is needed")
        with problems.gather():
            found = console.images("--calib", calib, graph if calib_limit > 0 else None, fit, calib_limit)
    problems.check()
    assert graph is not None
    images = None if found is None else found.images

    with console.progress() as bar:
        task = bar.add_task("calibrating", total=None)
        source = "" if calib is None else f" of {console.readable(calib.resolve().name)}"
        compiled = compile_graph(
            graph, options, images, source,
            lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total),
        )  # fmt: skip
        bar.update(task, description="writing")
        compiled.write(folder, force)
    _summarise(compiled, folder, clock)


def _compile_given(ctx: typer.Context, model: Path, options: Options, problems: Problems) -> Compiled:
    """The network of an ONNX file that is quantised already."""
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        if parameter.name in QUANTISING and source is not None and source.name == "COMMANDLINE":
            problems.found.append(
                f"{parameter.opts[0]}: {model} is quantised already and keeps its numbers; leave it out"
            )
    given: GivenNetwork | None = None
    with problems.gather():
        given = read_given(model, options.mean, options.std)
    problems.check()
    assert given is not None
    return compile_given(given, options)


def _summarise(compiled: Compiled, folder: Path, clock: float) -> None:
    """The four answers, as far as they are known before simulation."""
    about = compiled.about
    options = about["options"]
    project, sim = shlex.quote(str(folder)), shlex.quote(str(folder / "sim"))
    lines = {
        "fits?": f"{about['multipliers']:,} multipliers, {about['rom_bits']:,} bits of ROM, "
        f"{about['buffer_bits']:,} bits of line buffers and FIFOs",
        "takes": _needs(about),
        "speed": f"{about['interval']:,} cycles per frame "
        f"({1e6 * clock / about['interval']:,.1f} frames/s at {clock:g} MHz), latency {about['latency']:,} cycles, "
        f"{100 * about['mac_efficiency']:.1f} % MAC efficiency",
        "accuracy": f"{options['weight_bits']}-bit weights, {options['activation_bits']}-bit activations, calibrated "
        f"on {about['calibration']}; measure it: cnn2rtl evaluate {project} --data FOLDER",
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
    return f"about {', '.join(counts)} on {device['name'] if device else about['estimate']['family']}"
