"""What units take of an FPGA, before synthesis: in microseconds, from shapes alone."""

from cnn2rtl.estimate.families import FAMILIES, Family
from cnn2rtl.estimate.memory import Memory
from cnn2rtl.estimate.model import chain, fifo, unit
from cnn2rtl.estimate.multiplier import Product
from cnn2rtl.estimate.resources import Resources
from cnn2rtl.estimate.units import DESCRIPTIONS, Parameters, Parts, describes

__all__ = [
    "DESCRIPTIONS", "FAMILIES", "Family", "Memory", "Parameters", "Parts", "Product", "Resources", "chain",
    "describes", "fifo", "unit",
]  # fmt: skip
