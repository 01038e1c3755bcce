"""What the design takes of an FPGA and, placed and routed, how fast it is there."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cnn2rtl.errors import Problems, UserError
from cnn2rtl.measuring.opening import Design, as_project, opened
from cnn2rtl.project import Project, record
from cnn2rtl.quantise.calibrate import Progress, silent
from cnn2rtl.synthesis import SynthResult, Target, Tool, target_for, tool_for
from cnn2rtl.synthesis.nextpnr import nextpnr_for


def synth(
    design: Design,
    *,
    device: str | None = None,
    family: str | None = None,
    tool: str = "yosys",
    pnr: bool = False,
    mhz: float = 100.0,
    seed: int = 1,
    progress: Progress = silent,
) -> SynthResult:
    """Synthesise ``design``, a folder, an open project or a compiled design, for an FPGA.

    That is a ``device`` (one of :func:`cnn2rtl.known_devices`, by name), against which it is held, or a ``family`` of
    them; xc7 if neither is given. With ``pnr`` it is placed and routed too, on a device, for a clock of ``mhz``, and
    ``seed`` decides the placement. ``progress`` hears what the tool is at. A project keeps the result for its report.

    Raises :class:`cnn2rtl.UserError`, with a line for everything that is wrong, and
    :class:`cnn2rtl.synthesis.SynthesisError`, which is one as well, for a design that cannot be synthesised as it is
    meant.
    """
    with as_project(design) as place:
        run = prepare(place, device=device, family=family, tool=tool, pnr=pnr, mhz=mhz, seed=seed)
        return run.run(progress)


@dataclass(frozen=True, eq=False)
class Run:
    """A project and the ``tool`` for it: all that is needed is here. Without ``mhz``, nothing is placed."""

    project: Project
    target: Target
    tool: Tool
    mhz: float | None
    seed: int

    def run(self, progress: Progress = silent) -> SynthResult:
        """Synthesise, and keep the result in the project."""

        def on_stage(stage: str) -> None:
            progress(stage, 0, 0)

        if self.mhz is None:
            result = self.tool.synthesise(on_stage)
        else:
            result = self.tool.place_and_route(self.mhz, self.seed, on_stage)
        record(self.project.folder, synthesis=result.recorded())
        return result


def prepare(
    design: str | os.PathLike[str] | Project,
    *,
    device: str | None,
    family: str | None,
    tool: str,
    pnr: bool,
    mhz: float,
    seed: int,
) -> Run:
    """A run as :func:`synth` has it; raises one :class:`UserError` for all that speaks against it."""
    problems = Problems()
    project: Project | None = None
    target: Target | None = None
    runner: Tool | None = None
    with problems.gather():
        project = opened(design)
    with problems.gather():
        target = target_for(device, family)
    if pnr and target is not None:
        with problems.gather():
            nextpnr_for(target)
    with problems.gather():
        _check(mhz, seed)
    if project is not None and target is not None:
        with problems.gather():
            runner = tool_for(tool, project, target)
    problems.check()
    assert project is not None and target is not None and runner is not None
    return Run(project, target, runner, mhz if pnr else None, seed)


def _check(mhz: float, seed: int) -> None:
    found = []
    if not 1 <= mhz <= 1000:
        found.append(f"`mhz={mhz}`: 1 to 1000 is expected")
    if not 0 <= seed < 1 << 31:
        found.append(f"`seed={seed}`: 0 to {(1 << 31) - 1} is expected")
    if found:
        raise UserError(found)
