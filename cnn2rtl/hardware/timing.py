"""When beats move: the exact cycle of every beat of a stream, unit by unit.

A unit moves a beat per cycle at most, and a beat leaves some fixed cycles after the last beat that it is made of: so
the cycle of a beat is a maximum of sums, ``max(cycle of what it needs + latency, cycle of the beat before + 1)``. Such
systems are linear in the algebra of maximum and plus (Baccelli, Cohen, Olsder, Quadrat: Synchronization and Linearity,
1992), and a recurrence like the one above is a running maximum, which numpy computes for whole frames at once.

All cycles count from the first beat of the network's input, which moves in cycle 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cnn2rtl.hardware.window import Window
from cnn2rtl.quant.qformat import IntArray

ALWAYS = -(1 << 62)
"""A cycle before all others."""


def one_by_one(earliest: IntArray, apart: int | IntArray = 1) -> IntArray:
    """When beats move, (beats,), each no earlier than ``earliest`` and ``apart`` cycles after the one before it."""
    offset = np.arange(earliest.size) * apart if isinstance(apart, int) else np.cumsum(apart)
    return _running_maximum(earliest - offset) + offset


def _running_maximum(values: IntArray) -> IntArray:
    result: IntArray = np.maximum.accumulate(values)
    return result


@dataclass(frozen=True, eq=False)
class Beats:
    """The cycle in which each beat of a stream moves, in runs: most beats follow another at once.

    Run i has ``length`` beats (or ``length[i]``), the first in cycle ``start[i]``, the others ``step`` cycles apart.
    """

    start: IntArray
    length: int | IntArray = 1
    step: int = 1

    @cached_property
    def count(self) -> int:
        return self.start.size * self.length if isinstance(self.length, int) else int(self.length.sum())

    @cached_property
    def times(self) -> IntArray:
        """Beat by beat, (beats,)."""
        return self.at(np.arange(self.count))

    def at(self, beat: IntArray) -> IntArray:
        """The cycles of some beats, by number."""
        if isinstance(self.length, int):
            if self.length == 1:
                return self.start[beat]
            run, within = beat // self.length, beat % self.length
        else:
            ends = np.cumsum(self.length)
            run = np.searchsorted(ends, beat, "right")
            within = beat - ends[run] + self.length[run]
        return self.start[run] + within * self.step


class Timing(ABC):
    """How a unit delays a stream."""

    @abstractmethod
    def __call__(self, offered: Beats) -> Beats:
        """When beats leave that are ``offered`` to the unit, if the next unit takes each as soon as it is there."""

    def held_up(self, offered: Beats, released: IntArray) -> Beats:
        """The same if the next unit takes no beat before it is ``released``, (beats out,)."""
        return Beats(one_by_one(np.maximum(self(offered).times, released)))

    def taken(self, offered: Beats, released: IntArray | None) -> IntArray | None:
        """When the unit takes the beats that are ``offered``, (beats in,); ``None``: each at once.

        The next unit takes no beat before it is ``released``, (beats out,); ``None``: it takes each at once. By
        default a unit waits with the next one and holds nothing meanwhile, which errs on the side of waiting.
        """
        if released is None:
            return None
        share = -(-offered.count // released.size)
        return one_by_one(np.maximum(offered.times, np.repeat(released, share)[: offered.count]))


class Join(ABC):
    """How a unit takes the beats of several streams, as if they were one."""

    @abstractmethod
    def merge(self, offered: Sequence[IntArray]) -> IntArray:
        """When the merged beats move at the earliest, given when those of each stream are offered, (beats,) each."""

    @abstractmethod
    def split(self, moved: IntArray) -> tuple[IntArray, ...]:
        """When the beats of each stream are taken if the merged ones are in the cycles ``moved``."""


@dataclass(frozen=True)
class Together(Join):
    """A beat of each of so many ``streams`` at once."""

    streams: int

    def merge(self, offered: Sequence[IntArray]) -> IntArray:
        return one_by_one(np.maximum.reduce(list(offered)))

    def split(self, moved: IntArray) -> tuple[IntArray, ...]:
        return (moved,) * self.streams


@dataclass(frozen=True)
class InTurn(Join):
    """So many ``beats`` of one stream after those of the other, again and again."""

    beats: tuple[int, ...]

    def merge(self, offered: Sequence[IntArray]) -> IntArray:
        pixels = [times.reshape(-1, beats) for times, beats in zip(offered, self.beats, strict=True)]
        return one_by_one(np.concatenate(pixels, 1).ravel())

    def split(self, moved: IntArray) -> tuple[IntArray, ...]:
        pixels = moved.reshape(-1, sum(self.beats))
        return tuple(part.ravel() for part in np.split(pixels, np.cumsum(self.beats)[:-1], 1))


@dataclass(frozen=True)
class Pipeline(Timing):
    """A beat for every ``group`` of beats, ``latency`` cycles after the last of them."""

    latency: int
    group: int = 1

    def __call__(self, offered: Beats) -> Beats:
        return Beats(offered.at(np.arange(self.group - 1, offered.count, self.group)) + self.latency)


@dataclass(frozen=True)
class Picked(Timing):
    """A beat for each of those to ``keep``, in groups of as many; the others are taken and dropped."""

    keep: tuple[bool, ...]

    LATENCY = 1

    @cached_property
    def _kept(self) -> IntArray:
        return np.flatnonzero(self.keep)

    def __call__(self, offered: Beats) -> Beats:
        groups = np.arange(offered.count // len(self.keep))[:, None] * len(self.keep)
        return Beats(offered.at((groups + self._kept).ravel()) + self.LATENCY)

    def taken(self, offered: Beats, released: IntArray | None) -> IntArray | None:
        if released is None:
            return None
        # A beat waits as the one that is kept next, those at the end as the last one.
        turn = np.searchsorted(self._kept, np.arange(len(self.keep))).clip(max=self._kept.size - 1)
        waits = released.reshape(-1, self._kept.size)[:, turn].ravel()
        return one_by_one(np.maximum(offered.times, waits))


def reduction(terms: int, beats: int) -> Pipeline:
    """A tree of two-input units over the ``terms`` of a beat, a register after every level, then one over ``beats``."""
    return Pipeline(1 + max(1, (terms - 1).bit_length()), beats)


@dataclass(frozen=True)
class Tiles(Timing):
    """A beat for every beat of a tile's last pixel, of maps of ``size`` (h, w) with ``folds`` beats per pixel."""

    size: tuple[int, int]
    tile: tuple[int, int]
    folds: int

    LATENCY = 3

    def __call__(self, offered: Beats) -> Beats:
        (h, w), (ty, tx) = self.size, self.tile
        maps = offered.times.reshape(-1, h, w, self.folds)
        return Beats(maps[:, ty - 1 : h // ty * ty : ty, tx - 1 : w // tx * tx : tx].ravel() + self.LATENCY)


@dataclass(frozen=True)
class Gearbox(Timing):
    """Groups of ``count`` elements, ``lanes_in`` per beat in and ``lanes_out`` per beat out."""

    count: int
    lanes_in: int
    lanes_out: int

    LATENCY = 1

    @property
    def beats_in(self) -> int:
        """Per group."""
        return -(-self.count // self.lanes_in)

    @property
    def beats_out(self) -> int:
        """Per group."""
        return -(-self.count // self.lanes_out)

    @cached_property
    def _completes(self) -> IntArray:
        """Which beat in completes each beat out of a group, (beats out,)."""
        ends = np.minimum((np.arange(self.beats_out) + 1) * self.lanes_out, self.count)
        return -(-ends // self.lanes_in) - 1

    @cached_property
    def _left(self) -> IntArray:
        """How many beats out, of this group and those before it, must have left when a beat in is taken, (beats in,).

        Negative numbers count beats of the group before.
        """
        if self.count <= self.lanes_in or self.lanes_in % self.lanes_out == 0:
            # Each beat in is made of whole beats out: it is held, and the next one taken with its last.
            return np.searchsorted(self._completes, np.arange(self.beats_in))
        unit = int(np.gcd(self.lanes_in, self.lanes_out))
        units_in, units_out = self.lanes_in // unit, self.lanes_out // unit
        hold = -(-(units_out - 1 + units_in) // units_out) * units_out * unit
        after = (np.arange(self.beats_in) + 1) * self.lanes_in
        after[-1] = self.beats_out * self.lanes_out
        return -((hold - after) // self.lanes_out)

    def __call__(self, offered: Beats) -> Beats:
        if self._at_its_pace(offered):
            return Beats(offered.start + self.LATENCY, offered.length * offered.step)
        return Beats(self._moves(offered.times, None)[1])

    def held_up(self, offered: Beats, released: IntArray) -> Beats:
        return Beats(self._moves(offered.times, released)[1])

    def taken(self, offered: Beats, released: IntArray | None) -> IntArray | None:
        if released is None and self._at_its_pace(offered):
            return None
        taken = self._moves(offered.times, released)[0]
        return None if np.array_equal(taken, offered.times) else taken

    def _at_its_pace(self, offered: Beats) -> bool:
        """Whether each beat in is a group, offered when the beats out of the one before have left."""
        return self.count == self.lanes_in and offered.step == -(-self.count // self.lanes_out)

    def _moves(self, offered: IntArray, released: IntArray | None) -> tuple[IntArray, IntArray]:
        """When beats are taken, (beats in,), and when they leave, (beats out,)."""
        groups = np.arange(offered.size // self.beats_in)[:, None]
        completes = (groups * self.beats_in + self._completes).ravel()
        left = (groups * self.beats_out + self._left).ravel()
        leaves = one_by_one(offered[completes] + self.LATENCY)
        # Each depends on the other; the least solution is reached from below.
        while True:
            moved = np.concatenate([[ALWAYS], leaves])[np.maximum(left, 0)]
            taken = one_by_one(np.maximum(offered, moved))
            ready = taken[completes] + self.LATENCY
            before, leaves = leaves, one_by_one(ready if released is None else np.maximum(ready, released))
            if np.array_equal(leaves, before):
                return taken, leaves


@dataclass(frozen=True)
class Replay(Timing):
    """Vectors of ``words`` beats, each shown ``repeat`` times."""

    words: int
    repeat: int

    LATENCY = 2

    @property
    def vectors(self) -> int:
        """How many find room: two, and more where they are so short that two do not cover the unit's latency."""
        shown = self.words * self.repeat
        return 2 + (8 // shown if shown < 8 else 0)

    def __call__(self, offered: Beats) -> Beats:
        # The repetitions follow the last word at once.
        length = np.ones(self.words, np.int64)
        length[-1] += self.words * (self.repeat - 1)
        lengths = np.tile(length, offered.count // self.words)
        apart = np.concatenate([[0], lengths[:-1]])
        return Beats(one_by_one(offered.times + self.LATENCY, apart), lengths)

    def taken(self, offered: Beats, released: IntArray | None) -> IntArray | None:
        shown = self(offered)
        assert isinstance(shown.length, np.ndarray)
        # The places of a vector are free again when its last word is shown for the last time.
        free = (shown.start + shown.length - 1)[self.words - 1 :: self.words]
        room = np.concatenate([np.full(self.vectors, ALWAYS), free])[: free.size]
        return one_by_one(np.maximum(offered.times, np.repeat(room, self.words)))


class Rows(Timing):
    """Of a unit that keeps ``rows`` rows of its map, and begins pixels ``spacing`` cycles apart at least."""

    rows: int
    spacing: int

    @abstractmethod
    def fitted(self, offered: Beats, held_up: Callable[[IntArray], Beats], pace: int) -> Rows:
        """The same for a layer that takes a pixel in ``pace`` cycles, with as few rows as will do for none to wait.

        ``held_up`` tells when the pixels are ``offered`` if they are not taken before given cycles, (beats,).
        """


@dataclass(frozen=True)
class Windows(Rows):
    """A line buffer of ``rows`` rows for maps of ``size`` (h, w).

    Pixels come in ``pixel_beats`` beats, windows leave in ``window_beats``. The next unit takes ``slices`` cycles over
    each of those. Windows begin ``spacing`` cycles apart at least.
    """

    window: Window
    size: tuple[int, int]
    pixel_beats: int
    window_beats: int
    slices: int = 1
    spacing: int = 1
    rows: int = 1

    LATENCY = 5
    STAGES = 4
    """Of the pipeline that reads: where a beat waits at its end, it stands still with all gaps in it."""

    def __call__(self, offered: Beats) -> Beats:
        complete = offered.times[self.pixel_beats - 1 :: self.pixel_beats].reshape(-1, self.size[0] * self.size[1])
        ready = complete[:, self._last].ravel() + self.LATENCY
        if 1 < self.slices < self.STAGES and self.spacing == 1:
            starts = self._with_waits(ready.tolist())
        else:
            starts = one_by_one(ready, max(self.window_beats * self.slices, self.spacing))
        return Beats(starts, self.window_beats, self.slices)

    def taken(self, offered: Beats, released: IntArray | None) -> IntArray | None:
        return one_by_one(np.maximum(offered.times, self._room(self(offered).start)))

    def fitted(self, offered: Beats, held_up: Callable[[IntArray], Beats], pace: int) -> Windows:
        """The same for a layer that takes a window in ``pace`` cycles, with as few rows as will do for none to wait.

        ``held_up`` tells when the pixels are ``offered`` if they are not taken before given cycles, (beats,).
        Windows keep their distance only where that leaves time to empty the pipeline: else it would cost cycles.
        """
        least = max(self.window_beats * self.slices, (self.window_beats - 1) * self.slices + self.STAGES)
        spaced = replace(self, spacing=pace if pace >= least else 1)
        starts = spaced(offered).start
        # With fewer, a window's last pixel finds no room before the window has left.
        rows = max(self.window.reach[0], -(-int((self._last - self._kept).max() + 1) // self.size[1]))
        while True:
            buffer = replace(spaced, rows=rows)
            if np.array_equal(buffer(held_up(buffer._room(starts))).start, starts):
                return buffer
            rows += 1

    @cached_property
    def _last(self) -> IntArray:
        return self.window.last_pixels(*self.size)

    @cached_property
    def _kept(self) -> IntArray:
        return self.window.kept_pixels(*self.size)

    def _room(self, starts: IntArray) -> IntArray:
        """From when on there is room for each beat of the pixels, given when the windows leave."""
        # A window gives up pixels as its last beat is read, which is known a cycle after the pipeline moves again.
        beats = self.window_beats - self.STAGES
        known = starts + beats + 1 + (self.slices - 1) * max(0, beats)
        frame = self.size[0] * self.size[1]
        frames = starts.size // self._kept.size
        # Pixels before this one may come; the first entry is what holds before any window has left.
        limit = self.rows * self.size[1] + (np.arange(frames)[:, None] * frame + self._kept).ravel()
        limit = np.append(limit, self.rows * self.size[1] + frames * frame + self._kept[0])
        # It falls back by the padding on the left where windows enter the map: what is certain is what remains.
        limit = np.minimum.accumulate(limit[::-1])[::-1]
        window = np.searchsorted(limit, np.arange(frames * frame), "right")
        return np.repeat(np.concatenate([[ALWAYS], known])[window], self.pixel_beats)

    def _with_waits(self, ready: Iterable[int]) -> IntArray:
        """When the first beat of each window leaves, where every beat waits for the last slice of the one before.

        While it does, no other may enter the pipeline, and one that comes just then leaves later than it could.
        (With as many slices as stages, it would have had to wait for them anyway.) ``ready`` is when the first beat of
        each window would leave if nothing ahead of it waited.
        """
        # When the last slots of the pipeline left, beats or gaps, the latest first.
        slots, starts = [-self.STAGES - slot for slot in range(self.STAGES)], []
        for moment in ready:
            earliest = moment - self.STAGES
            # What enters as a slot leaves is so many slots behind it.
            behind = self.STAGES - sum(earliest <= slot for slot in slots[1:]) + max(0, earliest - slots[0])
            gaps = [slots[0] + gap for gap in range(behind - 1, max(behind - self.STAGES, 0), -1)]
            slots = [slots[0] + max(behind, self.slices), *gaps, *slots][: self.STAGES]
            starts.append(slots[0])
            # The window's other beats follow without a gap.
            last = slots[0] + (self.window_beats - 1) * self.slices
            slots = [*range(last, slots[0], -self.slices)[: self.STAGES], *slots][: self.STAGES]
        return np.array(starts, np.int64)


FIFO = Pipeline(2)
"""A stream FIFO that is never full."""


def fifo_depth(pushed: IntArray, taken: IntArray) -> int:
    """Places in a stream FIFO with which no beat waits for one, given when beats come, and when they are taken."""
    # A beat moves from memory to the output when that is free; its place is seen to be free a cycle later.
    popped = np.maximum(pushed + 1, np.concatenate([[0], taken[:-1]]))
    waiting = np.arange(1, pushed.size + 1) - np.searchsorted(popped, pushed, "left")
    return max(2, int(waiting.max()))
