"""What a design takes of an FPGA, before synthesis: in microseconds, from shapes alone."""

from cnn2rtl.estimate.families import FAMILIES, Family
from cnn2rtl.estimate.memory import Memory
from cnn2rtl.estimate.model import Estimate, chain, estimate, fifo, unit
from cnn2rtl.estimate.multiplier import Product
from cnn2rtl.estimate.resources import Resources
from cnn2rtl.estimate.units import Parameters, Parts, describes

__all__ = [
    "FAMILIES", "Estimate", "Family", "Memory", "Parameters", "Parts", "Product", "Resources", "chain",
    "describes", "estimate", "fifo", "unit",
]  # fmt: skip
