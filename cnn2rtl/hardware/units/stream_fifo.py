"""``stream_fifo``, between two units and at the end of a stream, and the ``frame_check`` beside it."""

from __future__ import annotations

from dataclasses import replace

from cnn2rtl.hardware.parts import Memory, Parameters, Parts, clog2, describes
from cnn2rtl.hardware.timing import FIFO
from cnn2rtl.hardware.unit import Instance


def fifo(role: str, bits: int, depth: int = 2) -> Instance:
    """A FIFO between two units of a layer."""
    parameters = {"WIDTH": bits, "DEPTH": depth}
    return Instance(role, "stream_fifo", parameters, bits, bits, FIFO, depth * bits)


def with_depth(fifo: Instance, depth: int) -> Instance:
    """The same FIFO with room for ``depth`` beats."""
    return replace(fifo, parameters={**fifo.parameters, "DEPTH": depth}, memory_bits=depth * fifo.in_bits)


@describes("stream_fifo")
def stream_fifo_parts(p: Parameters) -> Parts:
    depth = p["DEPTH"]
    features = {"one": 1, "address": clog2(depth), "count": clog2(depth + 1)}
    return Parts(features, (Memory(p["WIDTH"], depth, True, p.place),))


@describes("frame_check")
def frame_check_parts(p: Parameters) -> Parts:
    return Parts({"one": 1, "count": clog2(p["BEATS"])})
