"""The page that says which device the reference network fits is that of the code as it is."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cnn2rtl.devices import load

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def fits() -> ModuleType:
    """The script that makes the table; it finds what it shares with others where it lies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
        return importlib.import_module("fits")


def test_the_page_says_what_fits(fits: ModuleType) -> None:
    said = fits.shown(fits.PAGE.read_text(encoding="utf-8"))
    devices = load()
    assert list(said) == list(devices)
    network = fits.network()
    # All of them would take a minute.
    for name in list(devices)[::3]:
        assert said[name] == fits.answer(network, devices[name]), "python benchmarks/fits.py --write makes it anew"
