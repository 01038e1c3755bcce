"""``design.json``: the one schema that it is written and read through.

A number is bounded where another one would make no sense; a field that is missing, unknown or of another kind is told
by its place. ``FORMAT`` grows with every change that an older reader would misunderstand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from cnn2rtl.errors import UserError
from cnn2rtl.version import __version__

FORMAT = 3

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Amount = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Bits = Annotated[int, Meta(ge=1, le=64)]
Identifier = Annotated[str, Meta(pattern=r"^[A-Za-z]\w*$")]
RomName = Annotated[str, Meta(pattern=r"^\w+\.hex$")]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of the file."""


class Widths(Part, frozen=True):
    """Bits of a layer's own weights and activations, where it has others than the rest."""

    weights: Bits | None = None
    activations: Bits | None = None


class InputFormat(Part, frozen=True):
    """How an input comes that is no picture: codes of so many bits, worth ``scale`` each, or 1 if that is not said."""

    bits: Bits
    signed: bool
    scale: Annotated[float, Meta(gt=0)] | None


class Options(Part, frozen=True):
    """What the user chose. ``inputs`` are there where not all are pictures: one for all, or one for each."""

    weight_bits: Bits
    activation_bits: Bits
    output_bits: Bits
    scheme: Literal["pow2", "scale"]
    layers: Mapping[str, Widths]
    ranges: str
    effort: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_index: bool
    fit: Literal["crop", "resize", "squash"]
    channels: Literal["rgb", "bgr"]
    inputs: tuple[InputFormat, ...] = ()


class Resources(Part, frozen=True, kw_only=True):
    """In the units of :class:`cnn2rtl.devices.Device`; parts of a block are fractions.

    ``logic_cells`` are what look-up tables, flip-flops and carries share; 0 where nothing does.
    """

    luts: Count
    flip_flops: Count
    dsps: Amount
    rams: Amount
    logic_cells: Count = 0


class Estimate(Resources, frozen=True):
    """Of the whole design on a family of FPGAs. ``unknown`` are units that count nothing."""

    family: str
    unknown: tuple[str, ...]


class LargeRam(Part, frozen=True):
    """Memories that no design uses: see :class:`cnn2rtl.devices.LargeRam`."""

    name: str
    count: Positive
    width: Positive
    depth: Positive
    ports: Positive


class Device(Part, frozen=True):
    """What the FPGA has."""

    name: str
    family: str
    luts: Count
    flip_flops: Count
    dsps: Count
    rams: Count
    large_rams: tuple[LargeRam, ...]
    logic_cells: Count = 0


class Rom(Part, frozen=True):
    """A ROM file of so many ``words``, of ``width`` bits each."""

    words: Positive
    width: Positive


class Format(Part, frozen=True):
    """How to read codes: ``scale`` is one number, or has one per channel; ``zero`` is the code that stands for 0."""

    name: str
    scale: float | tuple[float, ...]
    bits: Bits
    signed: bool
    lo: int
    hi: int
    zero: int


class Fifo(Part, frozen=True):
    """The end of a stream at an ``input`` of a ``block``, or at an output of the network, ``depth`` beats deep."""

    name: Identifier
    block: str
    input: Count
    depth: Positive


class Stream(Part, frozen=True):
    """What ``node`` makes, ``beats`` per frame of ``lanes`` channels.

    In cycles: when the ``first`` beat of all moves, and when the ``last`` ones of the first few frames do.
    """

    stream: Identifier
    node: str
    shape: tuple[Positive, Positive, Positive]
    format: Format
    lanes: Positive
    beats: Positive
    fifos: tuple[Fifo, ...]
    first: Count
    last: Annotated[tuple[Count, ...], Meta(min_length=1)]


class Layer(Stream, frozen=True):
    """A layer, wherever it runs. ``cycles`` are its own of a frame; its ``block`` is one of ``blocks``."""

    inputs: Annotated[tuple[str, ...], Meta(min_length=1)]
    block: str
    kind: str
    pe: Positive
    simd: Positive
    taps: tuple[Positive, Positive]
    multipliers: Count
    style: str
    cycles: Positive
    macs: Count
    accumulator_bits: Count


class Memory(Part, frozen=True):
    """Bits of ROM for weights and for other parameters, and of line buffers and the like."""

    weights: Count
    parameters: Count
    buffers: Count


class Block(Part, frozen=True):
    """A module of the design that carries out ``layers``. ``resources`` are with the FIFOs of what it delivers."""

    name: str
    module: Identifier
    layers: Annotated[tuple[str, ...], Meta(min_length=1)]
    summary: str
    multipliers: Count
    cycles: Positive
    memory: Memory
    resources: Resources


class Beats(Part, frozen=True):
    """What simulation saw of a stream, in cycles: see :class:`cnn2rtl.verify.Measured`."""

    first: int
    last: int
    interval: int
    waits: int


class Simulation(Part, frozen=True):
    """The last run. ``values`` were compared; ``fifos`` are the most beats that each held, by its name."""

    engine: str
    frames: Positive
    data: str
    stall: Count
    seed: int
    values: Count
    passed: bool
    details: tuple[str, ...]
    latency: int
    interval: int
    streams: Mapping[str, Beats]
    fifos: Mapping[str, Count]


class LayerAccuracy(Part, frozen=True):
    """See :class:`cnn2rtl.accuracy.LayerFigures`; ``sqnr`` is in dB, ``None`` where nothing is lost."""

    sqnr: float | None
    clipped: Share
    used: Share
    needed_bits: Count
    acc_bits: Count


class Errors(Part, frozen=True):
    """See :class:`cnn2rtl.tasks.figures.Errors`."""

    mean: Amount
    rms: Amount
    largest: Amount


class Values(Part, frozen=True):
    """Errors between integers and floats and, where there are labels, of each of both from these: of all channels, and
    of each channel. ``sqnr`` is in dB, ``None`` where nothing is lost."""

    sqnr: float | None
    between: Errors
    by_channel: tuple[Errors, ...]
    of_floats: Errors | None = None
    of_integers: Errors | None = None


class Further(Part, frozen=True):
    """See :class:`cnn2rtl.tasks.base.Further`."""

    name: str
    floats: Share | None
    integers: Share


class Confusion(Part, frozen=True):
    """See :class:`cnn2rtl.tasks.figures.Confusion`: ``counts`` are row, column, and how often, but for none."""

    classes: Positive
    counts: tuple[tuple[Count, Count, Positive], ...]


class Decisions(Part, frozen=True):
    """``count`` decisions about ``unit``: what share is alike in both networks, and what is right, if there are labels.

    Rows of the ``confusions`` are the labels or, without, what the float network decides; columns are the hardware's.
    """

    unit: str
    measure: str
    count: Count
    agreement: Share
    float_accuracy: Share | None
    integer_accuracy: Share | None
    further: tuple[Further, ...]
    confusions: tuple[Confusion, ...]
    class_names: tuple[str, ...] = ()


class Judged(Part, frozen=True):
    """See :class:`cnn2rtl.tasks.Judgement`: one output, by the ``task`` that it is taken for, and why it is."""

    output: str
    task: str
    why: str
    decisions: Decisions | None = None
    values: Values | None = None

    def __post_init__(self) -> None:
        if self.decisions is None and self.values is None:
            raise ValueError("an output with neither decisions nor values")


class Accuracy(Part, frozen=True):
    """See :class:`cnn2rtl.accuracy.Evaluation`. ``data`` is what it was measured on."""

    images: Positive
    outputs: Annotated[tuple[Judged, ...], Meta(min_length=1)]
    layers: Mapping[str, LayerAccuracy]
    data: str


class Usage(Resources, frozen=True):
    """What synthesis counted."""

    distributed_ram_bits: Count


class Available(Part, frozen=True):
    """What of everything the device has."""

    luts: Count
    flip_flops: Count
    dsps: Count
    rams: Count
    distributed_ram_bits: Count
    logic_cells: Count = 0


class Routed(Part, frozen=True):
    """See :class:`cnn2rtl.synthesis.Routed`."""

    tool: str
    version: str
    seed: int
    target_mhz: Amount
    fmax_mhz: Annotated[float, Meta(gt=0)]


class Synthesis(Part, frozen=True):
    """See :class:`cnn2rtl.synthesis.SynthResult`; ``available`` and ``fits`` are of a device, if there was one."""

    tool: str
    version: str
    family: str
    device: str | None
    wrapped: bool
    usage: Usage
    available: Available | None
    fits: bool | None
    cells: Mapping[str, Count]
    routed: Routed | None
    frames_per_second: Amount | None
    large_rams: tuple[LargeRam, ...]


class Results(Part, frozen=True):
    """What was found out since the design was generated."""

    simulation: Simulation | None = None
    accuracy: Accuracy | None = None
    synthesis: Synthesis | None = None


class About(Part, frozen=True):
    """The contents of ``design.json``. Cycles are clock cycles; ``clock_mhz`` is the clock that speeds are told for."""

    format: int
    generator: str
    name: Identifier
    options: Options
    calibration: str
    notes: tuple[str, ...]
    clock_mhz: Annotated[float, Meta(gt=0)]
    interval: Positive
    latency: Positive
    multipliers: Count
    dsp_multipliers: Count
    macs: Count
    mac_efficiency: Amount
    rom_bits: Count
    buffer_bits: Count
    estimate: Estimate
    roms: Mapping[RomName, Rom]
    inputs: Annotated[tuple[Stream, ...], Meta(min_length=1)]
    outputs: Annotated[tuple[str, ...], Meta(min_length=1)]
    blocks: tuple[Block, ...]
    layers: tuple[Layer, ...]
    device: Device | None = None
    results: Results = msgspec.field(default_factory=Results)

    def contents(self) -> dict[str, Any]:
        """The same as JSON has it: mappings, lists, numbers and strings."""
        found: dict[str, Any] = json.loads(json.dumps(msgspec.to_builtins(self)))
        return found

    def text(self) -> str:
        """The file; the same contents give the same text."""
        return json.dumps(self.contents(), indent=2) + "\n"


class _Head(msgspec.Struct):
    """What tells a file's version, whatever else is in it; the first ones had no number."""

    format: int = 1
    generator: str = "an earlier version"


def parse(text: str | bytes) -> About:
    """The contents of a ``design.json``.

    Raises ``ValueError`` for what is none, with the place that is wrong, and :class:`UserError` for one of another
    format, which may be in order.
    """
    contents = json.loads(text, parse_constant=_no_number)
    head = msgspec.convert(contents, _Head)
    if head.format != FORMAT:
        raise UserError(
            f"design.json has format {head.format} ({head.generator}), and this is cnn2rtl {__version__}, which has "
            f"format {FORMAT}; generate the project again from its model, or use the version that made it"
        )
    about = msgspec.convert(contents, About)
    _check_names(about)
    return about


def _no_number(word: str) -> None:
    """Refuse what Python's JSON would take: NaN and infinity."""
    raise ValueError(f"{word} is no number")


def _check_names(about: About) -> None:
    """Raise ``ValueError`` where parts name others that are not there."""
    made = [stream.node for stream in (*about.inputs, *about.layers)]
    carried = [layer for block in about.blocks for layer in block.layers]
    blocks = {block.name for block in about.blocks}
    missing = [name for name in about.outputs if name not in made]
    for number, layer in enumerate(about.layers):
        missing += [name for name in layer.inputs if name not in made[: len(about.inputs) + number]]
        missing += [layer.block] if layer.block not in blocks else []
    missing += sorted({*carried} ^ {layer.node for layer in about.layers})
    missing += [
        fifo.block
        for stream in (*about.inputs, *about.layers)
        for fifo in stream.fifos
        if fifo.block and fifo.block not in blocks
    ]
    if missing or len(set(made)) < len(made):
        raise ValueError(f"names that do not fit together: {', '.join(map(repr, missing[:3])) or 'one comes twice'}")
