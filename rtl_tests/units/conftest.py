"""Lets the tests of this folder, and the simulator that they start, import the modules beside them.

The cases of a unit that pytest is to run share one simulator, and therefore one worker of xdist.
"""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from simulation import Simulate


@pytest.fixture(scope="module")
def simulate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Simulate:
    """What the cases of a file are simulated with."""
    items: list[Any] = [item for item in request.session.items if _simulated(item, request.path)]
    chosen = [item.callspec.params["case"] for item in items]
    return Simulate(request.module.CASES, chosen, tmp_path_factory.mktemp(request.path.stem))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _simulated(item, item.path):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def _simulated(item: pytest.Item, path: Path) -> bool:
    return isinstance(item, pytest.Function) and item.path == path and "simulate" in item.fixturenames
