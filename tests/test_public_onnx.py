"""Public ONNX files of float networks compute here what they do in onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from models import need_data
from own_outputs import restored, streamed

from cnn2rtl.frontend.onnx_file import read_onnx
from cnn2rtl.frontend.onnx_float import capture_onnx

FILES = (
    *("cntk_mnist_op7", "conv2d_small_keras", "three_layer_keras", "streaming_op18", "light_squeezenet"),
    *("rfb_320_simplified", "yunet_s_320"),
)

SOFTMAX = {"dense_1_Softmax_01": 1, "output_softmax_Softmax_01": 1, "softmaxout_1": 1, "scores": 2}
"""Outputs that end in one, which is left out: over which dimension it goes."""


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
    x = np.random.default_rng(0).uniform(0, 1, (2, *shape))
    last = any("channels last" in note for note in graph.notes)
    (taken,) = graph.inputs.items()
    own = restored(graph, {taken[0]: streamed(x, taken[1], last)})
    for actual, (output, expected) in zip(own, runtime(file, x).items(), strict=True):
        if output in SOFTMAX:
            powers = np.exp(actual - actual.max(SOFTMAX[output], keepdims=True))
            actual = powers / powers.sum(SOFTMAX[output], keepdims=True)
        assert actual.shape == expected.shape
        # onnxruntime computes in float32: near 0, its sigmoid has steps of that size.
        atol = max(1e-5 * float(np.abs(expected).max()), 2e-7)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=atol)
