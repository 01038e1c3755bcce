"""From a compiled network to a verdict: emit, build, simulate."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from cnn2rtl.compiled import Compiled
from cnn2rtl.images import Pixels
from cnn2rtl.verify import Engine, Verdict, engine_for, missed, simulate, write_vectors


class Verilated:
    """Verilator's own library, which is the same for every design: compiled with the first, and only linked by others.

    It takes as long to compile as a small design.
    """

    def __init__(self) -> None:
        # Removed with this object.
        self._kept = tempfile.TemporaryDirectory()

    @contextmanager
    def lent(self, work: Path) -> Iterator[None]:
        """What is built in ``work`` meanwhile finds the library compiled, or leaves it for others."""
        kept, folder = Path(self._kept.name), work / "verilated"
        folder.mkdir(parents=True, exist_ok=True)
        for compiled in kept.iterdir():
            shutil.copy(compiled, folder)
        yield
        for compiled in folder.glob("verilated*.o"):
            shutil.copy(compiled, kept)


VERILATED = Verilated()


class Bench:
    """A project in ``folder``, built, with golden vectors of ``images``."""

    def __init__(self, compiled: Compiled, images: Pixels, folder: Path, engine: str = "icarus") -> None:
        self.compiled, self.images = compiled, images
        compiled.write(folder, force=True)
        streams = {stream.node: stream for stream in compiled.design.streams}
        write_vectors(folder / "sim" / "vectors", compiled.graph, streams, images)
        self._build(folder, engine)

    def elsewhere(self, folder: Path) -> Bench:
        """The same with the project as it lies in ``folder``."""
        copy = object.__new__(Bench)
        copy.compiled, copy.images = self.compiled, self.images
        copy._build(folder, self.engine.name)
        return copy

    def _build(self, folder: Path, engine: str) -> None:
        self.folder = folder
        self.engine: Engine = engine_for(engine, folder, folder / "sim" / "build" / engine)
        with VERILATED.lent(self.engine.work) if engine == "verilator" else nullcontext():
            self.engine.build()

    def run(self, stall: int = 0, seed: int = 1, paced: int | None = None) -> Verdict:
        return simulate(
            self.engine,
            self.folder / "rom",
            self.folder / "sim" / "vectors",
            frames=len(self.images),
            paced=paced,
            stall=stall,
            seed=seed,
        )

    def complaints(self, stalls: tuple[int, ...], seed: int = 1) -> list[str]:
        """What is wrong, empty if nothing is: values; cycles, where pixels come evenly at the frame interval.

        Where they come as fast as they are taken, frames may be done sooner but not later. The first run with a wrong
        value is the last one.
        """
        design, frames = self.compiled.design, len(self.images)
        schedule = design.schedule
        ways = {"at the frame interval": (0, seed, None), "at full speed": (0, seed, 0)}
        ways |= {f"with {stall} % stalls": (stall, seed, None) for stall in stalls}
        runs: list[Verdict] = []
        for how, way in ways.items():
            runs.append(self.run(*way))
            if not runs[-1].passed:
                return [f"{how}: " + "; ".join(runs[-1].details[:4])]
        paced, fast, *_ = runs
        found = list(missed(paced, design.streams, frames=frames, interval=schedule.interval, latency=schedule.latency))
        if fast.latency > schedule.latency:
            found.append(f"latency at full speed: {fast.latency} cycles, above the {schedule.latency} predicted")
        # A frame that is done sooner is farther from the next one: what counts is when the last one is done.
        if fast.end > paced.end:
            found.append(f"at full speed all is over in cycle {fast.end}, {paced.end} was predicted")
        for fifo in design.fifos:
            peak = max(run.peaks[fifo.name] for run in runs)
            if peak > fifo.depth:
                found.append(f"{fifo.name}: {peak} beats in a FIFO of {fifo.depth}")
        return found
