"""From a trained PyTorch CNN to readable Verilog, proven bit for bit."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnn2rtl.errors import Notice, UserError
from cnn2rtl.version import __version__

if TYPE_CHECKING:
    from cnn2rtl.accuracy import Evaluation
    from cnn2rtl.api import compile, known_devices, open
    from cnn2rtl.compiled import Compiled
    from cnn2rtl.devices import Device
    from cnn2rtl.measuring.estimation import Estimate, estimate
    from cnn2rtl.measuring.evaluation import evaluate
    from cnn2rtl.measuring.simulation import Simulation, simulate
    from cnn2rtl.measuring.synthesis import synth
    from cnn2rtl.project import Project
    from cnn2rtl.synthesis import SynthResult

__all__ = [
    "Compiled", "Device", "Estimate", "Evaluation", "Notice", "Project", "Simulation", "SynthResult", "UserError",
    "__version__", "compile", "estimate", "evaluate", "known_devices", "open", "simulate", "synth",
]  # fmt: skip

_WHERE = {
    "accuracy": ("Evaluation",),
    "api": ("compile", "known_devices", "open"),
    "compiled": ("Compiled",),
    "devices": ("Device",),
    "measuring.estimation": ("Estimate", "estimate"),
    "measuring.evaluation": ("evaluate",),
    "measuring.simulation": ("Simulation", "simulate"),
    "measuring.synthesis": ("synth",),
    "project": ("Project",),
    "synthesis": ("SynthResult",),
}
"""What takes long to import, by its module."""


def __getattr__(name: str) -> Any:
    """Fetch what takes long to import only when somebody asks for it."""
    for module, names in _WHERE.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
