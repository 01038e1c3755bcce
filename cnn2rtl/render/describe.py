"""The contents of ``design.json``: the design for later commands and other programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from cnn2rtl.design import Design, Stream
from cnn2rtl.devices import Device
from cnn2rtl.estimate import FAMILIES, Resources
from cnn2rtl.hardware.block import Block
from cnn2rtl.quant.qformat import QFormat
from cnn2rtl.schedule.resources import takes_of
from cnn2rtl.version import __version__


def describe_format(q: QFormat) -> dict[str, object]:
    facts = {"bits": q.bits, "signed": q.signed, "lo": q.lo, "hi": q.hi, "zero": q.zero}
    return {"name": str(q), "scale": q.scales.tolist(), **facts}


REFERENCE_FAMILY = "xc7"
"""The FPGA family that a design without a device is estimated for."""


def description(
    design: Design, facts: Mapping[str, object], device: Device | None, clock_mhz: float
) -> dict[str, object]:
    """The contents of ``design.json``: all that later commands and other programs need to know."""
    family = device.family if device else REFERENCE_FAMILY
    graph, schedule = design.graph, design.schedule
    takes = takes_of(graph, schedule, family)
    macs = sum(node.op.macs(graph.shapes(node)) for node in graph.layers)
    return {
        "generator": f"cnn2rtl {__version__}",
        "name": design.name,
        **facts,
        "clock_mhz": clock_mhz,
        **({"device": describe_device(device)} if device else {}),
        "interval": schedule.interval,
        "latency": schedule.latency,
        "multipliers": schedule.multipliers,
        "dsp_multipliers": schedule.products,
        "macs": macs,
        "mac_efficiency": round(schedule.mac_efficiency(macs), 6),
        "rom_bits": sum(len(rom.words) * rom.width for block in schedule.blocks for rom in block.roms.values()),
        "roms": {
            name: {"words": len(rom.words), "width": rom.width}
            for module in design.modules
            for name, rom in module.roms.items()
        },
        "buffer_bits": sum(fifo.depth * stream.bits for stream in design.streams for fifo in stream.fifos)
        + sum(block.memory_bits for block in schedule.blocks),
        "estimate": {"family": family, **describe_resources(takes.total, family), "unknown": list(takes.unknown)},
        "inputs": [describe_stream(stream) for stream in design.inputs],
        "outputs": list(graph.outputs),
        "layers": [
            {
                **describe_stream(layer.out),
                "inputs": list(layer.node.inputs),
                "kind": layer.node.op.kind,
                "summary": layer.module.block.summary,
                "pe": layer.folding.pe,
                "simd": layer.folding.simd,
                "taps": list(layer.folding.taps),
                "multipliers": layer.folding.multipliers,
                "style": layer.folding.style.name.lower() if layer.folding.multiplies else "",
                "cycles": layer.folding.cycles,
                "macs": layer.node.op.macs(graph.shapes(layer.node)),
                "accumulator_bits": layer.node.layer.acc_bits if layer.node.layer and layer.node.layer.requant else 0,
                "memory": describe_memory(layer.module.block),
                "resources": describe_resources(
                    takes.blocks[layer.module.block.name] + takes.streams[layer.out.node], family
                ),
            }
            for layer in design.layers
        ],
    }


def describe_device(device: Device) -> dict[str, object]:
    """What the design is for, and what that has."""
    counts = {"luts": device.luts, "flip_flops": device.flip_flops, "dsps": device.dsps, "rams": device.rams}
    return {"name": device.name, "family": device.family, **counts, "large_rams": list(map(asdict, device.large_rams))}


def describe_resources(resources: Resources, family: str) -> dict[str, float]:
    """An estimate in the devices' own units: on Xilinx devices, a block RAM has two halves."""
    units = FAMILIES[family]
    return {
        "luts": round(resources.luts),
        "flip_flops": round(resources.flip_flops),
        "dsps": resources.dsps / units.dsp_units,
        "rams": resources.block_rams / units.ram_units,
    }


def describe_memory(block: Block) -> dict[str, int]:
    """Bits of the block's ROMs and of its line buffers and the like."""
    bits = {role: len(rom.words) * rom.width for role, rom in block.roms.items()}
    weights = bits.pop("weights", 0)
    return {"weights": weights, "parameters": sum(bits.values()), "buffers": block.memory_bits}


def describe_stream(stream: Stream) -> dict[str, object]:
    return {
        "stream": stream.name,
        "node": stream.node,
        "shape": list(stream.shape),
        "format": describe_format(stream.format),
        "lanes": stream.lanes,
        "beats": stream.frame_beats,
        "fifos": [
            {"name": fifo.name, "layer": fifo.port.block, "input": fifo.port.number, "depth": fifo.depth}
            for fifo in stream.fifos
        ],
        "first": stream.traffic.first,
        "last": list(stream.traffic.last),
    }
