"""Public ONNX files of float networks compute here what they do in onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from models import need_data
from test_capture import as_images

from cnn2rtl.frontend.onnx_file import read_onnx
from cnn2rtl.frontend.onnx_float import capture_onnx

FILES = ("cntk_mnist_op7", "streaming_op18", "three_layer_keras", "light_squeezenet")


def runtime(file: Path, x: np.ndarray) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    source = session.get_inputs()[0].name
    # Files may be of one image alone.
    runs = [session.run(names, {source: image[None].astype(np.float32)}) for image in x]
    return {name: np.concatenate([run[number] for run in runs]) for number, name in enumerate(names)}


@pytest.mark.parametrize("name", FILES)
def test_float_result(name: str) -> None:
    file = need_data(f"models/onnx/{name}.onnx")
    network = read_onnx(file)
    ((_, shape),) = network.sources.items()
    graph = capture_onnx(network, "net")
    x = np.random.default_rng(0).uniform(0, 1, (2, *shape)).astype(np.float32)
    (expected,) = runtime(file, x).values()
    actual = graph.forward(as_images(x.astype(np.float64))).reshape(2, -1)
    if any("is left out" in note for note in graph.notes):
        powers = np.exp(actual - actual.max(1, keepdims=True))
        actual = powers / powers.sum(1, keepdims=True)
    expected = expected.reshape(2, -1)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
