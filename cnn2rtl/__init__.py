"""From a trained PyTorch CNN to readable Verilog, proven bit for bit."""

__version__ = "0.1.0"
