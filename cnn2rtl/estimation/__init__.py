"""What units take of an FPGA, before synthesis: in microseconds, from shapes alone."""

from cnn2rtl.estimation.families import FAMILIES, Family
from cnn2rtl.estimation.model import chain, fifo, unit
from cnn2rtl.estimation.resources import Resources

__all__ = ["FAMILIES", "Family", "Resources", "chain", "fifo", "unit"]
