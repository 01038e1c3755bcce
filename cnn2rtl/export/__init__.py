"""The integer network for other software."""

from cnn2rtl.export.onnx import load_onnx, to_onnx

__all__ = ["load_onnx", "to_onnx"]
