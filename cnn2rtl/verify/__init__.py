"""Proof by simulation: the emitted design against the golden model."""

from cnn2rtl.verify.engine import ENGINES, Engine
from cnn2rtl.verify.icarus import Icarus
from cnn2rtl.verify.simulate import Measured, Verdict, engine_for, in_layers, missed, simulate
from cnn2rtl.verify.vectors import frame_vectors, write_vectors
from cnn2rtl.verify.verilator import Verilator

__all__ = [
    "ENGINES", "Engine", "Icarus", "Measured", "Verdict", "Verilator", "engine_for", "frame_vectors", "in_layers",
    "missed", "simulate", "write_vectors",
]  # fmt: skip
