"""The arguments that say how a network becomes integers: shared by every command that quantises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer

from cnn2rtl.cli import console
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.images import Channels, Fit
from cnn2rtl.options import Options
from cnn2rtl.quant.inputs import InputFormat, input_formats
from cnn2rtl.quantise.integers import Widths
from cnn2rtl.schedule import Target
from cnn2rtl.tasks import Wanted

CALIBRATING = 200
"""Images to calibrate on, if nothing else is said."""

Bits = Annotated[int, typer.Option(metavar="N", help="Width of weights and activations, 2 to 16.")]
WeightBits = Annotated[int | None, typer.Option(metavar="N", help="Width of the weights alone.")]
ActivationBits = Annotated[int | None, typer.Option(metavar="N", help="Width of the activations alone.")]
OutputBits = Annotated[int, typer.Option(metavar="N", help="Width of the network's outputs, 2 to 16.")]
Mean = Annotated[
    str,
    typer.Option(
        metavar="X[,Y,...]", help="The network was trained on (pixel/255 - mean)/std: one number, or one per channel."
    ),
]
Std = Annotated[str, typer.Option(metavar="X[,Y,...]", help="See --mean.")]
InputFormatOf = Annotated[
    str,
    typer.Option(
        "--input-format",
        metavar="uN|sN",
        help="What comes: u8, pixels, or other integers: s16, u12, ... Of several inputs, separated by commas.",
    ),
]
InputScale = Annotated[
    str | None,
    typer.Option(
        "--input-scale",
        metavar="X|auto",
        help="What a code of an input that is no picture is worth (1 if not given), or auto: found on --calib. The "
        "network was trained on (code*X - mean)/std.",
    ),
]
CalibLimit = Annotated[int, typer.Option(metavar="N", help="Calibrate on so many of them at most.")]
FITTING = "Cut out an image's centre, or resize its shorter side first, or squash it to the input's size."
Fitting = Annotated[Fit, typer.Option(help=FITTING)]
ChannelOrder = Annotated[Channels, typer.Option(help="In which order the network takes a picture's channels.")]
FittingOf = Annotated[Fit | None, typer.Option(help=f"{FITTING} If not given, as the design was calibrated.")]
ChannelOrderOf = Annotated[Channels | None, typer.Option(help="See `generate`; if not given, as it was said there.")]
RequantScheme = Annotated[
    Literal["pow2", "scale"], typer.Option(help="Requantise by shifts alone, or by 16-bit multipliers.")
]
LayerWidths = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=wNaN", help="Widths of one layer, such as cnn.1.0=w8a12; w8 or a12 alone will do. Repeatable."
    ),
]
RangesBy = Annotated[
    Literal["minmax", "percentile", "mse"],
    typer.Option(help="Ranges reach to the ends, to all but 0.01 % of the values, or to where least is lost."),
]
EffortOf = Annotated[
    Literal["fast", "best"], typer.Option(help="best: also adapt how every weight is rounded; takes longer.")
]

TaskOf = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NAME=]KIND",
        help="What the outputs, or one of them, are for, if not as they look: classification, segmentation, "
        "multilabel, regression. Repeatable.",
    ),
]


def read_task(task: Sequence[str] | None) -> Wanted:
    """What ``--task`` says: a kind for all outputs, or kinds by the names of outputs."""
    pairs = [text.rpartition("=") for text in task or ()]
    if any(not name for name, _, _ in pairs):
        if len(pairs) > 1:
            raise UserError(f"--task {pairs[0][2]}: one kind for all outputs is enough, or NAME=KIND for each of them")
        return pairs[0][2]
    return {name: kind for name, _, kind in pairs} or None


def read_options(
    problems: Problems,
    *,
    bits: int,
    mean: str,
    std: str,
    layer: Sequence[str] | None,
    weight_bits: int | None,
    activation_bits: int | None,
    target: Target,
    input_format: str = "u8",
    input_scale: str | None = None,
    **others: Any,
) -> Options:
    """What the arguments say; what cannot be read of them goes to ``problems``. ``others`` are options as they are."""
    means: tuple[float, ...] = (0.0,)
    stds: tuple[float, ...] = (1.0,)
    with problems.gather():
        means = console.parse_numbers("--mean", mean)
    with problems.gather():
        stds = console.parse_numbers("--std", std)
    inputs: tuple[InputFormat, ...] = ()
    with problems.gather():
        scales = [None] if input_scale is None else input_scale.split(",")
        # Of several, one that is left out is that of the format.
        inputs = input_formats(input_format.split(","), [it or None for it in scales] if len(scales) > 1 else scales)
    layers: dict[str, Widths] = {}
    for text in layer or []:
        with problems.gather():
            name, widths = console.parse_widths(text)
            layers[name] = widths
    return Options(
        weight_bits=bits if weight_bits is None else weight_bits,
        activation_bits=bits if activation_bits is None else activation_bits,
        layers=layers,
        mean=means,
        std=stds,
        target=target,
        inputs=inputs,
        **others,
    )
