"""Running a tool that takes minutes: where it is found, its log, and how far it is."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from cnn2rtl.errors import UserError
from cnn2rtl.output import tidy_errors

OnStage = Callable[[str], None]
"""Hears what the tool is at, in its own words."""

# Yosys numbers its passes, nextpnr ends what takes long with dots.
_STAGE = re.compile(r"^(?:\d+(?:\.\d+)?\. (?:Executing )?(.+?)(?: pass)?(?: \(.*\))?\.?|Info: (.+?)\.\.\.*)$")


def programs(*names: str) -> Iterator[str]:
    """The paths of those of ``names`` that are installed: on PATH, or beside the Python interpreter."""
    for name in names:
        path = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
        if path:
            yield path


def version(program: str, option: str) -> str:
    """The version number that ``program`` tells, with its dots; empty where it tells none."""
    done = subprocess.run([program, option], capture_output=True, text=True, errors="replace", check=False)
    number = re.search(r"\d+\.\d+[\w.]*", done.stdout + done.stderr)
    return number[0] if number else ""


def run(command: list[str], folder: Path, log: Path, on_stage: OnStage) -> tuple[int, list[str]]:
    """Run ``command`` in ``folder``: its exit code and all that it printed, which is kept in ``log`` as well."""
    lines: list[str] = []
    with tidy_errors(log), log.open("w", encoding="utf-8") as file:
        try:
            process = subprocess.Popen(
                command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
            )
        except OSError as error:
            raise UserError(f"{command[0]}: cannot be run ({error.strerror})") from None
        with process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    file.write(line)
                    lines.append(line.rstrip())
                    stage = _STAGE.match(lines[-1])
                    if stage:
                        on_stage(stage[1] or stage[2])
            finally:
                if process.poll() is None:
                    process.terminate()
        return process.returncode, lines
