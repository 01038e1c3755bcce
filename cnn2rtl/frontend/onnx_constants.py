"""What follows from an ONNX file's constants and shapes alone, by onnx's own implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnn2rtl.frontend.onnx_file import FLOATS, OnnxCall
from cnn2rtl.frontend.quiet import quiet
from cnn2rtl.frontend.view import Refused
from cnn2rtl.limits import too_large
from cnn2rtl.onnx_writer import load_onnx

SIZES = 64
"""Numbers of a constant that may tell another's size."""


def computed(call: OnnxCall, inputs: Sequence[np.ndarray | None], opset: int) -> Sequence[np.ndarray]:
    """The results of an operator on constants; raises :class:`Refused` for what is too large to be computed."""
    onnx: Any = load_onnx()
    from onnx.reference import ReferenceEvaluator

    given = {name: values for name, values in zip(call.inputs, inputs, strict=True) if name and values is not None}
    model = _model(onnx, call, {name: (values.dtype, values.shape) for name, values in given.items()}, opset)
    excess = _excess(onnx, model, given)
    if excess:
        raise Refused(f"makes a constant that is too large: {excess}")
    with quiet():
        made = ReferenceEvaluator(model).run(None, given)
    results = [np.asarray(values) for values in made]
    return [values.astype(np.float32) if values.dtype.kind in FLOATS else values for values in results]


def inferred(
    call: OnnxCall, known: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], opset: int
) -> list[tuple[int, ...]] | None:
    """The shapes of what an operator of onnx's own makes of reals of ``shapes`` and constants, or ``None``."""
    onnx: Any = load_onnx()
    about = {name: (np.dtype(np.float32), shape) for name, shape in shapes.items() if name in call.inputs}
    given = {name: known[name] for name in call.inputs if name in known}
    about |= {name: (values.dtype, values.shape) for name, values in given.items()}
    try:
        found = _shapes(onnx, _model(onnx, call, about, opset), given)
    except Exception:
        # What has contradictions in it, or is no operator of onnx's, has no shape either.
        return None
    usable = all(dims and min(dims) > 0 and not too_large(dims) for dims in found)
    return [tuple(dims) for dims in found] if usable else None


def _model(onnx: Any, call: OnnxCall, about: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]], opset: int) -> Any:
    """A model of one operator, on tensors of these types and shapes."""
    infos = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(dtype), shape)
        for name, (dtype, shape) in about.items()
    ]
    node = onnx.helper.make_node(call.kind, list(call.inputs), list(call.outputs), **call.attributes)
    results = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UNDEFINED, None) for name in call.outputs if name
    ]
    graph = onnx.helper.make_graph([node], "constants", infos, results)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])


def _shapes(onnx: Any, model: Any, given: Mapping[str, np.ndarray]) -> list[list[int]]:
    """Of each result, as far as onnx can tell; 0 is a size that it cannot."""
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    for name, values in given.items():
        # Numbers that are sizes, not the values themselves.
        if values.size <= SIZES:
            sized.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    found = onnx.shape_inference.infer_shapes(sized, data_prop=True)
    return [[dim.dim_value for dim in result.type.tensor_type.shape.dim] for result in found.graph.output]


def _excess(onnx: Any, model: Any, given: Mapping[str, np.ndarray]) -> str:
    """Why a constant has more values than any network needs, as far as onnx can tell beforehand; empty if not."""
    # Without a shape, what meets all of something else could be as large as their product.
    found = [dims for dims in _shapes(onnx, model, given) if dims and min(dims) > 0] or [
        [values.size for values in given.values() if values.size > 1]
    ]
    return next((why for dims in found if (why := too_large(dims))), "")
