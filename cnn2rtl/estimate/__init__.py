"""What units take of an FPGA, before synthesis: in microseconds, from shapes alone."""

from cnn2rtl.estimate.families import FAMILIES, Family
from cnn2rtl.estimate.model import chain, fifo, unit
from cnn2rtl.estimate.resources import Resources

__all__ = ["FAMILIES", "Family", "Resources", "chain", "fifo", "unit"]
