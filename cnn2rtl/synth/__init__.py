"""What the design takes of an FPGA, and how fast it is there: synthesis, place and route."""

from cnn2rtl.synth.families import FAMILIES, Family
from cnn2rtl.synth.problems import SynthesisError
from cnn2rtl.synth.result import Routed, SynthResult, Usage
from cnn2rtl.synth.tool import TOOLS, Target, Tool, target_for, tool_for
from cnn2rtl.synth.yosys import Yosys

__all__ = [
    "FAMILIES", "TOOLS", "Family", "Routed", "SynthResult", "SynthesisError", "Target", "Tool", "Usage", "Yosys",
    "target_for", "tool_for",
]  # fmt: skip
