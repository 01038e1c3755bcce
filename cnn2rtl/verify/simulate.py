"""RTL against golden model: feed frames, read the testbench's verdict."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cnn2rtl.design import Stream
from cnn2rtl.errors import UserError
from cnn2rtl.schedule import Traffic
from cnn2rtl.verify.engine import ENGINES, Engine

# A simulator that goes on without a ROM file, or with a part of its words, has proven nothing.
_TROUBLE = re.compile(r"readmem|excess hex|cannot open|too few pixels", re.IGNORECASE)
_NUMBERS = re.compile(r"latency (\d+), interval (\d+)")
_STREAM = re.compile(r"STREAM (\w+) first (\d+) last (\d+) interval (\d+) waits (\d+)")
_FIFO = re.compile(r"FIFO (\w+) peak (\d+)")
_WRONG = re.compile(r"(?<=^WRONG layer )\w+")


@dataclass(frozen=True)
class Measured:
    """What the testbench saw of a stream, in cycles since the first beat of the network's input.

    Its first frame's ``first`` and ``last`` beat moved in these cycles, the last two frames ended an ``interval``
    apart (0 for a single frame), and a beat waited for room in a FIFO in so many cycles.
    """

    first: int
    last: int
    interval: int
    waits: int


@dataclass(frozen=True)
class Verdict:
    """``passed`` only if every value of every layer was equal. ``latency`` and ``interval`` in cycles.

    ``interval`` is 0 for a single frame, and ``end`` the cycle since the first beat in which the last frame is over.
    ``details`` are the testbench's own lines on what went wrong, the first differing layer, pixel and channel among
    them. ``streams`` go by their names in the design, and so do ``peaks``, the most beats that each FIFO held.
    """

    passed: bool
    latency: int
    interval: int
    end: int
    details: tuple[str, ...]
    streams: Mapping[str, Measured]
    peaks: Mapping[str, int]


def engine_for(name: str, folder: Path, work: Path) -> Engine:
    """The engine ``name`` for the project in ``folder``."""
    if name not in ENGINES:
        raise UserError(f"`engine={name}`: the engines are {', '.join(sorted(ENGINES))}")
    sources = sorted((folder / "sim").glob("*.v")) + sorted((folder / "rtl").glob("*.v"))
    return ENGINES[name](sources, work)


def simulate(
    engine: Engine,
    rom: Path,
    vectors: Path,
    *,
    frames: int,
    paced: int | None = None,
    stall: int = 0,
    seed: int = 1,
    waves: Path | None = None,
    on_row: Callable[[int], None] = lambda done: None,
) -> Verdict:
    """Run the built ``engine`` on ``frames`` frames of ``vectors``; ``on_row`` hears how many input rows are in.

    Pixels of the first ``paced`` frames come evenly at the frame interval, as the predictions have it, those of the
    others as fast as they are taken; by default of all frames, or of none where ``stall`` is not 0: that is the
    percentage of cycles in which either side pauses.
    """
    plusargs = [f"+vectors={vectors.resolve()}", f"+frames={frames}", f"+stall={stall}", f"+seed={seed}"]
    if paced is not None:
        plusargs.append(f"+paced={paced}")
    if waves is not None:
        plusargs.append(f"+waves={waves.resolve()}")
    return read_verdict(engine.run(rom, *plusargs), on_row)


def read_verdict(lines: Iterable[str], on_row: Callable[[int], None] = lambda done: None) -> Verdict:
    """The verdict in what the testbench printed."""
    passed, ended, trouble, latency, interval, end = False, False, False, 0, 0, 0
    details: list[str] = []
    streams: dict[str, Measured] = {}
    peaks: dict[str, int] = {}
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "ROW":
            on_row(int(rest))
        elif word == "END":
            end = int(rest)
        elif found := _STREAM.match(line):
            streams[found[1]] = Measured(*map(int, found.groups()[1:]))
        elif found := _FIFO.match(line):
            peaks[found[1]] = int(found[2])
        elif word == "PASS":
            passed = ended = True
            numbers = _NUMBERS.search(line)
            assert numbers is not None
            latency, interval = map(int, numbers.groups())
        elif word != "FRAME" and "$finish" not in line:
            trouble = trouble or _TROUBLE.search(line) is not None
            ended = ended or word == "FAIL"
            details.append(line)
    if not ended:
        details.append("the simulator ended without a verdict")
    return Verdict(passed and not trouble, latency, interval, end, tuple(details), streams, peaks)


def in_layers(verdict: Verdict, streams: Iterable[Stream]) -> Verdict:
    """The verdict in whose details layers are called as in the network; the testbench knows its streams alone."""
    nodes = {stream.name: stream.node for stream in streams}
    details = (_WRONG.sub(lambda found: nodes.get(found[0], found[0]), line) for line in verdict.details)
    return replace(verdict, details=tuple(details))


def missed(verdict: Verdict, streams: Sequence[Stream], *, frames: int, interval: int, latency: int) -> tuple[str, ...]:
    """Where a run of ``frames`` paced frames differs from what was predicted; empty if nowhere.

    Predicted are the cycles of the ``streams``, and the ``latency`` and frame ``interval``.
    """
    found: list[str] = []
    outputs = [stream.traffic for stream in streams if any(not fifo.port.block for fifo in stream.fifos)]

    def compare(what: str, measured: int, predicted: int) -> None:
        if measured != predicted:
            found.append(f"{what}: {measured:,} cycles, {predicted:,} were predicted")

    for stream in streams:
        traffic, measured = stream.traffic, verdict.streams[stream.name]
        compare(f"{stream.node}, first beat", measured.first, traffic.first)
        compare(f"{stream.node}, end of the first frame", measured.last, traffic.end(1, interval))
        compare(f"{stream.node}, waiting for its FIFO", measured.waits, 0)
        if frames > 1:
            compare(f"{stream.node}, last frame", measured.interval, traffic.apart(frames, interval))
    compare("latency", verdict.latency, latency)
    if frames > 1:
        compare("frame interval", verdict.interval, _apart(outputs, frames, interval))
    return tuple(found)


def _apart(outputs: Sequence[Traffic], frame: int, interval: int) -> int:
    """Cycles from the end of the frame before to that of this one, which ends with the last of the ``outputs``."""
    last, before = (max(traffic.end(number, interval) for traffic in outputs) for number in (frame, frame - 1))
    return last - before
