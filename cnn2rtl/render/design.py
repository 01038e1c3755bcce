"""The emitted design as data: a mapping from path to text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from cnn2rtl import __version__
from cnn2rtl.estimate import FAMILIES, Resources, estimate
from cnn2rtl.graph import Port, QuantGraph, QuantNode
from cnn2rtl.hardware.unit import Bits, Folding, Instance, Numbers, ParameterValue, RomFile, Unit, ceil_div
from cnn2rtl.quant.qformat import QFormat
from cnn2rtl.render import templates
from cnn2rtl.render.names import identifier, unique_identifiers
from cnn2rtl.render.report import report
from cnn2rtl.render.rom import hex_lines
from cnn2rtl.schedule import Schedule, Traffic, lanes_of
from cnn2rtl.tensors import Shape

SIMULATION = ("stream_check", "stream_meter", "stream_sink", "stream_source")
"""Modules of the testbench."""

NUMBERS = 12
"""Of a table among the parameters, in a line."""


@dataclass(frozen=True)
class Fifo:
    """The end of a stream at one of its takers, ``depth`` beats deep. ``name`` is the stream's where it has one."""

    name: str
    port: Port
    depth: int


@dataclass(frozen=True)
class Stream:
    """A tensor on wires: ``lanes`` channels of ``format.bits`` bits per beat, and the FIFOs that all enter at once."""

    name: str
    node: str
    shape: Shape
    format: QFormat
    lanes: int
    traffic: Traffic
    fifos: tuple[Fifo, ...]

    @property
    def bits(self) -> int:
        """Bits per beat."""
        return self.lanes * self.format.bits

    @property
    def pixel_beats(self) -> int:
        return ceil_div(self.shape[0], self.lanes)

    @property
    def frame_beats(self) -> int:
        return self.shape[1] * self.shape[2] * self.pixel_beats


@dataclass(frozen=True)
class Stage:
    """A unit in its layer's module, between the streams ``takes`` and ``to`` there (the prefixes of their wires)."""

    instance: Instance
    takes: tuple[str, ...]
    to: str

    def taken(self, wire: str) -> str:
        """Its connection to the ``wire`` (``valid``, ``ready``, ``data``) of all that it takes, the first lowest."""
        names = [f"{stream}_{wire}" for stream in reversed(self.takes)]
        return names[0] if len(names) == 1 else f"{{{', '.join(names)}}}"


@dataclass(frozen=True)
class Layer:
    """A module of the design: the layer's units between streams. ``modules`` are the units' by their role.

    ``sources`` and ``fifos`` are the streams that it takes, and where it takes them.
    """

    module: str
    node: QuantNode
    sources: tuple[Stream, ...]
    fifos: tuple[Fifo, ...]
    out: Stream
    folding: Folding
    unit: Unit
    modules: Mapping[str, str]

    @property
    def ports(self) -> tuple[str, ...]:
        """The prefixes of the ports of its streams in: ``s``, or ``s0``, ``s1`` and so on where there are several."""
        return ends("s", len(self.sources), "")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Its units in the order of the data."""
        found, ends = [], []
        for port, adapters in zip(self.ports, self.unit.adapters or ((),) * len(self.ports), strict=True):
            end = port
            for it in adapters:
                found.append(Stage(it, (end,), it.role))
                end = it.role
            ends.append(end)
        takes = tuple(ends)
        for it in self.unit.chain:
            found.append(Stage(it, takes, "m" if it is self.unit.chain[-1] else it.role))
            takes = (it.role,)
        return tuple(found)


@dataclass(frozen=True)
class End:
    """A stream at the top: the prefix of its ports there, and that of the wires which they are connected to."""

    port: str
    stream: Stream
    wires: str


def ends(side: str, count: int, suffix: str = "_axis") -> tuple[str, ...]:
    """The prefixes of the ports of so many streams on a ``side``: ``s_axis``, or ``s0_axis``, ``s1_axis`` and so on."""
    return (f"{side}{suffix}",) if count == 1 else tuple(f"{side}{number}{suffix}" for number in range(count))


@dataclass(frozen=True)
class Design:
    """Everything that is emitted. ``files`` maps paths in the output folder to their text."""

    name: str
    graph: QuantGraph
    schedule: Schedule
    inputs: tuple[Stream, ...]
    layers: tuple[Layer, ...]
    files: Mapping[str, str]

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Every stream in the order of the data, the inputs first."""
        return (*self.inputs, *(layer.out for layer in self.layers))

    @property
    def outputs(self) -> tuple[Stream, ...]:
        by_node = {stream.node: stream for stream in self.streams}
        return tuple(by_node[name] for name in self.graph.outputs)

    @property
    def sources(self) -> tuple[End, ...]:
        """Where frames come in."""
        names = ends("s", len(self.inputs))
        return tuple(End(name, stream, stream.name) for name, stream in zip(names, self.inputs, strict=True))

    @property
    def sinks(self) -> tuple[End, ...]:
        """Where results go out."""
        names = ends("m", len(self.outputs))
        fifos = {fifo.port: fifo.name for fifo in self.fifos}
        return tuple(
            End(name, stream, fifos[Port("", number)])
            for number, (name, stream) in enumerate(zip(names, self.outputs, strict=True))
        )

    @property
    def fifos(self) -> tuple[Fifo, ...]:
        """Every FIFO in the order of the streams."""
        return tuple(fifo for stream in self.streams for fifo in stream.fifos)


def render(graph: QuantGraph, schedule: Schedule, facts: Mapping[str, object], family: str) -> Design:
    """Everything but the test vectors. ``facts`` (provenance, options) go into ``design.json`` as they are.

    ``family`` is that of the FPGAs for which it says what the design takes.
    """
    outer = (*ends("s", len(graph.inputs)), *ends("m", len(graph.outputs)))
    taken = (*templates.unit_names(), *SIMULATION, "testbench", "pixels", *outer)
    top = identifier(graph.name)
    made = {
        (node.name, instance.role): f"{node.name} {instance.module}"
        for node in graph.layers
        for instance in schedule.units[node.name].instances
        if instance.template
    }
    inputs = [] if len(graph.inputs) == 1 else list(graph.inputs)
    names = unique_identifiers([graph.name, *inputs, *(node.name for node in graph.layers), *made.values()], taken)
    top = names.pop(graph.name, top)
    called = {node.name: names.get(node.name, "pixels") for node in graph.nodes}
    forks = _fork_names(graph, called, taken)
    streams = {node.name: _stream(graph, node, schedule, called[node.name], forks) for node in graph.nodes}
    takes = {fifo.port: fifo for stream in streams.values() for fifo in stream.fifos}
    layers = []
    for node in graph.layers:
        folding, unit = schedule.foldings[node.name], schedule.units[node.name]
        modules = {
            instance.role: names[made[node.name, instance.role]] if instance.template else instance.module
            for instance in unit.instances
        }
        sources = tuple(streams[name] for name in node.inputs)
        fifos = tuple(takes[Port(node.name, number)] for number in range(len(sources)))
        layers.append(Layer(names[node.name], node, sources, fifos, streams[node.name], folding, unit, modules))

    files: dict[str, str] = {}
    for layer in layers:
        files[f"rtl/{layer.module}.v"] = templates.fill(
            "design/layer.v.j2", layer=layer, literal=partial(literal, module=layer.module)
        )
        for instance in layer.unit.instances:
            if instance.template:
                module = layer.modules[instance.role]
                files[f"rtl/{module}.v"] = templates.fill(
                    instance.template, layer=layer.node.name, unit=instance, module=module
                )
        for role, rom in layer.unit.roms.items():
            files[f"rom/{layer.module}_{role}.hex"] = hex_lines(rom)
    design = Design(top, graph, schedule, tuple(streams[name] for name in graph.inputs), tuple(layers), files)
    files[f"rtl/{top}.v"] = templates.fill("design/top.v.j2", design=design)
    for name in used_units(layers):
        files[f"rtl/{name}.v"] = templates.read(f"units/{name}.v")
    for path in ("testbench.v", "Makefile", "test_design.py"):
        files[f"sim/{path}"] = templates.fill(f"sim/{path}.j2", design=design)
    for name in SIMULATION:
        files[f"sim/{name}.v"] = templates.read(f"sim/{name}.v")
    verilog, words = ([path for path in files if path.startswith(folder)] for folder in ("rtl/", "rom/"))
    for path in ("vivado/build.tcl", "quartus/build.tcl", "yosys/synth.ys"):
        files[f"syn/{path}"] = templates.fill(f"scripts/{path}.j2", design=design, sources=verilog, roms=words)
    about = description(design, facts, family)
    files["design.json"] = json.dumps(about, indent=2) + "\n"
    files["README.md"] = templates.fill("design/README.md.j2", design=design, about=about)
    files["report.html"] = report(about)
    return design


def _stream(graph: QuantGraph, node: QuantNode, schedule: Schedule, name: str, fifos: Mapping[Port, str]) -> Stream:
    """The stream of a node, and its FIFOs, which have its name or, where there are several, that in ``fifos``."""
    traffic = schedule.streams[node.name]
    ends = tuple(Fifo(fifos.get(port, name), port, depth) for port, depth in traffic.depths.items())
    lanes = lanes_of(graph, node, schedule.foldings)
    return Stream(name, node.name, node.shape, node.out, lanes, traffic, ends)


def _fork_names(graph: QuantGraph, streams: Mapping[str, str], taken: Iterable[str]) -> dict[Port, str]:
    """What the FIFOs of streams with several takers are called: after the stream, and the layer behind them."""
    wanted: dict[Port, str] = {}
    for name, stream in streams.items():
        ports = graph.ports[name]
        for port in ports if len(ports) > 1 else ():
            twice = sum(other.layer == port.layer for other in ports) > 1
            to = f"{streams[port.layer] if port.layer else 'output'}{f'_{port.number}' if twice else ''}"
            wish = f"{stream}_to_{to}"
            # Input 2 of `cat` and the layer `cat_2` are called alike.
            wanted[port] = f"{wish}_layer" if wish in wanted.values() else wish
    found = unique_identifiers(wanted.values(), [*taken, *streams.values()])
    return {port: found[name] for port, name in wanted.items()}


def used_units(layers: list[Layer]) -> tuple[str, ...]:
    """The library modules that the design needs, with those that these instantiate."""
    found: set[str] = set()
    chains = (instance for layer in layers for instance in layer.unit.instances if not instance.template)
    wanted = {instance.module for instance in chains} | {"stream_fifo", "frame_check"}
    library = templates.unit_names()
    while wanted:
        name = wanted.pop()
        found.add(name)
        text = templates.read(f"units/{name}.v")
        wanted |= {other for other in library if f" {other} #(" in text} - found
    return tuple(sorted(found))


def literal(value: ParameterValue, module: str) -> str:
    """A parameter's value in Verilog."""
    if isinstance(value, RomFile):
        return f'"{module}_{value.name}.hex"'
    if isinstance(value, Numbers):
        return _numbers(value)
    if isinstance(value, Bits):
        return f"{value.width}'h{value.value:x}"
    return str(value)


def _numbers(value: Numbers) -> str:
    """The last one first, as Verilog has them, some to a line."""
    words = [f"16'd{number}" if number < 0xFFFF else "16'hFFFF" for number in reversed(value.values)]
    lines = [", ".join(words[first : first + NUMBERS]) for first in range(0, len(words), NUMBERS)]
    return "{" + (lines[0] if len(lines) == 1 else "".join(f"\n            {line}," for line in lines)[:-1]) + "}"


def describe_format(q: QFormat) -> dict[str, object]:
    facts = {"bits": q.bits, "signed": q.signed, "lo": q.lo, "hi": q.hi, "zero": q.zero}
    return {"name": str(q), "scale": q.scales.tolist(), **facts}


def description(design: Design, facts: Mapping[str, object], family: str) -> dict[str, object]:
    """The contents of ``design.json``: all that later commands and other programs need to know."""
    graph, schedule = design.graph, design.schedule
    takes = estimate(design, family)
    macs = sum(node.op.macs(graph.shapes(node)) for node in graph.layers)
    return {
        "generator": f"cnn2rtl {__version__}",
        "name": design.name,
        **facts,
        "interval": schedule.interval,
        "latency": schedule.latency,
        "multipliers": schedule.multipliers,
        "dsp_multipliers": sum(folding.blocks for folding in schedule.foldings.values()),
        "macs": macs,
        "mac_efficiency": round(schedule.mac_efficiency(macs), 6),
        "rom_bits": sum(len(rom.words) * rom.width for layer in design.layers for rom in layer.unit.roms.values()),
        "buffer_bits": sum(fifo.depth * stream.bits for stream in design.streams for fifo in stream.fifos)
        + sum(instance.memory_bits for layer in design.layers for instance in layer.unit.instances),
        "estimate": {"family": family, **describe_resources(takes.total, family), "unknown": list(takes.unknown)},
        "inputs": [describe_stream(stream) for stream in design.inputs],
        "outputs": list(graph.outputs),
        "layers": [
            {
                **describe_stream(layer.out),
                "inputs": list(layer.node.inputs),
                "kind": layer.node.op.kind,
                "summary": layer.unit.summary,
                "pe": layer.folding.pe,
                "simd": layer.folding.simd,
                "taps": list(layer.folding.taps),
                "multipliers": layer.folding.multipliers,
                "style": layer.folding.style.name.lower() if layer.folding.multiplies else "",
                "cycles": layer.folding.cycles,
                "macs": layer.node.op.macs(graph.shapes(layer.node)),
                "accumulator_bits": layer.node.layer.acc_bits if layer.node.layer and layer.node.layer.requant else 0,
                "memory": describe_memory(layer.unit),
                "resources": describe_resources(takes.layers[layer.module] + takes.streams[layer.out.name], family),
            }
            for layer in design.layers
        ],
    }


def describe_resources(resources: Resources, family: str) -> dict[str, float]:
    """An estimate in the devices' own units: on Xilinx devices, a block RAM has two halves."""
    units = FAMILIES[family]
    return {
        "luts": round(resources.luts),
        "flip_flops": round(resources.flip_flops),
        "dsps": resources.dsps / units.dsp_units,
        "rams": resources.block_rams / units.ram_units,
    }


def describe_memory(unit: Unit) -> dict[str, int]:
    """Bits of the layer's ROMs and of its line buffers and the like."""
    bits = {role: len(rom.words) * rom.width for role, rom in unit.roms.items()}
    weights = bits.pop("weights", 0)
    buffers = sum(instance.memory_bits for instance in unit.instances)
    return {"weights": weights, "parameters": sum(bits.values()), "buffers": buffers}


def describe_stream(stream: Stream) -> dict[str, object]:
    return {
        "stream": stream.name,
        "node": stream.node,
        "shape": list(stream.shape),
        "format": describe_format(stream.format),
        "lanes": stream.lanes,
        "beats": stream.frame_beats,
        "fifos": [
            {"name": fifo.name, "layer": fifo.port.layer, "input": fifo.port.number, "depth": fifo.depth}
            for fifo in stream.fifos
        ],
        "first": stream.traffic.first,
        "last": list(stream.traffic.last),
    }
