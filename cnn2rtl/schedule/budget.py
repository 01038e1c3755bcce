"""Whether a design fits a device, by the estimate of what its units take, and where its memories lie then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf

from cnn2rtl.devices import Device, load
from cnn2rtl.estimation import FAMILIES, Resources, fifo
from cnn2rtl.estimation import unit as estimate_unit
from cnn2rtl.graph import QuantGraph
from cnn2rtl.hardware.block import Block, Places
from cnn2rtl.hardware.unit import Folding, Instance, ParameterValue, Place, RomFile
from cnn2rtl.schedule.build import build, frame_beats, lanes_into, lanes_of
from cnn2rtl.schedule.refusal import Resource, Shortfall

ROOM = 0.8
"""The share of a device's look-up tables that a design may take: fuller ones are hard to route."""
CELL_ROOM = 0.9
"""The share of its logic cells, in families where a look-up table, a flip-flop and a carry share one."""
FIFO_DEPTH = 2
"""Beats of a stream's FIFO until the timetable tells: most need no more."""
REFERENCE = "xc7a35t"
"""What things are worth where no device is named."""


@dataclass(frozen=True)
class Part:
    """A unit of a layer, as the estimate knows it, on an FPGA of a ``family`` with memory in look-up ``tables`` or not.

    Where nothing of it is a memory, it is not ``movable``.
    """

    layer: str
    role: str
    module: str
    parameters: Mapping[str, ParameterValue]
    family: str
    movable: bool
    tables: bool

    @cached_property
    def normal(self) -> Resources:
        """What it takes with its memory where the unit itself has it."""
        return estimate_unit(self.module, self.parameters, self.family) or Resources()

    @cached_property
    def in_tables(self) -> Resources | None:
        """What it takes with its memory in look-up tables; ``None`` where that saves no block RAM."""
        found = self._at(Place.TABLES) if self.movable and self.tables else self.normal
        return found if found.block_rams < self.normal.block_rams else None

    @cached_property
    def in_blocks(self) -> Resources | None:
        """The same with its memory in block RAM; ``None`` where it is there anyway."""
        found = self._at(Place.BLOCK) if self.movable else self.normal
        return found if found.block_rams > self.normal.block_rams else None

    @property
    def price(self) -> float:
        """Look-up tables per block RAM that the tables would save."""
        return inf if self.in_tables is None else _per_block(self.in_tables, self.normal)

    @property
    def worth(self) -> float:
        """Look-up tables per block RAM that the blocks would save."""
        return 0.0 if self.in_blocks is None else _per_block(self.normal, self.in_blocks)

    def placed(self, where: Place | None) -> Resources:
        """What it takes there; ``None``: where the unit itself has its memory."""
        return self.normal if where is None else self._at(where)

    def pruned(self, share: float) -> Part:
        """The same with a share of the words of weights."""
        words = self.parameters.get("WEIGHT_WORDS")
        if not isinstance(words, int):
            return self
        return replace(self, parameters={**self.parameters, "WEIGHT_WORDS": max(1, round(share * words))})

    def _at(self, where: Place) -> Resources:
        return estimate_unit(self.module, {**self.parameters, "PLACE": where}, self.family) or Resources()


def _per_block(in_tables: Resources, in_blocks: Resources) -> float:
    """How many look-up tables more the one takes, for each block RAM that it takes less."""
    return (in_tables.luts - in_blocks.luts) / (in_blocks.block_rams - in_tables.block_rams)


@dataclass(frozen=True)
class Need:
    """What a design takes: its units, whose memories may be moved, and the ``rest``, which is as it is."""

    parts: tuple[Part, ...]
    rest: Resources

    @cached_property
    def total(self) -> Resources:
        """Before any memory is moved."""
        return self.placed({})

    def pruned(self, share: float) -> Need:
        """About what it takes with a share of the weights."""
        return replace(self, parts=tuple(part.pruned(share) for part in self.parts))

    def placed(self, places: Places) -> Resources:
        """With memories where ``places`` have them."""
        return sum((part.placed(places.get((part.layer, part.role))) for part in self.parts), self.rest)


@dataclass(frozen=True)
class Fit:
    """Where memories lie, and what there is too little of all the same: nothing, if all fits.

    Where memories had to move into look-up tables, and those are short for it, ``moved`` tells how many are needed.
    """

    places: Places = field(default_factory=dict)
    shortfalls: tuple[Shortfall, ...] = ()
    moved: Shortfall | None = None

    @property
    def excess(self) -> float:
        """How many times too large it is in the worst respect; 1 if it fits."""
        return max((s.times for s in (*self.shortfalls, *((self.moved,) if self.moved else ()))), default=1.0)


class Budget:
    """What there is of everything on a ``device``; without one nothing is short."""

    def __init__(self, graph: QuantGraph, device: Device | None) -> None:
        self.graph, self.limits = graph, device
        self.device = device or load()[REFERENCE]
        self.family = FAMILIES[self.device.family]
        self.rams = self.device.rams * self.family.ram_units
        self._parts: dict[tuple[str, Folding, tuple[int, ...]], tuple[Part, ...]] = {}
        self._buffers = Resources()

    def cost(self, layer: str, folding: Folding, lanes: tuple[int, ...], both: bool) -> tuple[int, float]:
        """What a layer takes of DSP blocks, in the family's units, and of look-up tables, or cells where there are any.

        If ``both``, a block RAM counts as many of those as the device has for each.
        """
        total = sum((part.normal for part in self._layer(layer, folding, lanes)), Resources())
        logic = total.cells or total.luts
        return total.dsps, logic + both * total.block_rams * self.device.luts / self.rams

    def priced(self, foldings: Mapping[str, Folding]) -> Need:
        """What a design of a block per layer takes, as far as is known before there is a timetable."""
        parts: list[Part] = []
        for node in self.graph.layers:
            parts += self._layer(node.name, foldings[node.name], lanes_into(self.graph, node, foldings))
        return Need(tuple(parts), self._between(foldings, self._shallow) + self._buffers)

    def timed(self, blocks: Sequence[Block], depths: Mapping[str, Sequence[int]]) -> Need:
        """What a design takes of which everything is known; ``depths`` are those of every tensor's FIFOs.

        From now on, the same layers and FIFOs are priced at this.
        """
        foldings = {name: folding for block in blocks for name, folding in block.foldings.items()}
        known = {block: tuple(self._part(block.name, it, it.facts) for it in block.instances) for block in blocks}
        for block, parts in known.items():
            folding = block.foldings[block.name]
            self._parts[block.name, folding, lanes_into(self.graph, self.graph[block.name], foldings)] = parts
        need = Need(tuple(part for parts in known.values() for part in parts), self._between(foldings, depths))
        self._buffers = _most(self._buffers, need.rest, self._between(foldings, self._shallow))
        return need

    @cached_property
    def _shallow(self) -> Mapping[str, Sequence[int]]:
        """The depths of every tensor's FIFOs, one for each layer that takes it and each output, before they are known.

        They are those of most.
        """
        taken = Counter((*self.graph.outputs, *(name for node in self.graph.layers for name in node.inputs)))
        return {name: (FIFO_DEPTH,) * count for name, count in taken.items()}

    def _between(self, foldings: Mapping[str, Folding], depths: Mapping[str, Sequence[int]]) -> Resources:
        """What takes the FIFOs of all streams, and the check of frames at the ends."""
        total, family = Resources(), self.device.family
        for node in self.graph.nodes:
            bits = lanes_of(self.graph, node, foldings) * node.out.bits
            for depth in depths.get(node.name, ()):
                total += fifo(bits, depth, family)
            for _ in range((not node.inputs) + self.graph.outputs.count(node.name)):
                beats = frame_beats(self.graph, node, foldings)
                total += estimate_unit("frame_check", {"BEATS": beats}, family) or Resources()
        return total

    def fit(self, need: Need) -> Fit:
        """Memories go into look-up tables, those first that cost the fewest, as long as block RAMs are missing.

        Where some are left, those go into block RAM that save the most tables for it: tools put a ROM into tables that
        is small for a block, but by its tables large. It must save more than the device has for each of its blocks.
        """
        if self.limits is None:
            return Fit()
        total = need.total
        places: dict[tuple[str, str], Place] = {}
        blocks = total.block_rams
        for part in sorted(need.parts, key=lambda part: part.price):
            if blocks <= self.rams or part.in_tables is None:
                break
            places[part.layer, part.role] = Place.TABLES
            blocks -= part.normal.block_rams - part.in_tables.block_rams
        for part in sorted(need.parts, key=lambda part: -part.worth):
            if part.in_blocks is None or part.worth * self.rams <= self.device.luts:
                break
            added = part.in_blocks.block_rams - part.normal.block_rams
            if blocks + added <= self.rams and (part.layer, part.role) not in places:
                places[part.layer, part.role] = Place.BLOCK
                blocks += added
        placed = need.placed(places)
        short = self._short(placed)
        if not short:
            return Fit(places)
        # What is short before anything is moved is the cause; what moving would take, its consequence.
        causes = self._short(total)
        tables = next((s for s in short if s.resource is Resource.LUTS), None)
        missing = any(s.resource is Resource.BLOCK_RAMS for s in causes) and Place.TABLES in places.values()
        return Fit(places, causes or short, tables if missing else None)

    def _short(self, total: Resources) -> tuple[Shortfall, ...]:
        device, family = self.device, self.family
        rows = (
            Shortfall(Resource.DSPS, total.dsps / family.dsp_units, device.dsps),
            Shortfall(Resource.BLOCK_RAMS, total.block_rams / family.ram_units, device.rams),
            Shortfall(Resource.LUTS, total.luts, ROOM * device.luts),
            Shortfall(Resource.FLIP_FLOPS, total.flip_flops, device.flip_flops),
            Shortfall(Resource.CELLS, total.cells, CELL_ROOM * device.luts),
        )
        return tuple(row for row in rows if row.needed > row.there)

    def _layer(self, name: str, folding: Folding, lanes: tuple[int, ...]) -> tuple[Part, ...]:
        key = name, folding, lanes
        if key not in self._parts:
            unit = build(self.graph, self.graph[name], folding, lanes)
            self._parts[key] = tuple(self._part(name, instance, instance.typical) for instance in unit.instances)
        return self._parts[key]

    def _part(self, layer: str, it: Instance, parameters: Mapping[str, ParameterValue]) -> Part:
        movable = bool(it.memory_bits) or any(isinstance(value, RomFile) for value in it.parameters.values())
        tables = self.device.distributed_ram_bits > 0
        return Part(layer, it.role, it.module, parameters, self.device.family, movable, tables)


def _most(known: Resources, deep: Resources, shallow: Resources) -> Resources:
    """The most that deep FIFOs were found to take more than shallow ones."""
    return Resources(
        max(known.luts, deep.luts - shallow.luts),
        max(known.flip_flops, deep.flip_flops - shallow.flip_flops),
        0,
        max(known.block_rams, deep.block_rams - shallow.block_rams),
        max(known.cells, deep.cells - shallow.cells),
    )
