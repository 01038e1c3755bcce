"""RTL against golden model: feed frames, read the testbench's verdict."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cnn2rtl.errors import UserError
from cnn2rtl.verify.engine import ENGINES, Engine

# A simulator that goes on without a ROM file has proven nothing.
_TROUBLE = re.compile(r"readmem|cannot open|too few pixels", re.IGNORECASE)
_NUMBERS = re.compile(r"latency (\d+), interval (\d+)")


@dataclass(frozen=True)
class Verdict:
    """``passed`` only if every value of every layer was equal. ``latency`` and ``interval`` in cycles.

    ``interval`` is 0 for a single frame. ``details`` are the testbench's own lines on what went wrong,
    the first differing layer, pixel and channel among them.
    """

    passed: bool
    latency: int
    interval: int
    details: tuple[str, ...]


def engine_for(name: str, folder: Path, work: Path) -> Engine:
    """The engine ``name`` for the project in ``folder``."""
    if name not in ENGINES:
        raise UserError(f"--engine {name}: the engines are {', '.join(sorted(ENGINES))}")
    sources = sorted((folder / "sim").glob("*.v")) + sorted((folder / "rtl").glob("*.v"))
    return ENGINES[name](sources, work)


def simulate(
    engine: Engine,
    rom: Path,
    vectors: Path,
    *,
    frames: int,
    stall: int = 0,
    seed: int = 1,
    waves: Path | None = None,
    on_row: Callable[[int], None] = lambda done: None,
) -> Verdict:
    """Run the built ``engine`` on ``frames`` frames of ``vectors``; ``on_row`` hears how many input rows are in.

    ``stall`` is the percentage of cycles in which either side pauses.
    """
    plusargs = [f"+vectors={vectors.resolve()}", f"+frames={frames}", f"+stall={stall}", f"+seed={seed}"]
    if waves is not None:
        plusargs.append(f"+waves={waves.resolve()}")
    return read_verdict(engine.run(rom, *plusargs), on_row)


def read_verdict(lines: Iterable[str], on_row: Callable[[int], None] = lambda done: None) -> Verdict:
    """The verdict in what the testbench printed."""
    passed, ended, trouble, latency, interval = False, False, False, 0, 0
    details: list[str] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "ROW":
            on_row(int(rest))
        elif word == "PASS":
            passed = ended = True
            numbers = _NUMBERS.search(line)
            assert numbers is not None
            latency, interval = int(numbers[1]), int(numbers[2])
        elif word != "FRAME" and "$finish" not in line:
            trouble = trouble or _TROUBLE.search(line) is not None
            ended = ended or word == "FAIL"
            details.append(line)
    if not ended:
        details.append("the simulator ended without a verdict")
    return Verdict(passed and not trouble, latency, interval, tuple(details))
