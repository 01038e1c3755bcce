"""``design.json`` as the report shows it: what is given of every layer, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from cnn2rtl import schema
from cnn2rtl.schema import About

HUES = 7
"""Colours there are for layer kinds; what is left shares the last one."""

RESOURCES = {
    "luts": "Look-up tables",
    "flip_flops": "Flip-flops",
    "logic_cells": "Logic cells",
    "dsps": "DSP blocks",
    "rams": "Block RAMs",
}
"""What an FPGA has of everything, by the names of ``cnn2rtl.devices``."""


def resources_of(found: schema.Resources) -> Mapping[str, str]:
    """Those that count in a family: logic cells only where look-up tables and flip-flops share them."""
    return {key: title for key, title in RESOURCES.items() if key != "logic_cells" or found.logic_cells}


MEMORIES = {"weights": "weights", "parameters": "parameters", "buffers": "line buffers", "fifo": "FIFO"}
"""What a block keeps, by the names of ``design.json``."""


@dataclass(frozen=True)
class Fifo:
    """A FIFO before ``block``, or before the network's output, and the most beats that simulation saw in it."""

    block: str
    depth: int
    peak: int | None

    @property
    def title(self) -> str:
        used = "" if self.peak is None else f" ({self.peak:,} used at most in simulation)"
        return f"{count(self.depth, 'beat')}{used}"


@dataclass(frozen=True)
class Stream:
    """A tensor on wires and its FIFOs. ``first`` and ``last`` beat of the first frame, in cycles."""

    name: str
    node: str
    dimensions: tuple[int, ...]
    format: schema.Format
    lanes: int
    fifos: tuple[Fifo, ...]
    first: int
    last: int

    @property
    def fifo(self) -> int:
        """Beats that find room in all FIFOs."""
        return sum(fifo.depth for fifo in self.fifos)

    @property
    def peak(self) -> int | None:
        """The most beats that simulation saw in them, each taken by itself."""
        peaks = [fifo.peak for fifo in self.fifos if fifo.peak is not None]
        return sum(peaks) if len(peaks) == len(self.fifos) else None

    @property
    def shape(self) -> str:
        return "x".join(map(str, self.dimensions))

    @property
    def beat_bits(self) -> int:
        return self.lanes * self.format.bits

    @property
    def title(self) -> str:
        """All of it, as a sentence for a tooltip."""
        ends = [
            fifo.title if len(self.fifos) == 1 else f"{fifo.title} to {fifo.block or 'the output'}"
            for fifo in self.fifos
        ]
        return (
            f"{self.node}: {self.shape} values of format {self.format.name}; {count(self.lanes, 'channel')} and "
            f"{count(self.beat_bits, 'bit')} per beat; FIFO of {', of '.join(ends)}"
        )


@dataclass(frozen=True, eq=False)
class Block:
    """A block: what it takes, estimated, and the bits it keeps, by the names in ``MEMORIES``.

    Its ``hue`` is that of the kind of its first layer.
    """

    name: str
    hue: int
    multipliers: int
    summary: str
    memory: Mapping[str, int]
    resources: Mapping[str, float]

    @property
    def colour(self) -> str:
        return f"h{self.hue}"


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer, the stream that it delivers, and its part of the frame ``interval``.

    ``accuracy`` is what ``evaluate`` found of it, or nothing. ``block`` is the one that carries it out; its figures
    stand in the row of the ``first`` of its layers.
    """

    about: schema.Layer
    stream: Stream
    inputs: tuple[Stream, ...]
    hue: int
    interval: int
    block: Block
    first: bool
    accuracy: schema.LayerAccuracy | None

    @property
    def name(self) -> str:
        return self.stream.node

    @property
    def load(self) -> float:
        """Share of the frame interval in which the layer is busy."""
        return self.about.cycles / self.interval

    @property
    def busiest(self) -> bool:
        return self.about.cycles == self.interval

    @property
    def efficiency(self) -> float | None:
        """Share of the frame interval in which its multipliers do what the network asks for, if it has any."""
        multipliers = self.about.multipliers
        return self.about.macs / (self.interval * multipliers) if multipliers else None

    @property
    def sqnr(self) -> str:
        """In dB, if it was measured."""
        if self.accuracy is None:
            return ""
        return "exact" if self.accuracy.sqnr is None else str(self.accuracy.sqnr)

    @property
    def accumulator(self) -> str:
        """Bits that sums needed, if that was measured, and those that there are, if there are any."""
        there = self.about.accumulator_bits
        needed = self.accuracy.needed_bits if there and self.accuracy else 0
        return f"{needed} of {there}" if needed else str(there or "")

    @property
    def folding(self) -> str:
        return f"{self.about.pe} x {self.about.simd}" if self.about.multipliers else ""

    @property
    def colour(self) -> str:
        return f"h{self.hue}"

    @property
    def title(self) -> str:
        cycles = f"{self.about.cycles:,} of {self.interval:,} cycles"
        if self.efficiency is None:
            return f"{self.name}: {self.block.summary}; {cycles}"
        return (
            f"{self.name}: {self.block.summary}; {count(self.about.multipliers, 'multiplier')} "
            f"({self.folding}); {cycles}; MAC efficiency {percent(self.efficiency)}"
        )


@dataclass(frozen=True, eq=False)
class View:
    """The whole of ``design.json``, blocks, layers and streams in the order of the data."""

    about: About

    @property
    def results(self) -> schema.Results:
        """What was found out since the design was generated, by ``simulation``, ``accuracy`` and ``synthesis``."""
        return self.about.results

    @property
    def device(self) -> schema.Device | None:
        """The FPGA that the design is meant for and what that has, or nothing."""
        return self.about.device

    @cached_property
    def inputs(self) -> tuple[Stream, ...]:
        return tuple(self._stream(row) for row in self.about.inputs)

    @cached_property
    def streams(self) -> Mapping[str, Stream]:
        """What every input and layer delivers, by its name."""
        return {row.node: self._stream(row) for row in (*self.about.inputs, *self.about.layers)}

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        kinds = {row.node: self.kinds[row.kind] for row in self.about.layers}
        found = []
        for row in self.about.blocks:
            fifos = [self.streams[name] for name in row.layers]
            memory = {name: getattr(row.memory, name) for name in row.memory.__struct_fields__}
            memory["fifo"] = sum(stream.fifo * stream.beat_bits for stream in fifos)
            resources = {name: float(getattr(row.resources, name)) for name in row.resources.__struct_fields__}
            found.append(Block(row.name, kinds[row.layers[0]], row.multipliers, row.summary, memory, resources))
        return tuple(found)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        blocks = {block.name: block for block in self.blocks}
        first = {row.layers[0] for row in self.about.blocks}
        accuracy = self.results.accuracy.layers if self.results.accuracy else {}
        return tuple(
            Layer(
                row, self.streams[row.node], tuple(self.streams[node] for node in row.inputs), self.kinds[row.kind],
                self.about.interval, blocks[row.block], row.node in first, accuracy.get(row.node),
            )
            for row in self.about.layers
        )  # fmt: skip

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return tuple(self.streams[name] for name in self.about.outputs)

    @cached_property
    def kinds(self) -> Mapping[str, int]:
        """The kinds of layers there are, in the order in which they come, and the colour of each."""
        names = dict.fromkeys(row.kind for row in self.about.layers)
        return {name: min(index, HUES - 1) for index, name in enumerate(names)}

    def _stream(self, row: schema.Stream) -> Stream:
        peaks = self.results.simulation.fifos if self.results.simulation else {}
        fifos = tuple(Fifo(fifo.block, fifo.depth, peaks.get(fifo.name)) for fifo in row.fifos)
        # The first frame's; later frames may have one of their own.
        return Stream(row.stream, row.node, row.shape, row.format, row.lanes, fifos, row.first, row.last[0])


def count(n: float, what: str) -> str:
    """``1 beat``, ``2,000 beats``."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def number(n: float) -> str:
    """With thousands separators, and at most one digit behind the point."""
    return f"{round(n, 1):,.12g}"


def percent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"
