"""The integer network as ONNX, made of standard operators on integers: a check by software that is not ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from cnn2rtl.errors import Problems, UserError
from cnn2rtl.graph import QuantGraph, QuantNode
from cnn2rtl.onnx_writer import IR_VERSION, OPSET, OnnxWriter, load_onnx
from cnn2rtl.tensors import code_type
from cnn2rtl.version import __version__


def to_onnx(graph: QuantGraph, every_layer: bool = False) -> bytes:
    """The contents of an ``.onnx`` file that computes what ``graph`` does.

    Its inputs have the names of the graph's and take raw pixels, uint8 (n, c, h, w), or numbers, in the narrowest type
    that has all their codes. Its outputs, of the names of the
    last layers, are those layers' codes, int64 (n, c, h, w); ``every_layer`` adds those of all others. The metadata
    ``formats`` is JSON: how to read the codes of each. The same graph gives the same bytes.

    Raises :class:`UserError` without the package onnx, and for layers that have no such form.
    """
    writer, problems = OnnxWriter(load_onnx()), Problems()
    layers = graph.layers
    values = {name: writer.cast(name, np.int64) for name in graph.inputs}
    for node in layers:
        assert node.layer is not None
        writer.layer = values[node.name] = node.name
        with problems.gather():
            try:
                codes = node.op.onnx(writer, [values[name] for name in node.inputs], node.layer, graph.shapes(node))
            except NotImplementedError:
                raise UserError(f"`{node.name}`: layers of kind {node.op.kind} have no form in ONNX") from None
            except OverflowError as error:
                raise UserError(f"`{node.name}`: {error}") from None
            writer.name(codes, node.name)
    problems.check()
    results = dict.fromkeys([*graph.outputs, *(node.name for node in layers if every_layer)])
    return _file(writer, graph, [graph[name] for name in results])


def input_types(graph: QuantGraph) -> Mapping[str, np.dtype[Any]]:
    """The type in which each input takes its codes."""
    return {name: np.dtype(code_type(graph[name].out.lo, graph[name].out.hi)) for name in graph.inputs}


def _file(writer: OnnxWriter, graph: QuantGraph, outputs: Sequence[QuantNode]) -> bytes:
    """The finished file."""
    helper, types = writer.onnx.helper, writer.onnx.TensorProto
    given = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), ["n", *graph[name].shape])
        for name, dtype in input_types(graph).items()
    ]
    results = [helper.make_tensor_value_info(node.name, types.INT64, ["n", *node.shape]) for node in outputs]
    network = helper.make_graph(writer.nodes, graph.name, given, results, list(writer.constants.values()))
    model = helper.make_model(
        network, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="cnn2rtl",
        producer_version=__version__,
    )  # fmt: skip
    formats = {node.name: asdict(node.out) for node in graph.nodes}
    helper.set_model_props(model, {"formats": json.dumps(formats)})
    writer.onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
