"""An ONNX file as plain Python: its operators with their attributes, and its constants as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnn2rtl.errors import UserError
from cnn2rtl.limits import too_large
from cnn2rtl.onnx_writer import load_onnx

OLDEST = 13
"""The first opset with scales per channel."""


@dataclass(frozen=True, eq=False)
class OnnxCall:
    """One operator. ``inputs`` name tensors; an optional one that is left out is the empty string."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def output(self) -> str:
        """The first one."""
        return self.outputs[0]


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """A network from the tensors ``sources``, each (n, *shape), to ``results``; ``calls`` in topological order."""

    sources: Mapping[str, tuple[int, ...]]
    results: tuple[str, ...]
    calls: Sequence[OnnxCall]
    constants: Mapping[str, np.ndarray]
    opset: int

    @property
    def quantised(self) -> bool:
        """Whether it has its integers already."""
        return any(call.kind in ("QuantizeLinear", "DequantizeLinear") for call in self.calls)


def read_onnx(path: Path) -> OnnxNetwork:
    """Read ``path``; raises :class:`UserError` for what is no such network. It runs no code and reads no other file."""
    onnx: Any = load_onnx()
    try:
        model = onnx.load_model_from_string(path.read_bytes())
        onnx.checker.check_model(model)
        return _network(onnx, model)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except Unsuitable as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:
        # Protobuf, the checker and numpy each have their own errors; there is no end to what a hostile file may hold.
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: no ONNX file, or a damaged one ({first})") from None


class Unsuitable(Exception):
    """A sound file, but not of a network that we could read."""


def _network(onnx: Any, model: Any) -> OnnxNetwork:
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if opset < OLDEST:
        raise Unsuitable(f"opset {opset}; {OLDEST} is the oldest that is read")

    def array(tensor: Any) -> np.ndarray:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise Unsuitable(f"keeps `{tensor.name}` in another file; save all in one")
        values: np.ndarray = onnx.numpy_helper.to_array(tensor)
        return values

    constants = {tensor.name: array(tensor) for tensor in model.graph.initializer}
    calls = []
    for number, node in enumerate(model.graph.node):
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant":
            constants[node.output[0]] = _constant(array, attributes)
            continue
        name = (node.name.strip("/") or f"{node.op_type}_{number}").replace("/", ".")
        kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        calls.append(OnnxCall(kind, name, tuple(node.input), tuple(node.output), attributes))
    sources = [value for value in model.graph.input if value.name not in constants]
    results = tuple(value.name for value in model.graph.output)
    if not sources or not results:
        raise Unsuitable(f"has {len(sources)} inputs and {len(results)} outputs; at least one of each is needed")
    shapes = {}
    for source in sources:
        dims = [dim.dim_value for dim in source.type.tensor_type.shape.dim]
        if not 2 <= len(dims) <= 4 or min(dims[1:]) < 1:
            raise Unsuitable(
                f"its input is {dims}; (n, c, h, w) with fixed c, h and w is needed, or (n, c, l), or (n, c)"
            )
        excess = too_large(dims[1:])
        if excess:
            raise Unsuitable(f"its input is too large: {excess}")
        shapes[source.name] = tuple(dims[1:])
    return OnnxNetwork(shapes, results, calls, constants, opset)


def _constant(array: Callable[[Any], np.ndarray], attributes: Mapping[str, Any]) -> np.ndarray:
    """The value of a Constant, in whichever attribute it is."""
    ((name, value),) = attributes.items()
    if name == "value":
        return array(value)
    kinds: Mapping[str, type[np.generic]] = {
        "value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64,
    }  # fmt: skip
    if name not in kinds:
        raise Unsuitable(f"has a Constant with `{name}`, which is not supported")
    return np.array(value, kinds[name])
