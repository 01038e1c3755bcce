"""Quantised ONNX networks for the tests, made by onnxruntime's own quantiser from our float graphs."""

from __future__ import annotations

from collections.abc import Iterator
from math import isinf
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.ops import AvgPool2d, Conv2d, DepthwiseConv2d, Linear, MaxPool2d, Rescale, Window


def float_onnx(graph: FloatGraph) -> onnx.ModelProto:
    """The float network as it is usual in ONNX, input (n, c, h, w)."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(values: np.ndarray, dtype: type[np.generic] = np.float32) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values, dtype), f"constant_{len(constants)}"))
        return constants[-1].name

    def add(kind: str, inputs: list[str], result: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [result], f"/{result.replace('.', '/')}", **attributes))
        return result

    for node in graph.nodes[1:]:
        limited = not isinf(node.clamp.lo) or not isinf(node.clamp.hi)
        value = _operator(node, graph, add, constant, f"{node.name}.plain" if limited else node.name)
        if limited and node.clamp.lo == 0 and isinf(node.clamp.hi):
            add("Relu", [value], node.name)
        elif limited:
            add("Clip", [value, constant(node.clamp.lo), constant(node.clamp.hi)], node.name)
    shape, result = graph.inputs["input"], graph[graph.output]
    dims: list[Any] = ["n", result.shape[0]] if isinstance(result.op, Linear) else ["n", *result.shape]
    made = helper.make_graph(
        nodes, graph.name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info(graph.output, TensorProto.FLOAT, dims)], constants,
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _operator(node: Node, graph: FloatGraph, add: Any, constant: Any, result: str) -> str:
    op, (source,) = node.op, node.inputs
    if isinstance(op, (Conv2d, DepthwiseConv2d)):
        kernels = op.weight if isinstance(op, Conv2d) else op.weight[:, None]
        inputs = [source, constant(kernels), constant(op.bias)]
        return str(add("Conv", inputs, result, group=op.groups, **_geometry(op.window)))
    if isinstance(op, Linear):
        if not isinstance(graph[source].op, Linear):
            source = add("Flatten", [source], f"{result}.flat")
        matrix = op.weight.reshape(len(op.weight), -1)
        return str(add("Gemm", [source, constant(matrix), constant(op.bias)], result, transB=1))
    if isinstance(op, MaxPool2d):
        return str(add("MaxPool", [source], result, **_geometry(op.window)))
    if isinstance(op, AvgPool2d):
        if graph[source].shape[1:] == op.window.kernel and not op.window.padded:
            return str(add("GlobalAveragePool", [source], result))
        return str(add("AveragePool", [source], result, count_include_pad=1, **_geometry(op.window)))
    assert isinstance(op, Rescale), op.kind
    return str(add("Identity", [source], result))


def _geometry(window: Window) -> dict[str, Any]:
    top, bottom, left, right = window.padding
    return {"kernel_shape": window.kernel, "strides": window.stride, "pads": (top, left, bottom, right)}


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, batches: list[np.ndarray]) -> None:
        self.batches: Iterator[dict[str, np.ndarray]] = iter([{name: batch} for batch in batches])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.batches, None)


def write_qdq(
    file: Path, model: onnx.ModelProto, inputs: np.ndarray, signed: bool = False, per_channel: bool = True
) -> None:
    """Quantise ``model`` on ``inputs``, floats (n, c, h, w), and write it to ``file``."""
    plain, prepared = file.with_suffix(".float.onnx"), file.with_suffix(".prepared.onnx")
    onnx.save(model, plain)
    quant_pre_process(plain, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared, file, _Reader(model.graph.input[0].name, [inputs]), QuantFormat.QDQ, per_channel=per_channel,
        activation_type=QuantType.QInt8 if signed else QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


def run_qdq(file: Path, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """What onnxruntime makes of ``inputs``, floats (n, c, h, w), operator by operator.

    Every activation that a QuantizeLinear has made, in reals (n, ...), by the name of the operator that made it; the
    network's input is called ``normalise``.
    """
    model = onnx.load(file)
    made_by = {name: node for node in model.graph.node for name in node.output}
    names: dict[str, str] = {}
    for node in model.graph.node:
        quantiser = made_by.get(node.input[0])
        if node.op_type != "DequantizeLinear" or quantiser is None or quantiser.op_type != "QuantizeLinear":
            continue
        maker = made_by.get(quantiser.input[0])
        while maker is not None and maker.op_type in ("Relu", "Clip", "Identity"):
            maker = made_by.get(maker.input[0])
        names[node.output[0]] = "normalise" if maker is None else maker.name.strip("/").replace("/", ".")
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    results = session.run(list(names), {session.get_inputs()[0].name: inputs.astype(np.float32)})
    return dict(zip(names.values(), results, strict=True))
