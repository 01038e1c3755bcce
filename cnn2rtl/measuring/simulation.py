"""The design against its golden model, in a simulator: value by value, cycle by cycle."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from cnn2rtl import schema
from cnn2rtl.design import Stream
from cnn2rtl.errors import Problems, UserError
from cnn2rtl.images import Channels, Fit
from cnn2rtl.limits import too_many
from cnn2rtl.measuring.opening import Design, as_project, given_images_of, opened, preparation
from cnn2rtl.output import few, listed_files, tidy_errors
from cnn2rtl.pictures import Preparation
from cnn2rtl.project import Project, record
from cnn2rtl.quantise.calibrate import Progress, silent
from cnn2rtl.reading import readable
from cnn2rtl.rom_files import wrong_roms
from cnn2rtl.tensors import Codes
from cnn2rtl.verify import Verdict, engine_for, in_layers, missed, write_vectors
from cnn2rtl.verify import simulate as run_simulation
from cnn2rtl.workspace import NEW, own_folder, workspace


@dataclass(frozen=True, eq=False, repr=False)
class Simulation:
    """What a simulation showed of ``frames`` frames of ``data``, and how the simulator was driven.

    ``values`` were compared, of ``layers`` layers. ``wrong_cycles`` tells, a line each, what moved in another cycle
    than was predicted; with stalls nothing is. ``predicted_latency`` and ``predicted_interval`` are in cycles.
    """

    name: str
    engine: str
    data: str
    frames: int
    stall: int
    seed: int
    layers: int
    values: int
    verdict: Verdict
    wrong_cycles: tuple[str, ...]
    predicted_latency: int
    predicted_interval: int

    def __repr__(self) -> str:
        what = "PASS" if self.passed else f"FAIL, {self.details[0] if self.details else 'no verdict'}"
        interval = f", frame interval {self.interval:,}" if self.interval else ""
        return (
            f"<Simulation of {self.name!r}: {what}; {self.values:,} values of {self.frames} frames, latency "
            f"{self.latency:,}{interval} cycles>"
        )

    @property
    def passed(self) -> bool:
        """Whether every value was the golden model's and, without stalls, moved in the cycle that was predicted."""
        return self.verdict.passed and not self.wrong_cycles

    @property
    def details(self) -> tuple[str, ...]:
        """What went wrong, in lines; empty where nothing did."""
        return () if self.passed else self.wrong_cycles or self.verdict.details

    @property
    def latency(self) -> int:
        """Cycles from the first pixel of the first frame to its last result."""
        return self.verdict.latency

    @property
    def interval(self) -> int:
        """Cycles from the end of the last frame but one to that of the last; 0 for a single frame."""
        return self.verdict.interval

    def recorded(self) -> schema.Simulation:
        """For ``design.json``."""
        return schema.Simulation(
            engine=self.engine,
            frames=self.frames,
            data=self.data,
            stall=self.stall,
            seed=self.seed,
            values=self.values,
            passed=self.passed,
            details=self.details,
            latency=self.latency,
            interval=self.interval,
            streams={name: schema.Beats(**asdict(seen)) for name, seen in self.verdict.streams.items()},
            fifos=dict(self.verdict.peaks),
        )


def simulate(
    design: Design,
    images: Any = None,
    *,
    engine: str = "icarus",
    frames: int | None = None,
    stall: int = 0,
    seed: int = 1,
    fit: Fit | None = None,
    channels: Channels | None = None,
    waves: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> Simulation:
    """Simulate ``design`` and compare every value of every layer with the golden model.

    It is a folder, an open project or a compiled design, and is fed ``images``: a path or several as
    :func:`cnn2rtl.images.load_images` takes them, raw pixels (n, h, w, c) of 0 to 255 (or what else the input takes)
    or, of several inputs, a mapping from their names to such arrays; noise if ``None``. ``fit`` and ``channels`` say
    how picture files are prepared, if not as :func:`cnn2rtl.compile` was told. ``frames`` is how many are fed, over
    again where there are fewer (all, or 2 of noise); ``stall`` the percentage of cycles, 0 to 95, in which either side
    pauses, decided by ``seed``. ``engine`` is icarus or verilator; ``waves`` a file for icarus to write waves (VCD) to.
    ``progress`` hears how far it is. A project keeps the result for its report.

    Hardware that differs is no error but a result: see :attr:`Simulation.passed`. Raises :class:`cnn2rtl.UserError`,
    with a line for everything that speaks against running it.
    """
    with as_project(design) as place:
        bench = prepare(
            place, images, engine=engine, frames=frames, stall=stall, seed=seed, fit=fit, channels=channels,
            waves=waves,
        )  # fmt: skip
        return bench.run(progress)


@dataclass(frozen=True, eq=False)
class Bench:
    """A project, and ``pixels`` of ``data`` to feed it: all that is needed is here."""

    project: Project
    engine: str
    pixels: Codes
    data: str
    stall: int
    seed: int
    waves: Path | None

    @property
    def streams(self) -> tuple[Stream, ...]:
        return tuple(self.project.streams.values())

    def run(self, progress: Progress = silent) -> Simulation:
        """Simulate, and keep the result in the project."""
        project, frames = self.project, len(self.pixels)
        verdict = self._verdict(progress)
        wrong: tuple[str, ...] = ()
        if verdict.passed and not self.stall:
            wrong = missed(
                verdict, self.streams, frames=frames, interval=project.interval, latency=project.latency
            )  # fmt: skip
        layers = [stream for stream in self.streams if stream.node not in project.graph.inputs]
        found = Simulation(
            name=project.about.name, engine=self.engine, data=self.data, frames=frames, stall=self.stall,
            seed=self.seed, layers=len(layers), values=frames * sum(prod(stream.shape) for stream in layers),
            verdict=verdict, wrong_cycles=wrong, predicted_latency=project.latency,
            predicted_interval=project.interval,
        )  # fmt: skip
        record(project.folder, simulation=found.recorded())
        return found

    def _verdict(self, progress: Progress) -> Verdict:
        project, frames = self.project, len(self.pixels)
        rom = project.folder / "rom"
        rows = frames * next(iter(project.graph.inputs.values()))[1]
        with tidy_errors(project.folder):
            # Two runs at the same time do not build in the same place.
            place = own_folder(project.folder / "sim" / "build", self.engine)
        with place as build, workspace(Path(tempfile.gettempdir()), "vectors") as folder:
            engine = engine_for(self.engine, project.folder, build)
            vectors, done = folder / NEW, 0

            def computed() -> None:
                nonlocal done
                done += 1
                progress("golden model", done, frames)

            try:
                write_vectors(vectors, project.graph, project.streams, self.pixels, computed)
            except OSError as error:
                raise UserError(f"{folder}: the test vectors cannot be written ({error.strerror})") from None
            progress(f"building ({self.engine})", 0, 0)
            engine.build()
            verdict = run_simulation(
                engine, rom if rom.is_dir() else project.folder, vectors, frames=frames, stall=self.stall,
                seed=self.seed, waves=self.waves, on_row=lambda done: progress("simulating rows", done, rows),
            )  # fmt: skip
        return in_layers(verdict, self.streams)


def prepare(
    design: str | os.PathLike[str] | Project,
    images: Any,
    *,
    engine: str,
    frames: int | None,
    stall: int,
    seed: int,
    fit: Fit | None,
    channels: Channels | None,
    waves: str | os.PathLike[str] | None,
) -> Bench:
    """A bench as :func:`simulate` has it; raises one :class:`UserError` for all that speaks against running it."""
    problems = Problems()
    project: Project | None = None
    file: Path | None = None
    with problems.gather():
        project = opened(design)
        problems.found += _unfit(project)
    problems.found += _wrong_numbers(frames, stall, seed)
    with problems.gather():
        folder = Path() if project is None else project.folder
        engine_for(engine, folder, folder / "sim" / "build" / engine)
    if waves is not None:
        with problems.gather():
            file = _waves_file(Path(waves), engine)
    sources = list(images) if isinstance(images, (list, tuple)) else [] if images is None else [images]
    how = Preparation() if project is None else preparation(project, fit, channels)
    graph = None if project is None else project.graph
    sets: list[Codes] = []
    for source in sources:
        with problems.gather():
            found = given_images_of("images", source, graph, how, frames)
            sets += [] if found is None else [found.images]
    if project is not None and not problems.found:
        with problems.gather():
            pixels = _frames(project, sets, frames, seed)
    problems.check()
    assert project is not None
    return Bench(project, engine, pixels, _data(sources), stall, seed, file)


def _wrong_numbers(frames: int | None, stall: int, seed: int) -> list[str]:
    found = []
    if frames is not None and frames < 1:
        found.append(f"`frames={frames}`: at least 1 is expected")
    if not 0 <= stall <= 95:
        found.append(f"`stall={stall}`: a percentage from 0 to 95 is expected")
    if not 0 <= seed < 1 << 31:
        found.append(f"`seed={seed}`: 0 to {(1 << 31) - 1} is expected")
    return found


def _unfit(project: Project) -> list[str]:
    """What of a project is not as it must be to be simulated; a simulator's own words for that are hard to read."""
    parts, folder = ("rom/", "rtl/", "sim/testbench.v", "sim/stream_"), project.folder
    missing = [path for path in listed_files(folder) if path.startswith(parts) and not (folder / path).is_file()]
    if missing:
        return [f"{folder}: {few(missing)} missing; generate the project again"]
    return [
        f"{folder}: {misfit}; generate the project again" for misfit in wrong_roms(folder / "rom", project.about.roms)
    ]


def _frames(project: Project, sets: Sequence[Codes], count: int | None, seed: int) -> Codes:
    """What to feed: noise where there are no images, and images again where there are too few."""
    shapes = project.graph.inputs
    excess = too_many(count or 0, (sum(prod(shape) for shape in shapes.values()),))
    if excess:
        raise UserError(f"`frames={count}`: {excess}")
    if not sets:
        return project.graph.noise(count or 2, seed)
    pixels = np.concatenate(sets)
    return pixels if count is None else pixels[np.arange(count) % len(pixels)]


def _data(sources: Sequence[Any]) -> str:
    """What is fed, in a word."""
    files = [readable(Path(source).resolve().name) for source in sources if isinstance(source, (str, os.PathLike))]
    return few(files) or ("arrays" if sources else "noise")


def _waves_file(waves: Path, engine: str) -> Path:
    """Where the simulator will put its waves, if nothing speaks against it."""
    if engine != "icarus":
        raise UserError(f'`waves={waves}`: {engine} is built without waves here; use `engine="icarus"`')
    # Icarus appends this by itself.
    waves = waves if waves.suffix or waves.is_dir() else waves.with_suffix(".vcd")
    place = waves if waves.exists() else waves.absolute().parent
    if waves.is_dir() or not os.access(place, os.R_OK | os.W_OK):
        raise UserError(f"`waves={waves}`: cannot be written; name a file in a folder that exists")
    if waves.is_file():
        with waves.open("rb") as file:
            if file.read(1) not in (b"", b"$"):
                raise UserError(f"`waves={waves}`: exists and holds no waves; it stays as it is: name another file")
    return waves
