"""Capture a network with ``torch.export``."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from cnn2rtl.errors import UserError
from cnn2rtl.frontend.conversion import Conversion
from cnn2rtl.frontend.quiet import first_line, quiet
from cnn2rtl.graph import FloatGraph, times


def capture(model: nn.Module | ExportedProgram, shape: Sequence[int] | None, name: str) -> FloatGraph:
    """The float graph, called ``name``, of ``model`` for one input of ``shape``: (c, h, w), (c, length) or (features,).

    ``shape`` may be ``None`` for an :class:`ExportedProgram`, which knows its own. A module is copied,
    never changed. Raises one :class:`UserError` that lists every operation without a counterpart in
    hardware, or says why the model cannot be captured at all.
    """
    program = model if isinstance(model, ExportedProgram) else _export(model, shape)
    source = user_input(program)
    own = tuple(source.meta["val"].shape[1:])
    if not 1 <= len(own) <= 3 or not all(isinstance(size, int) for size in own):
        raise UserError(
            f"the model's input is {(*source.meta['val'].shape,)}; (n, c, h, w) of fixed size is expected, or (n, c, "
            "length), or (n, features)"
        )
    if shape is not None and own != tuple(shape):
        raise UserError(f"the model was exported for a {times(own)} input, but {times(shape)} is asked for")
    if any(isinstance(n.target, torch._ops.OpOverload) and n.target._schema.is_mutable for n in program.graph.nodes):
        # Tensors that change under their name (ReLU(inplace=True)) become values; all else stays as it is.
        try:
            with quiet():
                program = program.run_decompositions({})
        except Exception as error:
            raise UserError(f"torch.export cannot make the model free of side effects: {first_line(error)}") from None
    return Conversion(program, user_input(program), name).graph()


def _export(model: nn.Module, shape: Sequence[int] | None) -> ExportedProgram:
    if shape is None or not 1 <= len(shape) <= 3 or min(shape) < 1:
        raise UserError("the model file does not tell its input's shape; give channels, height and width")
    parameters = inspect.signature(model.forward).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p.name for p in parameters if p.kind in positional and p.default is p.empty]
    if len(needed) > 1:
        raise UserError(f"the model takes {len(needed)} inputs ({', '.join(needed)}); one image is supported")
    model = copy.deepcopy(model).eval()
    dtypes = {tensor.dtype for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point()}
    if dtypes & {torch.half, torch.bfloat16}:
        model, dtypes = model.float(), {torch.float32}
    example = torch.zeros(1, *shape, dtype=max(dtypes, key=lambda d: d.itemsize, default=torch.float32))
    _try(model, example)
    try:
        with quiet():
            return torch.export.export(model, (example,))
    except Exception as error:
        raise UserError(
            f"torch.export cannot capture the model: {first_line(error)}; "
            "the usual reason is a forward() whose course depends on the values of a tensor"
        ) from None


def _try(model: nn.Module, example: torch.Tensor) -> None:
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
        with quiet(), torch.no_grad():
            model(example)
    except Exception as error:
        where = f"layer `{running[-1]}`" if running and running[-1] else "its forward()"
        raise UserError(
            f"the model does not run on a {times(example.shape[1:])} input, most likely because it was made for "
            f"another shape: {where} fails with {first_line(error)}"
        ) from None
    finally:
        for hook in hooks:
            hook.remove()


def user_input(program: ExportedProgram) -> fx.Node:
    """The program's one input; raises :class:`UserError` where it has more inputs, or more outputs, than one."""
    signature = program.graph_signature
    inputs: list[fx.Node] = [node for node in program.graph.nodes if node.name in signature.user_inputs]
    if len(inputs) != 1 or len(signature.user_inputs) != 1:
        raise UserError(f"the model takes {len(signature.user_inputs)} inputs; one image is supported")
    if len(signature.user_outputs) != 1:
        raise UserError(f"the model gives {len(signature.user_outputs)} outputs; one is supported")
    if not isinstance(inputs[0].meta.get("val"), torch.Tensor):
        raise UserError("the model's input is not a tensor")
    return inputs[0]
