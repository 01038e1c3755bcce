"""From a compiled network to a verdict: emit, build, simulate."""

from __future__ import annotations

from pathlib import Path

from cnn2rtl.compiled import Compiled
from cnn2rtl.images import Pixels
from cnn2rtl.verify import Engine, Verdict, engine_for, missed, simulate, write_vectors


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

        Where they come as fast as they are taken, frames may be done sooner but not later.
        """
        design, frames = self.compiled.design, len(self.images)
        schedule = design.schedule
        runs = {"at the frame interval": self.run(), "at full speed": self.run(paced=0)}
        runs |= {f"with {stall} % stalls": self.run(stall, seed) for stall in stalls}
        found = [f"{how}: " + "; ".join(run.details[:4]) for how, run in runs.items() if not run.passed]
        if found:
            return found
        paced, fast, *_ = runs.values()
        found += missed(paced, design.streams, frames=frames, interval=schedule.interval, latency=schedule.latency)
        if fast.latency > schedule.latency:
            found.append(f"latency at full speed: {fast.latency} cycles, above the {schedule.latency} predicted")
        # A frame that is done sooner is farther from the next one: what counts is when the last one is done.
        if fast.end > paced.end:
            found.append(f"at full speed all is over in cycle {fast.end}, {paced.end} was predicted")
        for fifo in design.fifos:
            peak = max(run.peaks[fifo.name] for run in runs.values())
            if peak > fifo.depth:
                found.append(f"{fifo.name}: {peak} beats in a FIFO of {fifo.depth}")
        return found
