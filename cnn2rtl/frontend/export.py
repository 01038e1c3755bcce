"""Capture a network with ``torch.export``."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import fx, nn
from torch.export import ExportedProgram
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from cnn2rtl.errors import UserError
from cnn2rtl.foreign import said
from cnn2rtl.frontend.layout import converted
from cnn2rtl.frontend.quiet import quiet
from cnn2rtl.frontend.reparametrised import plain
from cnn2rtl.frontend.sizes import SizesJudged, TooLarge
from cnn2rtl.graph import FloatGraph
from cnn2rtl.limits import too_large
from cnn2rtl.tensors import INPUT, times

Dims: TypeAlias = "Sequence[int] | Sequence[Sequence[int]]"
"""Of one image, (c, h, w), (c, length) or (features,); of several inputs, one for each."""

_UNINITIALISED = (UninitializedParameter, UninitializedBuffer)

WHOLE = {name: getattr(torch, name) for name in ("uint8", "int8", "uint16", "int16", "int32", "int64")}
"""Types of whole numbers that a model may declare for an input, by numpy's names."""


def capture(
    model: nn.Module | ExportedProgram,
    shape: Dims | None,
    name: str,
    inputs: Sequence[str] = (),
    dtypes: Sequence[str] = (),
    outputs: Sequence[str] = (),
) -> FloatGraph:
    """The float graph, called ``name``, of ``model`` for inputs of ``shape``; ``inputs`` names several.

    It ends in the layers that are called ``outputs``, where there are any, in place of the model's own results.

    ``shape`` may be ``None`` for an :class:`ExportedProgram`, which knows its own. Inputs of a module are floats,
    unless ``dtypes`` has a type of whole numbers for them and the module runs on these. A module is copied, never
    changed. Raises one :class:`UserError` that lists every operation without a counterpart in
    hardware, or says why the model cannot be captured at all.
    """
    shapes = None if shape is None else _each(shape)
    problems = [f"the model's input: {why}" for each in shapes or () if (why := too_large(each))]
    if problems:
        raise UserError(problems)
    program = model if isinstance(model, ExportedProgram) else _export(model, shapes, dtypes)
    _check_inputs(_user_inputs(program), shapes)
    if any(isinstance(n.target, torch._ops.OpOverload) and n.target._schema.is_mutable for n in program.graph.nodes):
        # Tensors that change under their name (ReLU(inplace=True)) become values; all else stays as it is.
        try:
            with quiet():
                program = program.run_decompositions({})
        except Exception as error:
            raise UserError(f"the model cannot be captured: its forward() {said(error)}") from None
    sources = _user_inputs(program)
    names = [INPUT] if len(sources) == 1 else list(inputs) or [node.name for node in sources]
    return converted(program, dict(zip(names, sources, strict=True)), name, outputs)


def _each(shape: Dims) -> list[tuple[int, ...]]:
    """The shape of each input."""
    several = shape if shape and isinstance(shape[0], Sequence) else [shape]
    return [tuple(one) for one in several]  # type: ignore[arg-type]


def _check_inputs(sources: Sequence[fx.Node], shapes: Sequence[tuple[int, ...]] | None) -> None:
    """Raise :class:`UserError` unless these are feature maps of ``shapes``, of one batch."""
    found = [node.meta["val"].shape for node in sources]
    if any(not 2 <= len(dims) <= 4 or not all(isinstance(size, int) for size in dims[1:]) for dims in found):
        raise UserError(
            f"the model's input is {_listed(found)}; (n, c, h, w) of fixed size is expected, or (n, c, "
            "length), or (n, features)"
        )
    if len({str(dims[0]) for dims in found}) > 1:
        raise UserError(f"the model's inputs are {_listed(found)}; all must have the same number of images, n")
    own = [tuple(dims[1:]) for dims in found]
    if shapes is not None and own != shapes:
        known, asked = (" and ".join(times(dims) for dims in each) for each in (own, shapes))
        raise UserError(f"the model was exported for a {known} input, but {asked} is asked for")


def _listed(shapes: Sequence[Sequence[object]]) -> str:
    return " and ".join(f"({', '.join(map(str, dims))})" for dims in shapes)


def _export(model: nn.Module, shapes: Sequence[tuple[int, ...]] | None, declared: Sequence[str]) -> ExportedProgram:
    if shapes is None or not all(1 <= len(shape) <= 3 and min(shape) >= 1 for shape in shapes):
        raise UserError("the model file does not tell its input's shape; give channels, height and width")
    problems = _unreadable(model)
    if problems:
        raise UserError(problems)
    parameters = list(inspect.signature(model.forward).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = [p for p in parameters if p.kind in positional]
    needed = [p.name for p in taken if p.default is p.empty]
    open_ended = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    if len(needed) > len(shapes) or (len(shapes) > max(len(taken), 1) and not open_ended):
        raise UserError(
            f"the model takes {len(needed)} inputs ({', '.join(needed)}), but the size of {len(shapes)} is given; "
            "give one for each, like 3x128x128,10"
        )
    model = plain(model)
    dtypes = {tensor.dtype for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point()}
    if dtypes & {torch.half, torch.bfloat16}:
        model, dtypes = model.float(), {torch.float32}
    dtype = max(dtypes, key=lambda d: d.itemsize, default=torch.float32)
    examples = tuple(torch.zeros(1, *shape, dtype=dtype) for shape in shapes)
    kinds = [WHOLE.get(kind, dtype) for kind in declared] or [dtype] * len(examples)
    asked = tuple(example.to(kind) for example, kind in zip(examples, kinds, strict=True))
    if kinds.count(dtype) < len(kinds) and _runs(model, asked):
        examples = asked
    else:
        _try(model, examples)
    try:
        # With an error come logs and listings of the program.
        with quiet(logging.ERROR), contextlib.redirect_stderr(io.StringIO()), torch.no_grad():
            return torch.export.export(model, examples)
    except Exception as error:
        raise UserError(f"the model cannot be captured: its forward() {said(error)}") from None


def _unreadable(model: nn.Module) -> list[str]:
    """What of the model nobody can run, or follow."""
    layers = dict(model.named_modules())
    if any(isinstance(layer, torch.jit.ScriptModule) for layer in layers.values()):
        why = "the model is TorchScript, whose layers cannot be followed"
        return [f"{why}; give the nn.Module that it was made from, or what torch.export.export makes of that"]
    return [
        f"layer `{path or type(model).__name__}`: has no weights yet ({why}); {remedy}"
        for path, layer in layers.items()
        for why, remedy, empty in (
            ("it is lazy", "run the model once before it is given", lambda p: isinstance(p, _UNINITIALISED)),
            ("it is on the meta device", "load them first", lambda p: p.is_meta),
        )
        if any(empty(tensor) for tensor in (*layer.parameters(False), *layer.buffers(False)))
    ]


def _runs(model: nn.Module, examples: tuple[torch.Tensor, ...]) -> bool:
    """Whether the model takes ``examples`` at all."""
    try:
        _try(model, examples)
    except UserError:
        return False
    return True


def _try(model: nn.Module, examples: tuple[torch.Tensor, ...]) -> None:
    """Run the model once, to name the layer that does not fit the input; ``torch.export`` would not."""
    running: list[str] = []

    def enter(name: str) -> Callable[..., None]:
        return lambda *_: running.append(name)

    def leave(*_: object) -> None:
        running.pop()

    hooks = []
    for name, module in model.named_modules():
        hooks += [module.register_forward_pre_hook(enter(name)), module.register_forward_hook(leave)]
    try:
        with quiet(), torch.no_grad(), SizesJudged():
            model(*examples)
    except TooLarge as error:
        raise UserError(f"layer `{running[-1] or type(model).__name__}`: {error}") from None
    except Exception as error:
        sizes = " and ".join(times(example.shape[1:]) for example in examples)
        where = f"layer `{running[-1]}`" if running and running[-1] else "its forward()"
        raise UserError(
            f"the model does not run on a {sizes} input: {where} {said(error)}{_turned(model, examples)}"
        ) from None
    finally:
        for hook in hooks:
            hook.remove()


def _turned(model: nn.Module, examples: tuple[torch.Tensor, ...]) -> str:
    """The size that was meant, where the model runs on images whose channels are the last number that was given."""
    turned = tuple(example.movedim(-1, 1) if example.ndim == 4 else example for example in examples)
    shapes = [tuple(example.shape) for example in turned]
    if shapes == [tuple(example.shape) for example in examples]:
        return ""
    try:
        with quiet(), torch.no_grad(), SizesJudged():
            model(*turned)
    except Exception:
        return ""
    meant = " and ".join(f"`example=({', '.join(map(str, shape[1:]))})`" for shape in shapes)
    return f" It runs on {meant}: channels come first"


def _user_inputs(program: ExportedProgram) -> list[fx.Node]:
    """The program's inputs; raises :class:`UserError` where it has none, or one that is no tensor."""
    signature = program.graph_signature
    inputs: list[fx.Node] = [node for node in program.graph.nodes if node.name in signature.user_inputs]
    if not inputs or not signature.user_outputs:
        missing = "inputs" if not inputs else "outputs"
        raise UserError(f"the model has no {missing}; at least one image goes in, and one map comes out")
    if len(inputs) != len(signature.user_inputs) or any(
        not isinstance(node.meta.get("val"), torch.Tensor) for node in inputs
    ):
        raise UserError("the model's input is not a tensor; every input must be one")
    return inputs
