"""Convert the ATen operations of an exported program to the float graph."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import fx
from torch.export import ExportedProgram

from cnn2rtl.errors import UserError
from cnn2rtl.foreign import said
from cnn2rtl.frontend.call import Call, Map, Refused
from cnn2rtl.frontend.converters import CONVERTERS, INDICES, MOVES, SCATTERED, Result
from cnn2rtl.frontend.cutting import chosen
from cnn2rtl.frontend.dependence import ancestors, operator_of, operators_behind
from cnn2rtl.frontend.outputs import Outputs
from cnn2rtl.frontend.quiet import quiet
from cnn2rtl.frontend.relabel import moved
from cnn2rtl.frontend.unsupported import BY_LAYER, SUPPORTED, of_torch
from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.limits import too_large
from cnn2rtl.ops import Identity, Input, Op
from cnn2rtl.tensors import Clamp

# Operators that make a constant of plain numbers.
_FACTORIES = frozenset(("arange", "eye", "full", "linspace", "ones", "scalar_tensor", "zeros"))


MIXED = "mixes the images of a batch or drops the batch dimension; keep it first, as in flatten(1)"

Value: TypeAlias = "Map | list[Map] | torch.Tensor | None"


# Modules that are a layer of their own, and give it their name.
_LAYERS = ("torch.nn.modules.", "cnn2rtl.frontend.onnx_float.OnnxOperator")


class Conversion:
    """One program on its way into a graph, with the problems found so far; ``sources`` are its inputs by name.

    Of these, ``channels_last`` have the channels as their last dimension. The graph ends in the layers that are called
    ``outputs``, where there are any.
    """

    def __init__(
        self,
        program: ExportedProgram,
        sources: Mapping[str, fx.Node],
        name: str,
        channels_last: Collection[str] = (),
        outputs: Sequence[str] = (),
    ) -> None:
        self.outputs = outputs
        self.channels_last = channels_last
        self.program, self.name = program, name
        self.sources = {node: name for name, node in sources.items()}
        self.batch = str(next(iter(self.sources)).meta["val"].shape[0])
        # What each program value is here: a feature map, several, a constant tensor, or None for a size.
        self.values: dict[fx.Node, Value] = {}
        self.nodes: list[Node] = []
        self.names: set[str] = set()
        self.problems: list[str] = []
        self.notes: list[str] = []
        # Which node makes the map of a view that some layer needs.
        self.moved: dict[tuple[object, ...], Map] = {}
        # The operators of all that depends on a node.
        self.behind: Mapping[fx.Node, frozenset[str]] = {}

    def graph(self) -> FloatGraph:
        """Convert every operation the output depends on; one :class:`UserError` lists those that cannot be."""
        output = next(node for node in self.program.graph.nodes if node.op == "output")
        signature = self.program.graph_signature
        made = {node.name: node for node in output.all_input_nodes}
        results = [made.get(name, output) for name in signature.user_outputs]
        if self.outputs:
            results = chosen(self.outputs, self._ends(output))
        live = ancestors(results)
        self.behind = operators_behind([node for node in self.program.graph.nodes if node is not output], live)
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self._placeholder(node)
            elif node in live and node is not output:
                try:
                    self.values[node] = self._operation(node)
                except Refused as refused:
                    self._refuse(node, refused)
                    # The operations behind it are judged all the same.
                    self.values[node] = _unknown(node)
        if signature.buffers_to_mutate:
            written = ", ".join(f"`{name}`" for name in signature.buffers_to_mutate.values())
            self.problems.append(f"the model changes {written} while it runs; only fixed weights are supported")
        outputs = Outputs(self)
        for number, result in enumerate(results):
            self._output(
                outputs, result, "the model's output" if len(results) == 1 else f"output {number} of the model"
            )
        for node, name in self.sources.items():
            if node not in live and len(self.sources) > 1:
                self.problems.append(f"the model does nothing with its input `{name}`; leave it out")
        if self.problems:
            raise UserError(self.problems)
        return FloatGraph(
            self.name, self._needed(outputs.nodes), tuple(outputs.nodes), tuple(self.notes), tuple(outputs.restored)
        )

    def _ends(self, output: fx.Node) -> Mapping[str, fx.Node]:
        """What the graph may end in: each layer, under the name that it gets, and the last one of each module."""
        layers: dict[str, fx.Node] = {}
        modules: dict[str, fx.Node] = {}
        for node in self.program.graph.nodes:
            if node.op == "placeholder" or node is output or node.target is operator.getitem:
                continue
            if isinstance(node.meta.get("val"), (torch.Tensor, tuple, list)):
                layers[_numbered(_layer_name(node), layers)] = node
                modules |= {path: node for path, _ in _modules(node) if path}
        return {**layers, **modules}

    def _output(self, outputs: Outputs, result: fx.Node, which: str) -> None:
        """Add the map of a result of the model's to its ``outputs``."""
        value = self.values.get(result)
        if isinstance(value, list):
            self.problems.append(
                f"{which}, `{_layer_name(result)}`, gives several tensors; name what takes one of them"
            )
        elif isinstance(value, Map) and value.loose:
            self.problems.append(f"{which} {MIXED}")
        elif not isinstance(value, Map):
            self.problems.append(f"{which} does not depend on its input")
        elif not self.problems:
            dims = _dims(result)
            outputs.add(value, dims if prod(dims) == prod(value.dims) else value.dims)

    def _needed(self, outputs: Sequence[str]) -> tuple[Node, ...]:
        """The inputs, and the nodes that the ``outputs`` depend on: some were made for a view that needed none."""
        needed = set(outputs)
        for node in reversed(self.nodes):
            needed.update(node.inputs if node.name in needed else ())
        return tuple(node for node in self.nodes if node.name in needed or not node.inputs)

    def _refuse(self, node: fx.Node, refused: Refused) -> None:
        problem = f"`{_layer_name(node)}` ({operator_of(node)}): {refused}"
        for path, cls in _modules(node):
            # Said once of the layer, not of each of its many operations.
            name = cls.rpartition(".")[2]
            if cls.startswith("torch.nn.modules.") and name in BY_LAYER:
                problem = f"`{path or self.name}` ({name}): is not supported; {BY_LAYER[name].told}"
                break
        if problem not in self.problems:
            self.problems.append(problem)

    def layer(self, name: str, op: Op, sources: tuple[Map, ...], clamp: Clamp) -> Map:
        """Add a layer; part of what a converter sees as :class:`~cnn2rtl.frontend.call.Builder`."""
        sources = tuple(self.plain(source) for source in sources)
        try:
            shape = op.out_shape([source.shape for source in sources])
        except ValueError as error:
            raise Refused(str(error)) from None
        made = Map(self._unique(name), shape, shape)
        self.nodes.append(Node(made.node, op, tuple(source.node for source in sources), shape, clamp))
        return made

    def note(self, text: str) -> None:
        self.notes.append(text)

    def plain(self, view: Map) -> Map:
        """``view`` as the whole map of some node: that of layers which move the values, where they need moving."""
        if view.plain:
            return view
        if view.parts:
            raise Refused("joins views of several maps; these can be outputs of the network, and nothing else")
        key = (view.node, view.sized, view.value, view.positions.tobytes())
        if key not in self.moved:
            self.moved[key] = self._moved(view)
        return self.moved[key]

    def _moved(self, view: Map) -> Map:
        """At once where layers can do that, else one move after the other."""
        try:
            return moved(self, view)
        except Refused:
            before, again = view.before, view.again
            if before is None or again is None or before.plain:
                raise
            return self.plain(again(self.plain(before).reshaped(before.dims)))

    def _placeholder(self, node: fx.Node) -> None:
        if node in self.sources:
            name, dims = self.sources[node], _dims(node)
            source = (_streamed if name in self.channels_last else _whole)(self._unique(name), dims)
            self.values[node] = source
            dtype = str(node.meta["val"].dtype).removeprefix("torch.")
            self.nodes.append(Node(source.node, Input(source.shape, dtype), (), source.shape))
            return
        signature = self.program.graph_signature
        constants = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        if node.name in constants:
            target = constants[node.name]
            tensors = self.program.state_dict if target in self.program.state_dict else self.program.constants
            self.values[node] = tensors[target]

    def _operation(self, node: fx.Node) -> Value:
        """Convert one call; raises :class:`Refused`."""
        made = node.meta.get("val")
        if node.target is operator.getitem:
            return self._item(node)
        if made is None or isinstance(made, (int, torch.SymInt)):
            return None
        if not isinstance(node.target, torch._ops.OpOverload):
            raise Refused("is not supported; it is no plain tensor operation")
        for tensor in made if isinstance(made, (tuple, list)) else [made]:
            excess = too_large(size for size in getattr(tensor, "shape", ()) if isinstance(size, int))
            if excess:
                raise Refused(f"makes too large a tensor: {excess}")
        args = self._arguments(node, node.target._schema)
        if _constant(args) or operator_of(node) in _FACTORIES:
            return _evaluate(node.target, args)
        overload = str(node.target)
        if overload not in CONVERTERS:
            raise Refused(f"is not supported; {of_torch(operator_of(node))}")
        if any(source.loose for source in _maps(args)) or (self.batch == "1" and _mixes(made)):
            return self._loosely(node, overload, args)
        behind = self.behind[node]
        ends = behind <= SCATTERED
        call = Call(overload, args, _dims(node), _layer_name(node), node.target, self, behind, ends)
        tensors = made if isinstance(made, (tuple, list)) else [made]
        if overload not in INDICES:
            self._require_map(tensors[0], whole=overload in MOVES and self._keeps_type(node))
        # What comes of constants that cannot be (a variance below 0) is refused with the layer that it ends in.
        try:
            with np.errstate(all="ignore"):
                result = CONVERTERS[overload](call)
        except Exception:
            if any(not source.node for source in call.sources):
                # Of something that was refused, of which not even the shape may be right.
                return _unknown(node)
            raise
        for tensor in tensors[1:] if isinstance(result, list) else []:
            self._require_map(tensor)
        return self._checked(call, result)

    def _loosely(self, node: fx.Node, overload: str, args: dict[str, Any]) -> Value:
        """A move that mixes images with other dimensions, or takes them apart again: of one image, nothing is mixed."""
        sources = _maps(args)
        if overload not in MOVES or len(sources) != 1:
            raise Refused(MIXED)
        if not sources[0].node:
            # Of something that was refused, of which not even the shape may be right.
            return _unknown(node)
        assert callable(node.target)
        return sources[0].moved(node.target, args, _layer_name(node))

    def _checked(self, call: Call, result: Result) -> Value:
        """What a converter has made, as a tensor of the size that torch tells."""
        if isinstance(result, Clamp):
            result = call.pointwise(Identity(), call.source, clamp=result)
        if isinstance(result, Op):
            result = call.layer(result, *call.sources).reshaped(call.out)
        first = result[0] if isinstance(result, list) else result
        if call.operator not in INDICES and first.dims != call.out:
            if not first.node:
                return _stand_in(call.out)
            raise Refused(f"is not understood: it would make {first.dims} of what torch makes {call.out}")
        return result

    def _arguments(self, node: fx.Node, schema: torch.FunctionSchema) -> dict[str, Any]:
        """Every argument by its name in the operator's schema, with values in place of program nodes."""
        named: dict[str, Any] = {p.name: p.default_value for p in schema.arguments if p.has_default_value()}
        named.update(zip((p.name for p in schema.arguments), node.args, strict=False))
        named.update(node.kwargs)
        return {name: self._value(argument) for name, argument in named.items()}

    def _value(self, argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return self.values[argument]
        if isinstance(argument, (list, tuple)):
            return [self._value(inner) for inner in argument]
        return argument

    def _item(self, node: fx.Node) -> Value:
        producer, index = node.args
        assert isinstance(producer, fx.Node) and isinstance(index, int)
        value = self.values[producer]
        if isinstance(value, list):
            return value[index]
        if index != 0 and str(producer.target) in CONVERTERS:
            raise Refused(
                f"result {index} of {operator_of(producer)} (the indices of the largest values) is not supported"
            )
        return value

    def _keeps_type(self, node: fx.Node) -> bool:
        """Whether the result's type is that of the maps that go in; constants may be indices."""
        made = node.meta["val"]
        made = made[0] if isinstance(made, (tuple, list)) else made
        maps = (source for source in node.all_input_nodes if isinstance(self.values[source], Map))
        return all(source.meta["val"].dtype == made.dtype for source in maps)

    def _require_map(self, value: object, whole: bool = False) -> None:
        """Refuse what is not one tensor of fixed size per image, of floats or, if ``whole``, of any real numbers."""
        if not isinstance(value, torch.Tensor) or not (whole or value.is_floating_point()):
            raise Refused(f"does not give a tensor of floats; {SUPPORTED}")
        if not value.shape or str(value.shape[0]) != self.batch:
            raise Refused(MIXED)
        if not all(isinstance(size, int) for size in value.shape[1:]):
            raise Refused(f"gives a tensor of variable size {tuple(value.shape)}; export the model with a fixed size")

    def _unique(self, name: str) -> str:
        """``name``, or with a number where a module is called more than once."""
        unique = _numbered(name, self.names)
        self.names.add(unique)
        return unique


def _numbered(name: str, taken: Collection[str]) -> str:
    count, unique = 1, name
    while unique in taken:
        count += 1
        unique = f"{name}_{count}"
    return unique


def _evaluate(target: torch._ops.OpOverload[..., Any], args: dict[str, Any]) -> torch.Tensor:
    """What depends on constants alone, as weights under a pruning mask or weight normalisation do, is one too."""
    try:
        with torch.no_grad(), quiet():
            value = target(**args)
    except Exception as error:
        raise Refused(f"cannot be computed ahead of time: it {said(error)}") from None
    if not isinstance(value, torch.Tensor):
        raise Refused("computes several constants at once, which is not supported; do that when the model is made")
    return value


def _maps(args: Mapping[str, Any]) -> list[Map]:
    leaves = (leaf for value in args.values() for leaf in (value if isinstance(value, list) else [value]))
    return [leaf for leaf in leaves if isinstance(leaf, Map)]


def _mixes(made: Any) -> bool:
    """Whether an operation's (first) result has something else in the place of the one image."""
    first = made[0] if isinstance(made, (tuple, list)) and made else made
    return isinstance(first, torch.Tensor) and tuple(first.shape[:1]) != (1,)


def _constant(args: dict[str, Any]) -> bool:
    """Whether an operator's arguments hold tensors, and only constant ones."""
    leaves = [leaf for value in args.values() for leaf in (value if isinstance(value, list) else [value])]
    return any(isinstance(leaf, torch.Tensor) for leaf in leaves) and not any(isinstance(leaf, Map) for leaf in leaves)


def _unknown(node: fx.Node) -> Value:
    """What stands for the result of an operation that was refused."""
    made = node.meta.get("val")
    if isinstance(made, (tuple, list)):
        return [_stand_in(tuple(t.shape[1:]) if isinstance(t, torch.Tensor) else ()) for t in made]
    return _stand_in(_dims(node))


def _stand_in(dims: tuple[int, ...]) -> Map:
    return _whole("", dims) if len(dims) <= 3 else Map("", (prod(dims), 1, 1), dims)


def _whole(node: str, dims: tuple[int, ...]) -> Map:
    """The map of ``node`` as it stands, as a tensor of ``dims``."""
    view = Map(node, (1, 1, 1), dims)
    return replace(view, shape=view.sized)


def _streamed(node: str, dims: tuple[int, ...]) -> Map:
    """The map of ``node``, whose channels are the last of ``dims``, as a tensor of these."""
    order = np.moveaxis(np.arange(prod(dims)).reshape(dims[-1], *dims[:-1]), 0, -1)
    sized = _whole(node, (dims[-1], *dims[:-1]))
    return sized.at(order)


def _dims(node: fx.Node) -> tuple[int, ...]:
    """The (first) result's shape without the batch; unchecked."""
    made = node.meta.get("val")
    made = made[0] if isinstance(made, (tuple, list)) and made else made
    return tuple(made.shape[1:]) if isinstance(made, torch.Tensor) else ()


def _modules(node: fx.Node) -> list[tuple[str, str]]:
    """(path, class) of the modules that the operation is in, outermost first."""
    stack = (node.meta.get("nn_module_stack") or {}).values()
    return [
        (path, f"{cls.__module__}.{cls.__qualname__}" if isinstance(cls, type) else str(cls))
        for path, cls in stack
        if not path.startswith("_empty_nn_module_stack")
    ]


def _layer_name(node: fx.Node) -> str:
    """A layer's module path; for an operation in some forward(), that module's path and the operator's name."""
    path, cls = (_modules(node) or [("", "")])[-1]
    if path and cls.startswith(_LAYERS) and not cls.startswith("torch.nn.modules.container."):
        return path
    return f"{path}.{operator_of(node).strip('_')}".lstrip(".")
