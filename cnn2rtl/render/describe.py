"""What ``design.json`` says of a design."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from cnn2rtl import schema
from cnn2rtl.design import Design, Layer, Module, Stream
from cnn2rtl.devices import Device
from cnn2rtl.estimation import FAMILIES, Resources
from cnn2rtl.hardware.block import Block
from cnn2rtl.quant.qformat import QFormat
from cnn2rtl.schedule.resources import Takes, takes_of
from cnn2rtl.version import __version__

REFERENCE_FAMILY = "xc7"
"""The FPGA family that a design without a device is estimated for."""


@dataclass(frozen=True)
class Facts:
    """What a design does not tell: what the user chose, what the integers were fitted to, what should be known.

    The design is for ``device``, if one was named, and for a clock of ``clock_mhz``.
    """

    options: schema.Options
    calibration: str
    notes: tuple[str, ...]
    clock_mhz: float
    device: Device | None

    @property
    def family(self) -> str:
        """Of the FPGAs for which it is told what the design takes."""
        return self.device.family if self.device else REFERENCE_FAMILY


def description(design: Design, facts: Facts) -> schema.About:
    """The contents of ``design.json``: all that later commands and other programs need to know."""
    graph, schedule = design.graph, design.schedule
    takes = takes_of(graph, schedule, facts.family)
    macs = sum(node.op.macs(graph.shapes(node)) for node in graph.layers)
    total = describe_resources(takes.total, facts.family)
    return schema.About(
        format=schema.FORMAT,
        generator=f"cnn2rtl {__version__}",
        name=design.name,
        options=facts.options,
        calibration=facts.calibration,
        notes=facts.notes,
        clock_mhz=facts.clock_mhz,
        interval=schedule.interval,
        latency=schedule.latency,
        multipliers=schedule.multipliers,
        dsp_multipliers=schedule.products,
        macs=macs,
        mac_efficiency=round(schedule.mac_efficiency(macs), 6),
        rom_bits=sum(len(rom.words) * rom.width for block in schedule.blocks for rom in block.roms.values()),
        buffer_bits=sum(fifo.depth * stream.bits for stream in design.streams for fifo in stream.fifos)
        + sum(block.memory_bits for block in schedule.blocks),
        estimate=schema.Estimate(
            luts=total.luts, flip_flops=total.flip_flops, dsps=total.dsps, rams=total.rams,
            logic_cells=total.logic_cells, family=facts.family,
            unknown=takes.unknown,
        ),
        roms={
            name: schema.Rom(words=len(rom.words), width=rom.width)
            for module in design.modules
            for name, rom in module.roms.items()
        },
        inputs=tuple(describe_stream(stream) for stream in design.inputs),
        outputs=graph.outputs,
        blocks=tuple(describe_block(module, takes) for module in design.modules),
        layers=tuple(describe_layer(layer, design) for layer in design.layers),
        device=describe_device(facts.device) if facts.device else None,
    )  # fmt: skip


def describe_device(device: Device) -> schema.Device:
    """What the design is for, and what that has."""
    return schema.Device(
        device.name, device.family, device.luts, device.flip_flops, device.dsps, device.rams,
        tuple(schema.LargeRam(**asdict(ram)) for ram in device.large_rams), device.logic_cells,
    )  # fmt: skip


def describe_block(module: Module, takes: Takes) -> schema.Block:
    block = module.block
    resources = sum((takes.streams[stream.node] for stream in module.results), takes.blocks[block.name])
    return schema.Block(
        name=block.name,
        module=module.name,
        layers=block.layers,
        summary=block.summary,
        multipliers=block.multipliers,
        cycles=block.cycles,
        memory=describe_memory(block),
        resources=describe_resources(resources, takes.family),
    )


def describe_layer(layer: Layer, design: Design) -> schema.Layer:
    node, folding = layer.node, layer.folding
    stream = describe_stream(layer.out)
    return schema.Layer(
        **{name: getattr(stream, name) for name in stream.__struct_fields__},
        inputs=node.inputs,
        block=layer.module.block.name,
        kind=node.op.kind,
        pe=folding.pe,
        simd=folding.simd,
        taps=folding.taps,
        multipliers=folding.multipliers,
        style=folding.style.name.lower() if folding.multiplies else "",
        cycles=folding.cycles,
        macs=node.op.macs(design.graph.shapes(node)),
        accumulator_bits=node.layer.acc_bits if node.layer and node.layer.requant else 0,
    )


def describe_resources(resources: Resources, family: str) -> schema.Resources:
    """An estimate in the devices' own units: on Xilinx devices, a block RAM has two halves."""
    units = FAMILIES[family]
    return schema.Resources(
        luts=round(resources.luts),
        flip_flops=round(resources.flip_flops),
        dsps=resources.dsps / units.dsp_units,
        rams=resources.block_rams / units.ram_units,
        logic_cells=round(resources.cells),
    )


def describe_memory(block: Block) -> schema.Memory:
    """Bits of the block's ROMs and of its line buffers and the like."""
    bits = {role: len(rom.words) * rom.width for role, rom in block.roms.items()}
    weights = bits.pop("weights", 0)
    return schema.Memory(weights=weights, parameters=sum(bits.values()), buffers=block.memory_bits)


def describe_stream(stream: Stream) -> schema.Stream:
    return schema.Stream(
        stream=stream.name,
        node=stream.node,
        shape=stream.shape,
        format=describe_format(stream.format),
        lanes=stream.lanes,
        beats=stream.frame_beats,
        fifos=tuple(
            schema.Fifo(name=fifo.name, block=fifo.port.block, input=fifo.port.number, depth=fifo.depth)
            for fifo in stream.fifos
        ),
        first=stream.traffic.first,
        last=stream.traffic.last,
    )


def describe_format(q: QFormat) -> schema.Format:
    scales = q.scales.tolist()
    scale = tuple(scales) if isinstance(scales, list) else scales
    return schema.Format(name=str(q), scale=scale, bits=q.bits, signed=q.signed, lo=q.lo, hi=q.hi, zero=q.zero)
