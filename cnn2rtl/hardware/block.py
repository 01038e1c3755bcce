"""What the schedule places, the design instantiates, the testbench taps and the report draws: a block.

A block is a module between streams that carries out one or more layers. A streaming unit is the block of one layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, NamedTuple

from cnn2rtl.hardware.timing import FIFO, Beats, fifo_depth
from cnn2rtl.hardware.unit import Folding, Instance, Place, Rom, Unit
from cnn2rtl.hardware.units import with_depth
from cnn2rtl.quant.qformat import IntArray

Places = Mapping[tuple[str, str], Place]
"""By block and role of a unit in it: where its memory lies, if not where the unit itself has it."""


class Port(NamedTuple):
    """Where a stream ends: an input of a block, by its number; without a block, an output of the network."""

    block: str = ""
    number: int = 0


@dataclass(frozen=True)
class Timed:
    """A block, fitted, and when its beats move: those of what each of its layers makes, by the layer's name; and those
    that it takes from the FIFO at each of its inputs. Cycles, (beats,) each.
    """

    block: Block
    moved: Mapping[str, IntArray]
    taken: Sequence[IntArray]


@dataclass(frozen=True)
class Stage:
    """A unit in its block's module, between the streams ``takes`` and ``to`` there (the prefixes of their wires)."""

    instance: Instance
    takes: tuple[str, ...]
    to: str

    def taken(self, wire: str) -> str:
        """Its connection to the ``wire`` (``valid``, ``ready``, ``data``) of all that it takes, the first lowest."""
        names = [f"{stream}_{wire}" for stream in reversed(self.takes)]
        return names[0] if len(names) == 1 else f"{{{', '.join(names)}}}"


@dataclass(frozen=True, eq=False)
class Block(ABC):
    """Hardware for ``layers``, in the order of the data, named as the model names them.

    ``sources`` are the tensors that it takes, a stream each, and ``results`` those that leave it as streams: tensors
    go by the name of the layer or input that makes them.
    """

    template: ClassVar[str]
    """Of its module."""

    name: str
    layers: tuple[str, ...]
    sources: tuple[str, ...]
    results: tuple[str, ...]

    @property
    @abstractmethod
    def foldings(self) -> Mapping[str, Folding]:
        """How each of the layers is folded, by its name: how many lanes its streams have, too."""

    @property
    @abstractmethod
    def cycles(self) -> int:
        """Its own frame interval, in clock cycles."""

    @property
    @abstractmethod
    def multipliers(self) -> int:
        """Multipliers of weights with activations."""

    @property
    @abstractmethod
    def products(self) -> int:
        """Multiplications of these that are meant for a DSP block each."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """One line for the head of the emitted file: what is computed, and how it is folded."""

    @property
    @abstractmethod
    def instances(self) -> tuple[Instance, ...]:
        """All of its units."""

    @property
    @abstractmethod
    def roms(self) -> Mapping[str, Rom]:
        """Its ROM files, by the end of their names."""

    @property
    @abstractmethod
    def expected(self) -> Block:
        """What stands for it in a timetable and an estimate before its weights are known."""

    @abstractmethod
    def placed(self, places: Places) -> Block:
        """The block with its memories where they are to lie."""

    @abstractmethod
    def timed(self, sources: Sequence[IntArray], pace: Mapping[str, int]) -> Timed:
        """What happens when the beats that it takes enter their FIFOs at ``sources``, and nothing behind it is full.

        Whoever takes a result needs ``pace`` cycles for each of its pixels; there is no use in being faster.
        """

    @property
    def memory_bits(self) -> int:
        """Bits of its line buffers and the like; ROMs are counted by themselves."""
        return sum(instance.memory_bits for instance in self.instances)


@dataclass(frozen=True, eq=False)
class Streaming(Block):
    """The block of one layer: its units in a row, each fed by the one before it."""

    template: ClassVar[str] = "design/layer.v.j2"

    folding: Folding
    unit: Unit

    @classmethod
    def of(cls, layer: str, sources: tuple[str, ...], folding: Folding, unit: Unit) -> Streaming:
        """The block that carries out ``layer`` and is called after it."""
        return cls(layer, (layer,), sources, (layer,), folding, unit)

    @property
    def foldings(self) -> Mapping[str, Folding]:
        return {self.name: self.folding}

    @property
    def cycles(self) -> int:
        return self.folding.cycles

    @property
    def multipliers(self) -> int:
        return self.folding.multipliers

    @property
    def products(self) -> int:
        return self.folding.blocks

    @property
    def summary(self) -> str:
        return self.unit.summary

    @property
    def instances(self) -> tuple[Instance, ...]:
        return self.unit.instances

    @property
    def roms(self) -> Mapping[str, Rom]:
        return self.unit.roms

    def stages(self, ports: Sequence[str]) -> tuple[Stage, ...]:
        """Its units in the order of the data, from the streams whose wires begin with ``ports`` to ``m``."""
        found, ends = [], []
        for port, adapters in zip(ports, self._ways, strict=True):
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

    @property
    def expected(self) -> Streaming:
        return replace(self, unit=replace(self.unit, chain=tuple(it.expected for it in self.unit.chain)))

    def placed(self, places: Places) -> Streaming:
        def place(instance: Instance) -> Instance:
            where = places.get((self.name, instance.role))
            if where is None:
                return instance
            return replace(instance, parameters={**instance.parameters, "PLACE": int(where)})

        adapters = tuple(tuple(map(place, chain)) for chain in self.unit.adapters)
        return replace(self, unit=replace(self.unit, chain=tuple(map(place, self.unit.chain)), adapters=adapters))

    def timed(self, sources: Sequence[IntArray], pace: Mapping[str, int]) -> Timed:
        unit = self.unit
        ways = [_way(times, chain) for times, chain in zip(sources, self._ways, strict=True)]
        join = unit.chain[0].join
        streams = [ways[0][-1] if join is None else Beats(join.merge([way[-1].times for way in ways]))]
        held_up: Callable[[IntArray], Beats] = partial(FIFO.held_up, Beats(sources[0]))
        chain: list[Instance] = []
        for instance in unit.chain:
            chain.append(instance.fitted(streams[-1], held_up, pace[self.name]))
            held_up = partial(chain[-1].timing.held_up, streams[-1])
            streams.append(chain[-1].timing(streams[-1]))
        released = None
        for instance, offered in zip(reversed(chain), reversed(streams[:-1]), strict=True):
            released = instance.timing.taken(offered, released)
        moves = streams[0].times if released is None else released
        adapters, taken = unit.adapters, [moves]
        if join is not None:
            fitted = [_adapted(*each) for each in zip(self._ways, ways, join.split(moves), strict=True)]
            adapters, taken = tuple(chain for chain, _ in fitted), [times for _, times in fitted]
        block = replace(self, unit=replace(unit, chain=tuple(chain), adapters=adapters))
        return Timed(block, {self.name: streams[-1].times}, taken)

    @property
    def _ways(self) -> tuple[tuple[Instance, ...], ...]:
        """What stands before the chain, at each input."""
        return self.unit.adapters or ((),) * len(self.sources)


def _way(times: IntArray, adapters: Iterable[Instance]) -> list[Beats]:
    """When beats that enter their FIFO at ``times`` are offered to each of ``adapters``, and behind them all."""
    streams = [FIFO(Beats(times))]
    for instance in adapters:
        streams.append(instance.timing(streams[-1]))
    return streams


def _adapted(
    adapters: tuple[Instance, ...], way: Sequence[Beats], moves: IntArray
) -> tuple[tuple[Instance, ...], IntArray]:
    """The adapters at one of several inputs, fitted, and when they take its beats, which move behind them at ``moves``.

    The FIFO after a gearbox gets as many places as let no beat wait before it.
    """
    if not adapters:
        return (), moves
    gearbox, fifo = adapters
    before = gearbox.timing.taken(way[0], None)
    return (gearbox, with_depth(fifo, fifo_depth(way[1].times, moves))), way[0].times if before is None else before
