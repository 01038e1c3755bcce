"""The design as it will be emitted: every block is a module with a name, every tensor a stream."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from cnn2rtl.graph import QuantGraph, QuantNode
from cnn2rtl.hardware.block import Block, Port
from cnn2rtl.hardware.unit import Folding, Rom, ceil_div
from cnn2rtl.names import Names, name_all
from cnn2rtl.quant.qformat import QFormat
from cnn2rtl.schedule import Schedule, Traffic, lanes_of
from cnn2rtl.tensors import Shape


@dataclass(frozen=True)
class Fifo:
    """The end of a stream at one of its takers, ``depth`` beats deep. ``name`` is the stream's where it has one."""

    name: str
    port: Port
    depth: int


@dataclass(frozen=True)
class Stream:
    """A tensor on wires: ``lanes`` channels of ``format.bits`` bits per beat, and the FIFOs that all enter at once.

    One that stays ``within`` a block, an instance at the top, enters none.
    """

    name: str
    node: str
    shape: Shape
    format: QFormat
    lanes: int
    traffic: Traffic
    fifos: tuple[Fifo, ...]
    within: str = ""

    @property
    def tap(self) -> str:
        """Where a testbench finds it below the top: the prefix of its wires."""
        return f"{self.within}.{self.name}" if self.within else self.name

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
class Module:
    """A module of the design: a block between streams. ``units`` are the modules of the block's units, by their role.

    ``fifos`` are where it takes its ``sources``, and ``results`` what it delivers.
    """

    name: str
    block: Block
    sources: tuple[Stream, ...]
    fifos: tuple[Fifo, ...]
    results: tuple[Stream, ...]
    units: Mapping[str, str]

    @property
    def takes(self) -> tuple[str, ...]:
        """The prefixes of the ports of its streams in: ``s``, or ``s0``, ``s1`` and so on where there are several."""
        return ends("s", len(self.sources), "")

    @property
    def roms(self) -> Mapping[str, Rom]:
        """Its ROMs by the names of their files."""
        return {f"{self.name}_{role}.hex": rom for role, rom in self.block.roms.items()}

    @property
    def gives(self) -> tuple[str, ...]:
        """Those of its streams out, ``m`` likewise."""
        return ends("m", len(self.results), "")


@dataclass(frozen=True)
class Layer:
    """A layer, wherever it is carried out, and what it makes: a stream between blocks, or one within its own."""

    node: QuantNode
    module: Module
    out: Stream
    folding: Folding


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
    """Everything that is emitted, but for the text of the files."""

    name: str
    graph: QuantGraph
    schedule: Schedule
    inputs: tuple[Stream, ...]
    modules: tuple[Module, ...]
    layers: tuple[Layer, ...]

    def __repr__(self) -> str:
        return f"<Design {self.name!r}: {len(self.modules)} modules>"

    @property
    def streams(self) -> tuple[Stream, ...]:
        """What every input and layer makes, in the order of the data, the inputs first."""
        return (*self.inputs, *(layer.out for layer in self.layers))

    @cached_property
    def by_node(self) -> Mapping[str, Stream]:
        """The same by the name of the input or layer."""
        return {stream.node: stream for stream in self.streams}

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return tuple(self.by_node[name] for name in self.graph.outputs)

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


def lay_out(graph: QuantGraph, schedule: Schedule, reserved: Collection[str]) -> Design:
    """Names for all modules, streams and FIFOs of a design, none of them ``reserved`` for others."""
    outer = (*ends("s", len(graph.inputs)), *ends("m", len(graph.outputs)))
    names = name_all(graph, schedule, (*reserved, "testbench", *outer))
    within = {
        layer: f"u_{names.modules[block.name]}"
        for block in schedule.blocks
        for layer in block.layers
        if layer not in block.results
    }
    streams = {node.name: _stream(graph, node, schedule, names, within.get(node.name, "")) for node in graph.nodes}
    takes = {fifo.port: fifo for stream in streams.values() for fifo in stream.fifos}
    modules = []
    for block in schedule.blocks:
        units = {
            instance.role: names.units[block.name, instance.role] if instance.template else instance.module
            for instance in block.instances
        }
        sources = tuple(streams[name] for name in block.sources)
        fifos = tuple(takes[Port(block.name, number)] for number in range(len(sources)))
        results = tuple(streams[name] for name in block.results)
        modules.append(Module(names.modules[block.name], block, sources, fifos, results, units))
    where = {name: module for module in modules for name in module.block.layers}
    layers = [Layer(node, where[node.name], streams[node.name], schedule.foldings[node.name]) for node in graph.layers]
    inputs_of = tuple(streams[name] for name in graph.inputs)
    return Design(names.top, graph, schedule, inputs_of, tuple(modules), tuple(layers))


def _stream(graph: QuantGraph, node: QuantNode, schedule: Schedule, names: Names, within: str) -> Stream:
    """The stream of a node, and its FIFOs."""
    traffic = schedule.streams[node.name]
    fifos = tuple(Fifo(names.fifos[port], port, depth) for port, depth in traffic.depths.items())
    lanes = lanes_of(graph, node, schedule.foldings)
    return Stream(names.streams[node.name], node.name, node.shape, node.out, lanes, traffic, fifos, within)
