"""What a schedule takes of an FPGA, by estimate: nothing of it needs to be named or rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnn2rtl.estimation import Resources, chain, fifo, unit
from cnn2rtl.graph import QuantGraph
from cnn2rtl.hardware.parts import DESCRIPTIONS
from cnn2rtl.schedule.build import frame_beats, lanes_of
from cnn2rtl.schedule.plan import Schedule


@dataclass(frozen=True)
class Takes:
    """Resources by block, and by the tensor whose FIFOs they are.

    ``unknown`` are the units that nobody has described, which count nothing.
    """

    family: str
    blocks: Mapping[str, Resources]
    streams: Mapping[str, Resources]
    frame_checks: Resources
    unknown: tuple[str, ...] = ()

    @property
    def total(self) -> Resources:
        return sum((*self.blocks.values(), *self.streams.values()), self.frame_checks)


def takes_of(graph: QuantGraph, schedule: Schedule, family: str) -> Takes:
    """What the whole of ``schedule`` takes on FPGAs of a ``family``."""
    foldings = schedule.foldings

    def fifos(name: str) -> Resources:
        bits = lanes_of(graph, graph[name], foldings) * graph[name].out.bits
        return sum((fifo(bits, depth, family) for depth in schedule.streams[name].depths.values()), Resources())

    ends = (
        unit("frame_check", {"BEATS": frame_beats(graph, graph[name], foldings)}, family)
        for name in (*graph.inputs, *graph.outputs)
    )
    modules = {instance.module for block in schedule.blocks for instance in block.instances}
    return Takes(
        family,
        {block.name: chain(block.instances, family) for block in schedule.blocks},
        {node.name: fifos(node.name) for node in graph.nodes},
        sum((resources for resources in ends if resources is not None), Resources()),
        tuple(sorted(modules - DESCRIPTIONS.keys())),
    )
