"""``design.json`` as the report shows it: what is given of every layer, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

HUES = 7
"""Colours there are for layer kinds; what is left shares the last one."""

RESOURCES = {"luts": "Look-up tables", "flip_flops": "Flip-flops", "dsps": "DSP blocks", "rams": "Block RAMs"}
"""What an FPGA has of everything, by the names of ``cnn2rtl.devices``."""

MEMORIES = {"weights": "weights", "parameters": "parameters", "buffers": "line buffers", "fifo": "FIFO"}
"""What a layer keeps, by the names of ``design.json``."""


@dataclass(frozen=True)
class Fifo:
    """A FIFO before ``layer``, or before the network's output, and the most beats that simulation saw in it."""

    layer: str
    depth: int
    peak: int | None

    @property
    def title(self) -> str:
        used = "" if self.peak is None else f" ({self.peak:,} used at most in simulation)"
        return f"{count(self.depth, 'beat')}{used}"


@dataclass(frozen=True)
class Stream:
    """A tensor on wires and its FIFOs. ``first`` and ``last`` beat of the first frame, in cycles, where known."""

    name: str
    node: str
    dimensions: tuple[int, ...]
    format: Mapping[str, Any]
    lanes: int
    fifos: tuple[Fifo, ...]
    first: int | None
    last: int | None

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
        return self.lanes * int(self.format["bits"])

    @property
    def title(self) -> str:
        """All of it, as a sentence for a tooltip."""
        ends = [
            fifo.title if len(self.fifos) == 1 else f"{fifo.title} to {fifo.layer or 'the output'}"
            for fifo in self.fifos
        ]
        return (
            f"{self.node}: {self.shape} values of format {self.format['name']}; {count(self.lanes, 'channel')} and "
            f"{count(self.beat_bits, 'bit')} per beat; FIFO of {', of '.join(ends)}"
        )


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer, the stream that it delivers, and its part of the frame ``interval``.

    ``accuracy`` is what ``evaluate`` found of it, as in its ``LayerFigures``, or nothing.
    """

    about: Mapping[str, Any]
    stream: Stream
    inputs: tuple[Stream, ...]
    hue: int
    interval: int
    memory: Mapping[str, int]
    accuracy: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.stream.node

    @property
    def load(self) -> float:
        """Share of the frame interval in which the layer is busy."""
        return float(self.about["cycles"] / self.interval)

    @property
    def busiest(self) -> bool:
        return bool(self.about["cycles"] == self.interval)

    @property
    def efficiency(self) -> float | None:
        """Share of the frame interval in which its multipliers do what the network asks for, if it has any."""
        multipliers = self.about["multipliers"]
        return self.about["macs"] / (self.interval * multipliers) if multipliers else None

    @property
    def resources(self) -> Mapping[str, float]:
        """What the layer takes of an FPGA, estimated, or nothing."""
        found: Mapping[str, float] = self.about.get("resources") or {}
        return found

    @property
    def sqnr(self) -> str:
        """In dB, if it was measured."""
        found = self.accuracy.get("sqnr", "")
        return "exact" if found is None else str(found)

    @property
    def accumulator(self) -> str:
        """Bits that sums needed, if that was measured, and those that there are, if there are any."""
        there = self.about["accumulator_bits"]
        needed = self.accuracy.get("needed_bits") if there else None
        return f"{needed} of {there}" if needed else str(there or "")

    @property
    def folding(self) -> str:
        return f"{self.about['pe']} x {self.about['simd']}" if self.about["multipliers"] else ""

    @property
    def colour(self) -> str:
        return f"h{self.hue}"

    @property
    def title(self) -> str:
        cycles = f"{self.about['cycles']:,} of {self.interval:,} cycles"
        if self.efficiency is None:
            return f"{self.name}: {self.about['summary']}; {cycles}"
        return (
            f"{self.name}: {self.about['summary']}; {count(self.about['multipliers'], 'multiplier')} "
            f"({self.folding}); {cycles}; MAC efficiency {percent(self.efficiency)}"
        )


@dataclass(frozen=True, eq=False)
class View:
    """The whole of ``design.json``, layers and streams in the order of the data."""

    about: Mapping[str, Any]

    @property
    def results(self) -> Mapping[str, Any]:
        """What was found out since the design was generated, by ``simulation``, ``accuracy`` and ``synthesis``."""
        found: Mapping[str, Any] = self.about.get("results", {})
        return found

    @property
    def device(self) -> Mapping[str, Any]:
        """The FPGA that the design is meant for and what that has, or nothing."""
        found: Mapping[str, Any] = self.about.get("device") or {}
        return found

    @cached_property
    def inputs(self) -> tuple[Stream, ...]:
        return tuple(self._stream(row) for row in self.about["inputs"])

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        streams = {stream.node: stream for stream in self.inputs}
        kinds = self.kinds
        accuracy = self.results.get("accuracy", {}).get("layers", {})
        found = []
        before = self.inputs[0].node
        for row in self.about["layers"]:
            stream = streams[row["node"]] = self._stream(row)
            memory = {**row.get("memory", {}), "fifo": stream.fifo * stream.beat_bits}
            inputs = tuple(streams[node] for node in row.get("inputs", [before]))
            figures = accuracy.get(stream.node, {})
            found.append(Layer(row, stream, inputs, kinds[row["kind"]], self.about["interval"], memory, figures))
            before = stream.node
        return tuple(found)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        streams = {stream.node: stream for stream in (*self.inputs, *(layer.stream for layer in self.layers))}
        return tuple(streams[name] for name in self.about["outputs"])

    @cached_property
    def kinds(self) -> Mapping[str, int]:
        """The kinds of layers there are, in the order in which they come, and the colour of each."""
        names = dict.fromkeys(row["kind"] for row in self.about["layers"])
        return {name: min(index, HUES - 1) for index, name in enumerate(names)}

    def _stream(self, row: Mapping[str, Any]) -> Stream:
        peaks = self.results.get("simulation", {}).get("fifos", {})
        fifos = tuple(Fifo(fifo["layer"], fifo["depth"], peaks.get(fifo["name"])) for fifo in row["fifos"])
        # The first frame's; later frames may have one of their own.
        last = row.get("last")
        return Stream(
            row["stream"], row["node"], tuple(row["shape"]), row["format"], row["lanes"], fifos,
            row.get("first"), last[0] if isinstance(last, (list, tuple)) else last,
        )  # fmt: skip


def count(n: float, what: str) -> str:
    """``1 beat``, ``2,000 beats``."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def number(n: float) -> str:
    """With thousands separators, and at most one digit behind the point."""
    return f"{round(n, 1):,.12g}"


def percent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"
