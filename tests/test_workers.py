"""Tests that share what takes long to make run in one worker of xdist; some versions of pytest and xdist forget it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

GROUPED = """
import pytest
pytestmark = pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(12))
def test_grouped(number):
    pass
"""


def test_a_group_stays_in_one_worker(tmp_path: Path) -> None:
    (tmp_path / "test_grouped.py").write_text(GROUPED)
    (tmp_path / "test_free.py").write_text(GROUPED.replace('pytestmark = pytest.mark.xdist_group("one")', ""))
    command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "--dist=loadgroup", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    workers = re.findall(r"\[(gw\d)\].*PASSED test_grouped", done.stdout)
    assert len(workers) == 12 and len(set(workers)) == 1, done.stdout
