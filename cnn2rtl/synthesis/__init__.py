"""What the design takes of an FPGA, and how fast it is there: synthesis, place and route."""

from cnn2rtl.synthesis.families import FAMILIES, Family
from cnn2rtl.synthesis.problems import SynthesisError
from cnn2rtl.synthesis.result import Routed, Share, SynthResult, Usage
from cnn2rtl.synthesis.tool import TOOLS, Target, Tool, target_for, tool_for
from cnn2rtl.synthesis.yosys import Yosys

__all__ = [
    "FAMILIES", "TOOLS", "Family", "Routed", "Share", "SynthResult", "SynthesisError", "Target", "Tool", "Usage",
    "Yosys", "target_for", "tool_for",
]  # fmt: skip
