"""Whether a set of foldings fits a device, by the estimate of what its units take, and where its memories lie then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf

from cnn2rtl.devices import Device
from cnn2rtl.estimate import FAMILIES, Resources, fifo
from cnn2rtl.estimate import unit as estimate_unit
from cnn2rtl.graph import QuantGraph
from cnn2rtl.hardware.block import Places
from cnn2rtl.hardware.unit import Folding, Instance, Place, RomFile, ceil_div
from cnn2rtl.schedule.build import build, lanes_into

ROOM = 0.8
"""The share of a device's look-up tables that a design may take: fuller ones are hard to route."""
FIFO_DEPTH = 16
"""Beats of a stream's FIFO before the schedule has computed its depth: on the safe side for most."""
REMEDY = "lower --fps, give fewer bits, prune the network or choose a larger device"
BLOCK_RAMS = "block RAMs"
PRODUCTS = "mac"
"""The role of the unit that multiplies weights and activations."""


@dataclass(frozen=True)
class Fit:
    """``excess`` has a phrase for everything that there is too little of; empty if all fits."""

    places: Places = field(default_factory=dict)
    excess: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Part:
    """A unit of a layer: what it takes, and what with its memory in look-up tables or in block RAM.

    These are ``None`` where that would be the same.
    """

    role: str
    normal: Resources
    in_tables: Resources | None
    in_blocks: Resources | None

    @property
    def price(self) -> float:
        """Look-up tables per block RAM that the tables would save."""
        return inf if self.in_tables is None else _per_block(self.in_tables, self.normal)

    @property
    def worth(self) -> float:
        """Look-up tables per block RAM that the blocks would save."""
        return 0.0 if self.in_blocks is None else _per_block(self.normal, self.in_blocks)


def _per_block(in_tables: Resources, in_blocks: Resources) -> float:
    """How many look-up tables more the one takes, for each block RAM that it takes less."""
    return (in_tables.luts - in_blocks.luts) / (in_blocks.block_rams - in_tables.block_rams)


class Budget:
    """What there is of everything on a ``device``; without one nothing is short."""

    def __init__(self, graph: QuantGraph, device: Device | None) -> None:
        self.graph, self.device = graph, device
        self._layer = lru_cache(maxsize=None)(self._measure)

    def free_dsps(self, foldings: Mapping[str, Folding]) -> int | None:
        """DSP blocks that are left for products of weights and activations; ``None`` where there is no device."""
        if self.device is None:
            return None
        others = sum(part.normal.dsps for _, part in self._parts(foldings) if part.role != PRODUCTS)
        return max(0, self.device.dsps - ceil_div(others, FAMILIES[self.device.family].dsp_units))

    def _parts(self, foldings: Mapping[str, Folding]) -> list[tuple[str, _Part]]:
        """Every unit of every layer, with the layer's name."""
        parts = []
        for node in self.graph.layers:
            lanes = lanes_into(self.graph, node, foldings)
            parts += [(node.name, part) for part in self._layer(node.name, foldings[node.name], lanes)]
        return parts

    def fit(self, foldings: Mapping[str, Folding]) -> Fit:
        """Memories go into look-up tables, those first that cost the fewest, as long as block RAMs are missing.

        Where some are left, those go into block RAM that save the most tables for it: tools put a ROM into tables that
        is small for a block, but by its tables large. It must save more than the device has for each of its blocks.
        """
        device = self.device
        if device is None:
            return Fit()
        family, parts = FAMILIES[device.family], self._parts(foldings)
        total = sum((part.normal for _, part in parts), Resources())
        for node in self.graph.layers:
            for _ in range(self.graph.uses(node.name)):
                total += fifo(foldings[node.name].lanes_out * node.out.bits, FIFO_DEPTH, device.family)
        rams, places = device.rams * family.ram_units, {}
        luts, blocks = total.luts, total.block_rams
        for name, part in sorted(parts, key=lambda entry: entry[1].price):
            if blocks <= rams or part.in_tables is None:
                break
            places[name, part.role] = Place.TABLES
            luts += part.in_tables.luts - part.normal.luts
            blocks -= part.normal.block_rams - part.in_tables.block_rams
        for name, part in sorted(parts, key=lambda entry: -entry[1].worth):
            if part.in_blocks is None or part.worth * rams <= device.luts:
                break
            more = part.in_blocks.block_rams - part.normal.block_rams
            if blocks + more <= rams and (name, part.role) not in places:
                places[name, part.role] = Place.BLOCK
                luts -= part.normal.luts - part.in_blocks.luts
                blocks += more
        rows = (
            ("DSP blocks", total.dsps / family.dsp_units, device.dsps),
            (BLOCK_RAMS, blocks / family.ram_units, device.rams),
            (f"look-up tables, of which at most {ROOM:.0%} should be used", luts, ROOM * device.luts),
        )
        others = f" ({device.unused}, are not used)" if device.unused else ""
        excess = (
            f"about {amount:,.0f} {what}, {amount - there:,.0f} more than the {there:,.0f} of {device.name}"
            f"{others if what == BLOCK_RAMS else ''}; {REMEDY}"
            for what, amount, there in rows
            if amount > there
        )
        return Fit(places, tuple(excess))

    def _measure(self, name: str, folding: Folding, lanes: tuple[int, ...]) -> tuple[_Part, ...]:
        unit = build(self.graph, self.graph[name], folding, lanes)
        return tuple(self._part(instance) for instance in unit.instances)

    def _part(self, instance: Instance) -> _Part:
        device = self.device
        assert device is not None

        def placed(where: Place) -> Resources:
            parameters = {**instance.typical, "PLACE": where}
            return estimate_unit(instance.module, parameters, device.family) or Resources()

        normal = estimate_unit(instance.module, instance.typical, device.family) or Resources()
        if not instance.memory_bits and not any(isinstance(value, RomFile) for value in instance.parameters.values()):
            return _Part(instance.role, normal, None, None)
        in_tables = placed(Place.TABLES) if device.distributed_ram_bits else normal
        in_blocks = placed(Place.BLOCK)
        return _Part(
            instance.role,
            normal,
            in_tables if in_tables.block_rams < normal.block_rams else None,
            in_blocks if in_blocks.block_rams > normal.block_rams else None,
        )
