"""An ONNX file as plain Python: its operators with their attributes, and its constants as arrays.

What files contain: https://onnx.ai/onnx/repo-docs/IR.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cnn2rtl.errors import UserError
from cnn2rtl.frontend.content import read_file
from cnn2rtl.frontend.cutting import chosen
from cnn2rtl.frontend.onnx_external import load_external
from cnn2rtl.frontend.quiet import first_line
from cnn2rtl.limits import too_large
from cnn2rtl.onnx_writer import load_onnx
from cnn2rtl.tensors import times

OLDEST = 7
"""The first opset whose operators broadcast as numpy does."""

NEWEST = 28
"""The last opset whose operators were read about; one that has changed since is refused."""

FLOATS = ("f", "V")
"""Kinds of numpy's types that are reals; bfloat16 and its like are no kind of numpy's own."""

UNKNOWN = 0
"""A size that the file does not tell."""


@dataclass(frozen=True, eq=False)
class OnnxCall:
    """One operator. ``inputs`` name tensors; an optional one that is left out is the empty string.

    ``since`` is the opset that brought the form of it which the file means, 0 for operators that are not onnx's own.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    since: int = 0

    @property
    def foreign(self) -> bool:
        """Whether it is none of onnx's own; its kind has a domain then."""
        return self.since == 0

    @property
    def output(self) -> str:
        """The first one that anything reads."""
        return next(name for name in self.outputs if name)


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """A network from the tensors ``sources``, each (n, *shape), to ``results``; ``calls`` in topological order.

    A size that the file does not tell is :data:`UNKNOWN`: see :meth:`sized`.
    """

    sources: Mapping[str, tuple[int, ...]]
    results: tuple[str, ...]
    calls: Sequence[OnnxCall]
    constants: Mapping[str, np.ndarray]
    opset: int
    single: bool = False
    """Whether the file is of one image, not of any number, so that its batch may be taken for another dimension."""

    dtypes: Mapping[str, str] = field(default_factory=dict)
    """The type that each of the ``sources`` has, by numpy's name."""

    @property
    def quantised(self) -> bool:
        """Whether it has its integers already."""
        return any(call.kind in ("QuantizeLinear", "DequantizeLinear") for call in self.calls)

    def ending(self, names: Sequence[str]) -> OnnxNetwork:
        """The same up to the tensors, or the results of the operators, of these ``names``; all of it if there are none.

        Raises :class:`UserError` for names of nothing.
        """
        if not names:
            return self
        ends = {call.name: next(filter(None, call.outputs)) for call in self.calls}
        ends |= {name: name for call in self.calls for name in call.outputs if name}
        results = tuple(chosen(names, ends))
        return replace(self, results=results, calls=_live(self.calls, results))

    @cached_property
    def moving(self) -> frozenset[str]:
        """The tensors that depend on an image; what depends on constants and on shapes alone does not."""
        found = set(self.sources)
        for call in self.calls:
            if call.kind != "Shape" and not found.isdisjoint(call.inputs):
                found.update(call.outputs)
        return frozenset(found)

    def sized(self, path: Path, shapes: Sequence[tuple[int, ...]] | None) -> OnnxNetwork:
        """The network with inputs of ``shapes``, in the order of the file; raises :class:`UserError`.

        ``shapes`` are needed where the file does not tell them all, and must be the file's where it does.
        """
        problems = []
        if shapes is not None and len(shapes) != len(self.sources):
            problems.append(f"`example=`: {len(shapes)} sizes for the {len(self.sources)} inputs of {path}")
        given = dict(zip(self.sources, shapes or (), strict=False))
        sources = {}
        for name, told in self.sources.items():
            sources[name] = shape = given.get(name, told)
            dims = ", ".join(str(size) if size != UNKNOWN else "?" for size in told)
            if UNKNOWN in shape:
                problems.append(
                    f"{path}: does not tell all sizes of its input `{name}`, (n, {dims}); say them with `example=`, "
                    f"like `example=({', '.join(str(size or 96) for size in told)})`"
                )
            elif len(shape) != len(told) or any(a not in (b, UNKNOWN) for a, b in zip(told, shape, strict=True)):
                problems.append(f"`example=`: {times(shape)} is given, and the input `{name}` of {path} is (n, {dims})")
            elif too_large(shape):
                problems.append(f"{path}: its input is too large: {too_large(shape)}")
        if problems:
            raise UserError(problems)
        return replace(self, sources=sources)


def read_onnx(path: Path) -> OnnxNetwork:
    """Read ``path``; raises :class:`UserError` for what is no such network.

    It runs no code, and reads no other file than those beside it that hold its weights.
    """
    onnx: Any = load_onnx()
    data = read_file(path)
    try:
        model = onnx.load_model_from_string(data)
        _check_age(onnx, model)
        if model.functions:
            from onnx import inliner

            model = inliner.inline_local_functions(model)
        _complete(onnx, model)
        load_external(onnx, model, path)
        onnx.checker.check_model(model)
        return _network(onnx, model)
    except Unsuitable as error:
        raise UserError(f"{path}: {error}") from None
    except UserError:
        raise
    except Exception as error:
        # Protobuf, the checker and numpy each have their own errors; there is no end to what a hostile file may hold.
        raise UserError(f"{path}: no ONNX file, or a damaged one ({first_line(error)})") from None


class Unsuitable(Exception):
    """A sound file, but not of a network that we could read."""


def _check_age(onnx: Any, model: Any) -> None:
    """Raise :class:`Unsuitable` for a file that is older or newer than what is known."""
    opset = _opset(model)
    if opset < OLDEST:
        raise Unsuitable(
            f"opset {opset}; {OLDEST} is the oldest that is read, since the operators before it meant other things. "
            f"Export it again with opset_version={OLDEST} or more, or convert it with onnx.version_converter"
        )
    known = onnx.defs.onnx_opset_version()
    if opset > known or model.ir_version > onnx.IR_VERSION:
        raise Unsuitable(
            f"opset {opset}, IR version {model.ir_version}; the installed onnx {onnx.__version__} knows opset {known} "
            f"and IR version {onnx.IR_VERSION}. Export it with opset_version={min(known, NEWEST)}, or install a newer "
            "onnx"
        )


def _opset(model: Any) -> int:
    return max((entry.version for entry in model.opset_import if entry.domain in OWN), default=0)


OWN = ("", "ai.onnx")
"""The names of onnx's own domain."""


def _complete(onnx: Any, model: Any) -> None:
    """Tell what the checker asks for, and nothing here depends on.

    Those are the shapes of results, and the domains of operators, which are to be refused as what they are.
    """
    for result in model.graph.output:
        if not result.type.tensor_type.HasField("shape"):
            result.type.tensor_type.shape.SetInParent()
    declared = {entry.domain for entry in model.opset_import}
    for domain in sorted({node.domain for node in model.graph.node} - declared - set(OWN)):
        model.opset_import.append(onnx.helper.make_opsetid(domain, 1))


def _network(onnx: Any, model: Any) -> OnnxNetwork:
    opset = _opset(model)

    def array(tensor: Any) -> np.ndarray:
        values: np.ndarray = onnx.numpy_helper.to_array(tensor)
        # Half precision and double: what is computed here is float32, as what becomes hardware is neither.
        return values.astype(np.float32) if values.dtype.kind in FLOATS else values

    constants = {tensor.name: array(tensor) for tensor in model.graph.initializer}
    if model.graph.sparse_initializer:
        raise Unsuitable("holds sparse weights; save them dense")
    calls = []
    for number, node in enumerate(model.graph.node):
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        own = node.domain in OWN
        if node.op_type == "Constant" and own:
            constants[node.output[0]] = _constant(array, attributes)
            continue
        name = (node.name.strip("/") or f"{node.op_type}_{number}").replace("/", ".")
        kind = node.op_type if own else f"{node.domain}.{node.op_type}"
        since = onnx.defs.get_schema(node.op_type, opset, "").since_version if own else 0
        calls.append(OnnxCall(kind, name, tuple(node.input), tuple(node.output), attributes, since))
    # Old files list their weights among the inputs.
    sources = [value for value in model.graph.input if value.name not in constants]
    results = tuple(value.name for value in model.graph.output)
    if not sources or not results:
        raise Unsuitable(f"has {len(sources)} inputs and {len(results)} outputs; at least one of each is needed")
    shapes = {value.name: _shape(value) for value in sources}
    single = all(value.type.tensor_type.shape.dim[0].dim_value == 1 for value in sources)
    dtypes = {
        value.name: str(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)) for value in sources
    }
    return OnnxNetwork(shapes, results, _live(calls, results), constants, opset, single, dtypes)


def _live(calls: Sequence[OnnxCall], results: Sequence[str]) -> list[OnnxCall]:
    """The operators that a result depends on; their outputs that nothing reads have the empty string for a name."""
    read, live = set(results), []
    for call in reversed(calls):
        if not read.isdisjoint(call.outputs):
            live.append(replace(call, outputs=tuple(name if name in read else "" for name in call.outputs)))
            read.update(call.inputs)
    return live[::-1]


def _shape(source: Any) -> tuple[int, ...]:
    """The sizes of an input without the batch."""
    tensor = source.type.tensor_type
    sizes = [dim.dim_value if dim.HasField("dim_value") else UNKNOWN for dim in tensor.shape.dim]
    if not 2 <= len(sizes) <= 4 or any(
        dim.HasField("dim_value") and dim.dim_value < 1 for dim in list(tensor.shape.dim)[1:]
    ):
        shown = ", ".join(str(size) if size != UNKNOWN else "?" for size in sizes)
        raise Unsuitable(
            f"its input `{source.name}` is ({shown}); (n, c, h, w) is needed, or (n, c, l), or (n, c), with n images"
        )
    excess = too_large(size or 1 for size in sizes[1:])
    if excess:
        raise Unsuitable(f"its input is too large: {excess}")
    return tuple(sizes[1:])


def _constant(array: Callable[[Any], np.ndarray], attributes: Mapping[str, Any]) -> np.ndarray:
    """The value of a Constant, in whichever attribute it is."""
    ((name, value),) = attributes.items()
    if name == "value":
        return array(value)
    kinds: Mapping[str, type[np.generic]] = {
        "value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64,
    }  # fmt: skip
    if name not in kinds:
        raise Unsuitable(f"has a Constant with `{name}`, which is not supported; numbers and tensors are")
    return np.array(value, kinds[name])
