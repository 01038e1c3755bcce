"""What a simulator must answer. One engine is one file; all run the same testbench."""

from __future__ import annotations

import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from cnn2rtl.errors import UserError
from cnn2rtl.output import tidy_errors

ENGINES: dict[str, type[Engine]] = {}


class Engine(ABC):
    """A simulator, for one project. ``work`` is a folder of its own to build in."""

    name: ClassVar[str]
    programs: ClassVar[tuple[str, ...]]
    """What it calls."""

    def __init_subclass__(cls) -> None:
        ENGINES[cls.name] = cls

    def __init__(self, sources: list[Path], work: Path) -> None:
        missing = [program for program in self.programs if shutil.which(program) is None]
        if missing:
            raise UserError(
                f"{self.name}: {', '.join(missing)} not found; install it (Debian: apt install {self.name_of_package}) "
                "or choose another `engine=`; `cnn2rtl doctor` shows what is there"
            )
        self.work = work.resolve()
        # Seen from there, nothing has a name but what is in the project: simulators write these into files of their own
        # and call programs with them, and what folders around it are called may be anything.
        self.sources = [os.path.relpath(source.resolve(), self.work) for source in sources]
        self.check()

    name_of_package: ClassVar[str]

    def check(self) -> None:
        """Raise :class:`UserError` where nothing could be built in ``work``."""
        return

    @abstractmethod
    def build(self) -> None:
        """Compile; raises :class:`UserError` with the simulator's own words where it cannot."""

    @abstractmethod
    def command(self, *plusargs: str) -> list[str]:
        """The command that runs the simulation."""

    def run(self, folder: Path, *plusargs: str) -> Iterator[str]:
        """Yield every line the simulation prints, as it comes; it runs in ``folder``, where the ROM files lie."""
        with subprocess.Popen(
            self.command(*plusargs), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace",
        ) as process:  # fmt: skip
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    yield line.rstrip()
            finally:
                if process.poll() is None:
                    process.terminate()

    def call(self, *command: str) -> None:
        """Run a step of the build."""
        with tidy_errors(self.work):
            self.work.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(command, cwd=self.work, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode != 0:
            log = self.work / f"{self.name}.log"
            log.write_text(done.stdout + done.stderr)
            lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
            first = next((line for line in lines if "rror" in line), lines[0] if lines else "no message")
            raise UserError(f"{command[0]} cannot compile the design: {first}; all of its output is in {log}")
