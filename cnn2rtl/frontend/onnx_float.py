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
from cnn2rtl.foreign import said
from cnn2rtl.frontend import onnx_moves as moves
from cnn2rtl.frontend import onnx_operators as ops
from cnn2rtl.frontend import onnx_unknown as unknown
from cnn2rtl.frontend import onnx_windows as windows
from cnn2rtl.frontend.export import WHOLE, capture
from cnn2rtl.frontend.onnx_attributes import Attributes
from cnn2rtl.frontend.onnx_constants import computed, inferred
from cnn2rtl.frontend.onnx_file import NEWEST, OnnxCall, OnnxNetwork
from cnn2rtl.frontend.onnx_operands import Operands, Operator
from cnn2rtl.frontend.sizes import SizesJudged
from cnn2rtl.frontend.view import Refused
from cnn2rtl.graph import FloatGraph


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
    "Conv": windows.conv,
    "ConvTranspose": windows.conv_transpose,
    "Gemm": ops.gemm,
    "MatMul": ops.matmul,
    "BatchNormalization": ops.batch_norm,
    "MaxPool": windows.max_pool,
    "AveragePool": windows.average_pool,
    "GlobalAveragePool": windows.global_average_pool,
    "GlobalMaxPool": windows.global_max_pool,
    "ReduceMean": windows.reduce_mean,
    "ReduceSum": windows.reduce_sum,
    "ReduceMax": windows.reduce_max,
    "ReduceMin": windows.reduce_min,
    "ReduceL1": windows.reduce_l1,
    "ReduceL2": windows.reduce_l2,
    "ReduceSumSquare": windows.reduce_sum_square,
    "Add": _of_two(torch.add),
    "Sub": _of_two(torch.sub),
    "Mul": _of_two(torch.mul),
    "Div": _of_two(torch.div),
    "Sum": ops.total,
    "Mean": ops.mean_of_all,
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
    "Upsample": moves.upsample,
    "Cast": ops.cast,
    "CastLike": ops.cast_like,
    "Dropout": ops.dropout,
    "Identity": ops.identity,
}
"""Every operator, by its name."""

MOVES = frozenset((
    "Cast", "DepthToSpace", "Flatten", "Gather", "Identity", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze",
    "Transpose", "Unsqueeze",
))  # fmt: skip
"""Those that compute nothing, so that whole numbers may go in."""


def capture_onnx(network: OnnxNetwork, name: str) -> FloatGraph:
    """The float graph, called ``name``; raises one :class:`UserError` for all operators that cannot be had."""
    shapes, names = tuple(network.sources.values()), tuple(network.sources)
    return capture(OnnxModule(network).eval(), shapes, name, names, _dtypes(network))


def _dtypes(network: OnnxNetwork) -> list[str]:
    """The type of each input, by numpy's name; raises :class:`UserError` for those that are no numbers."""
    found = [network.dtypes.get(name, "float32") for name in network.sources]
    problems = [
        f"the network's input `{name}` is of type {dtype}; floats, or uint8 for pixels as they are, are expected"
        for name, dtype in zip(network.sources, found, strict=True)
        if dtype not in WHOLE and not dtype.startswith(("float", "bfloat"))
    ]
    if problems:
        raise UserError(problems)
    return found


class OnnxOperator(nn.Module):
    """One operator; ``fixed`` are its inputs that are known beforehand, by position; ``single`` as the network's."""

    def __init__(self, call: OnnxCall, fixed: Mapping[int, np.ndarray], single: bool) -> None:
        super().__init__()
        self.call = call
        self.single = single
        self.fixed = dict(fixed)
        self.attributes = Attributes(call.attributes)
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
        read = [bool(name) for name in self.call.outputs]
        return OPERATORS[self.call.kind](
            Operands(values, self.fixed, self.attributes, read, self.call.since, self.single)
        )


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
        problems.found += unknown.told(self.network, OPERATORS)
        values: dict[str, Any] = {
            name: torch.zeros(1, *shape, dtype=WHOLE.get(dtype, torch.float32))
            for (name, shape), dtype in zip(self.network.sources.items(), _dtypes(self.network), strict=True)
        }
        for call in self.network.calls:
            # What depends on something of unknown shape is not judged.
            if any(name and name not in values and name not in known for name in call.inputs):
                continue
            try:
                results = self._computed(call, known, values)
                if results is not None:
                    known.update(zip(call.outputs, results, strict=False))
                    continue
                if call.kind in OPERATORS:
                    values.update(zip(call.outputs, self._applied(call, known, values), strict=False))
                    continue
            except (Refused, UserError) as refusal:
                problems.found.append(f"`{call.name}` ({call.kind}): {refusal}")
            except Exception as error:
                # Attributes that contradict the shapes: each operator has its own way to say so.
                problems.found.append(f"`{call.name}` ({call.kind}): it {said(error)}")
            # One that cannot be had does not hide what is wrong behind it.
            shapes = {name: tuple(values[name].shape) for name in call.inputs if name in values}
            made = inferred(call, known, shapes, self.network.opset) or []
            values.update(zip(call.outputs, map(torch.zeros, made), strict=False))
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
        if call.foreign or not all(name in known for name in call.inputs if name):
            return None
        return computed(call, [known[name] if name else None for name in call.inputs], self.network.opset)

    def _applied(
        self, call: OnnxCall, known: Mapping[str, np.ndarray], values: Mapping[str, Any]
    ) -> Sequence[torch.Tensor]:
        """Add the operator, and apply it to what there is; raises whatever is wrong with it."""
        if call.since > NEWEST:
            raise Refused(f"its form of opset {call.since} is not known; {NEWEST} is the newest that is")
        if call.kind not in MOVES and any(
            name in values and not values[name].is_floating_point() for name in call.inputs
        ):
            raise Refused("computes with whole numbers; cast them to floats first")
        operator = self._operator(call, known)
        dynamic = tuple(name for name in call.inputs if name and name not in known)
        with SizesJudged():
            made = operator(*(values[name] for name in dynamic))
        operator.attributes.check(call)
        self.steps.append((operator, dynamic))
        return made if isinstance(made, (tuple, list)) else [made]

    def _operator(self, call: OnnxCall, known: Mapping[str, np.ndarray]) -> OnnxOperator:
        fixed = {position: known[name] for position, name in enumerate(call.inputs) if name in known}
        operator = OnnxOperator(call, fixed, self.network.single)
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
