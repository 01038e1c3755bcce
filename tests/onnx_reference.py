"""The integer network in onnxruntime, a program that is not ours: what the golden model is held to."""

from __future__ import annotations

import numpy as np
import onnxruntime

from cnn2rtl.export import to_onnx
from cnn2rtl.graph import QuantGraph
from cnn2rtl.quant.qformat import IntArray
from cnn2rtl.tensors import part


def run_onnx(file: bytes, images: np.ndarray) -> dict[str, IntArray]:
    """All outputs of an exported network, (n, h, w, c), by their names; ``images`` are codes (n, h, w, c)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    types = {given.name: given.type.removeprefix("tensor(").removesuffix(")") for given in session.get_inputs()}
    fed = {name: part(images, name).astype(dtype).transpose(0, 3, 1, 2) for name, dtype in types.items()}
    results = session.run(names, fed)
    return {name: result.transpose(0, 2, 3, 1) for name, result in zip(names, results, strict=True)}


def onnx_tensors(graph: QuantGraph, images: np.ndarray) -> dict[str, IntArray]:
    """Every tensor of the network but its input, (n, h, w, c), by the name of its layer."""
    return run_onnx(to_onnx(graph, every_layer=True), images)
