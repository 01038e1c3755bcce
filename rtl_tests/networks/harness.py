"""From a compiled network to a verdict: emit, build, simulate."""

from __future__ import annotations

from pathlib import Path

from cnn2rtl.images import Pixels
from cnn2rtl.pipeline import Compiled
from cnn2rtl.verify import Engine, Verdict, engine_for, simulate, write_vectors


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

    def run(self, stall: int = 0, seed: int = 1) -> Verdict:
        return simulate(
            self.engine,
            self.folder / "rom",
            self.folder / "sim" / "vectors",
            frames=len(self.images),
            stall=stall,
            seed=seed,
        )

    def complaints(self, stalls: tuple[int, ...], seed: int = 1) -> list[str]:
        """What is wrong: values, or the frame interval where nobody stalls; empty if nothing is."""
        found = []
        predicted = self.compiled.design.schedule.interval
        for stall in (0, *stalls):
            verdict = self.run(stall, seed)
            if not verdict.passed:
                found.append(f"with {stall} % stalls: " + "; ".join(verdict.details[:4]))
            elif stall == 0 and len(self.images) > 1 and verdict.interval != predicted:
                found.append(f"a frame takes {verdict.interval} cycles, {predicted} were predicted")
        return found
