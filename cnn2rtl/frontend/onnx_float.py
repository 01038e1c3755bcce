"""A float network in ONNX, as a module of torch that the front end captures like any other.

Each operator becomes a module, called as it is in the file, that does with torch what the operator means; so there is
one set of converters for both. What depends on constants and shapes alone is computed beforehand, by onnx's own
reference implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cnn2rtl.errors import Problems, UserError
from cnn2rtl.frontend import onnx_moves as moves
from cnn2rtl.frontend import onnx_operators as ops
from cnn2rtl.frontend.export import capture
from cnn2rtl.frontend.onnx_file import OnnxCall, OnnxNetwork
from cnn2rtl.frontend.onnx_operators import Operands, Operator
from cnn2rtl.frontend.quiet import first_line, quiet
from cnn2rtl.frontend.sizes import SizesJudged
from cnn2rtl.frontend.view import Refused
from cnn2rtl.graph import FloatGraph
from cnn2rtl.limits import too_large
from cnn2rtl.onnx_writer import load_onnx


def _plain(function: Callable[[torch.Tensor], torch.Tensor]) -> Operator:
    def operator(o: Operands) -> torch.Tensor:
        return function(o.tensor())

    operator.__doc__ = f"As `{function.__name__.lstrip('_')}`."
    return operator


def _of_two(function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Operator:
    def operator(o: Operands) -> torch.Tensor:
        return function(o.tensor(0), o.tensor(1))

    operator.__doc__ = f"As `{function.__name__}`."
    return operator


OPERATORS: dict[str, Operator] = {
    "Conv": ops.conv,
    "ConvTranspose": ops.conv_transpose,
    "Gemm": ops.gemm,
    "MatMul": ops.matmul,
    "BatchNormalization": ops.batch_norm,
    "MaxPool": ops.max_pool,
    "AveragePool": ops.average_pool,
    "GlobalAveragePool": ops.global_average_pool,
    "GlobalMaxPool": ops.global_max_pool,
    "ReduceMean": ops.reduce_mean,
    "ReduceSum": ops.reduce_sum,
    "ReduceMax": ops.reduce_max,
    "Add": _of_two(torch.add),
    "Sub": _of_two(torch.sub),
    "Mul": _of_two(torch.mul),
    "Div": _of_two(torch.div),
    "Sum": ops.total,
    "Max": ops.maximum,
    "Min": ops.minimum,
    "Relu": _plain(torch.relu),
    "Clip": ops.clip,
    "LeakyRelu": ops.leaky_relu,
    "PRelu": ops.prelu,
    "Elu": ops.elu,
    "Celu": ops.celu,
    "Selu": ops.selu,
    "Gelu": ops.gelu,
    "Swish": ops.swish,
    "Mish": _plain(F.mish),
    "HardSigmoid": ops.hard_sigmoid,
    "HardSwish": _plain(F.hardswish),
    "Shrink": ops.shrink,
    "ThresholdedRelu": ops.thresholded_relu,
    "Softplus": _plain(F.softplus),
    "Softsign": _plain(F.softsign),
    "Sigmoid": _plain(torch.sigmoid),
    "Tanh": _plain(torch.tanh),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Log": _plain(torch.log),
    "Sqrt": _plain(torch.sqrt),
    "Reciprocal": _plain(torch.reciprocal),
    "Pow": ops.power,
    "Abs": _plain(torch.abs),
    "Neg": _plain(torch.neg),
    "Sign": _plain(torch.sign),
    "Sin": _plain(torch.sin),
    "Cos": _plain(torch.cos),
    "Floor": _plain(torch.floor),
    "Ceil": _plain(torch.ceil),
    "Round": _plain(torch.round),
    "Softmax": ops.softmax,
    "LogSoftmax": ops.log_softmax,
    "ArgMax": ops.argmax,
    "Concat": moves.concat,
    "Split": moves.split,
    "Slice": moves.slices,
    "Gather": moves.gather,
    "Reshape": moves.reshape,
    "Flatten": moves.flatten,
    "Squeeze": moves.squeeze,
    "Unsqueeze": moves.unsqueeze,
    "Transpose": moves.transpose,
    "Expand": moves.expand,
    "Tile": moves.tile,
    "Pad": moves.pad,
    "DepthToSpace": moves.depth_to_space,
    "SpaceToDepth": moves.space_to_depth,
    "Resize": moves.resize,
    "Cast": ops.cast,
    "Dropout": ops.identity,
    "Identity": ops.identity,
}
"""Every operator, by its name."""

SIZES = 64
"""Numbers of a constant that may tell another's size."""


def capture_onnx(network: OnnxNetwork, name: str) -> FloatGraph:
    """The float graph, called ``name``; raises one :class:`UserError` for all operators that cannot be had."""
    return capture(OnnxModule(network).eval(), tuple(network.sources.values()), name, tuple(network.sources))


class OnnxOperator(nn.Module):
    """One operator; ``fixed`` are its inputs that are known beforehand, by position."""

    def __init__(self, call: OnnxCall, fixed: Mapping[int, np.ndarray]) -> None:
        super().__init__()
        self.call = call
        self.fixed = dict(fixed)
        for position, values in fixed.items():
            if values.dtype.kind == "f":
                self.register_buffer(f"input_{position}", torch.from_numpy(values.copy()))

    def forward(self, *inputs: torch.Tensor) -> Any:
        waiting = iter(inputs)
        values: list[torch.Tensor | np.ndarray | None] = []
        for position, name in enumerate(self.call.inputs):
            if not name:
                values.append(None)
            elif position in self.fixed:
                values.append(getattr(self, f"input_{position}", self.fixed[position]))
            else:
                values.append(next(waiting))
        return OPERATORS[self.call.kind](Operands(values, self.fixed, self.call.attributes, len(self.call.outputs)))


class OnnxModule(nn.Module):
    """The network; its modules are nested as their names in the file are."""

    def __init__(self, network: OnnxNetwork) -> None:
        super().__init__()
        self.network = network
        self.steps: list[tuple[OnnxOperator, tuple[str, ...]]] = []
        self._build()

    def forward(self, *images: torch.Tensor) -> Any:
        values: dict[str, Any] = dict(zip(self.network.sources, images, strict=True))
        for operator, inputs in self.steps:
            made = operator(*(values[name] for name in inputs))
            values.update(zip(operator.call.outputs, made if isinstance(made, (tuple, list)) else [made], strict=False))
        return tuple(values[name] for name in self.network.results)

    def _build(self) -> None:
        """Make the operators, running each once on zeros: so all shapes are known, and what follows from them."""
        problems, known = Problems(), dict(self.network.constants)
        values: dict[str, Any] = {name: torch.zeros(1, *shape) for name, shape in self.network.sources.items()}
        for call in self.network.calls:
            inputs = [name for name in call.inputs if name]
            # What depends on something that was refused is not judged.
            if any(name not in values and name not in known for name in inputs):
                continue
            with problems.gather():
                try:
                    made = self._computed(call, known, values)
                    if made is not None:
                        known.update(zip(call.outputs, made, strict=False))
                        continue
                    operator = self._operator(call, known)
                    dynamic = tuple(name for name in inputs if name not in known)
                    with SizesJudged():
                        results = operator(*(values[name] for name in dynamic))
                except Refused as refusal:
                    raise UserError(f"`{call.name}` ({call.kind}): {refusal}") from None
                except Exception as error:
                    # Attributes that contradict the shapes: each operator has its own way to say so.
                    raise UserError(f"`{call.name}` ({call.kind}): {first_line(error)}") from None
                self.steps.append((operator, dynamic))
                several = results if isinstance(results, (tuple, list)) else [results]
                values.update(zip(call.outputs, several, strict=False))
        problems.check()
        problems.found += [
            f"`{name}`: the network's output does not depend on its input"
            for name in self.network.results
            if name not in values
        ]
        problems.check()

    def _computed(
        self, call: OnnxCall, known: Mapping[str, np.ndarray], values: Mapping[str, Any]
    ) -> Sequence[np.ndarray] | None:
        """The results of an operator on constants and shapes alone, or ``None``."""
        if call.kind == "Shape":
            source = known.get(call.inputs[0], values.get(call.inputs[0]))
            shape = np.array(tuple(source.shape), np.int64)  # type: ignore[union-attr]
            return [shape[call.attributes.get("start", 0) : call.attributes.get("end", None)]]
        if not all(name in known for name in call.inputs if name):
            return None
        return _reference(call, [known[name] if name else None for name in call.inputs], self.network.opset)

    def _operator(self, call: OnnxCall, known: Mapping[str, np.ndarray]) -> OnnxOperator:
        if call.kind not in OPERATORS:
            raise Refused("is not supported; docs/layers.md has the table of what is")
        fixed = {position: known[name] for position, name in enumerate(call.inputs) if name in known}
        operator = OnnxOperator(call, fixed)
        *path, last = call.name.split(".")
        parent: nn.Module = self
        for part in path:
            if part not in parent._modules:
                parent.add_module(part, nn.Module())
            parent = cast(nn.Module, parent._modules[part])
        while last in parent._modules or hasattr(parent, last):
            last += "_"
        parent.add_module(last, operator)
        return operator


def _reference(call: OnnxCall, inputs: Sequence[np.ndarray | None], opset: int) -> Sequence[np.ndarray]:
    """What onnx itself computes from constants."""
    onnx: Any = load_onnx()
    from onnx.reference import ReferenceEvaluator

    given = [(name, values) for name, values in zip(call.inputs, inputs, strict=True) if name and values is not None]
    infos = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
        for name, values in dict(given).items()
    ]
    node = onnx.helper.make_node(call.kind, list(call.inputs), list(call.outputs), **call.attributes)
    results = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UNDEFINED, None) for name in call.outputs if name
    ]
    graph = onnx.helper.make_graph([node], "constants", infos, results)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    _check_size(call, inputs, sized)
    with quiet():
        made = ReferenceEvaluator(model).run(None, dict(given))
    return [np.asarray(values) for values in made]


def _check_size(call: OnnxCall, inputs: Sequence[np.ndarray | None], model: Any) -> None:
    """Refuse what makes more values of constants than any network needs, as far as onnx can tell beforehand."""
    onnx: Any = load_onnx()
    for name, values in zip(call.inputs, inputs, strict=True):
        # Numbers that are sizes, not the values themselves.
        if name and values is not None and values.size <= SIZES:
            model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    known = [[dim.dim_value for dim in result.type.tensor_type.shape.dim] for result in inferred.graph.output]
    # Without a shape, what meets all of something else could be as large as their product.
    found = [dims for dims in known if dims and min(dims) > 0] or [
        [values.size for values in inputs if values is not None and values.size > 1]
    ]
    excess = next((why for dims in found if (why := too_large(dims))), "")
    if excess:
        raise Refused(f"makes a constant that is too large: {excess}")
