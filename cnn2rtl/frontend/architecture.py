"""The network that a state_dict belongs to: ``arch``, ``FILE.py:NAME``."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from cnn2rtl import zoo
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import reparametrised
from cnn2rtl.frontend.content import ZOO, split_arch
from cnn2rtl.frontend.quiet import first_line
from cnn2rtl.frontend.reparametrised import plain_names

COUNTER = "num_batches_tracked"
"""Checkpoints from before torch 0.4.1 lack BatchNorm's batch counter, which nothing here needs."""


def instantiate(arch: str, parameter: str = "arch") -> nn.Module:
    """Run FILE.py and call (or take) NAME, or make the network ``zoo:NAME``.

    Raises :class:`UserError` if that does not give an ``nn.Module``. ``parameter`` is what the user gave it as.
    """
    if arch.startswith(ZOO):
        return zoo.build(arch)
    path, name = split_arch(arch, parameter)
    file = str(path)
    module = _run(path, parameter)
    if not hasattr(module, name):
        raise UserError(f"`{parameter}={arch}`: {file} does not define `{name}`{_candidates(module)}")
    factory = getattr(module, name)
    if isinstance(factory, nn.Module):
        return factory
    if not callable(factory):
        raise UserError(f"`{parameter}={arch}`: `{name}` is a {type(factory).__name__}, neither a class nor a factory")
    try:
        model = factory()
    except (Exception, SystemExit) as error:
        raise UserError(
            f"`{parameter}={arch}`: calling {name}() failed: {_describe(error, file)}; "
            f"if it takes arguments, write a factory without any that passes them{_candidates(module, name)}"
        ) from None
    if not isinstance(model, nn.Module):
        given = f"{name}() gives a {type(model).__name__}, not an nn.Module"
        raise UserError(f"`{parameter}={arch}`: {given}{_candidates(module, name)}")
    return model


def _candidates(module: ModuleType, besides: str = "") -> str:
    """What in the user's file may be meant: networks, and what is called without arguments, nobody's own first."""
    found = [
        name
        for name, value in vars(module).items()
        if name != besides and (isinstance(value, nn.Module) or _makes_itself(value, module.__name__))
    ]
    return f"; it defines {', '.join(sorted(found, key=lambda name: name.startswith('_')))}" if found else ""


def _makes_itself(value: object, module: str) -> bool:
    """Whether it is a class of networks, or a function, of that module, and needs no arguments."""
    if getattr(value, "__module__", None) != module or not callable(value):
        return False
    if isinstance(value, type) and not issubclass(value, nn.Module):
        return False
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return False
    return not any(p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def _run(file: Path, parameter: str) -> ModuleType:
    name = f"cnn2rtl_arch_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UserError(f"`{parameter}=`: {file}: is not a Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    # Registered, as dataclasses look their module up; its folder on the path, as a network may import its neighbours.
    sys.modules[name] = module
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(f"`{parameter}=`: running {file} failed: {_describe(error, str(file))}") from None
    finally:
        sys.path.remove(str(file.parent))
    return module


def _describe(error: BaseException, file: str) -> str:
    """One line: the error's type and text, and the line of the user's file that it came through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == Path(file)]
    where = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {first_line(error)}{where}"


def with_state(model: nn.Module, state: Mapping[str, torch.Tensor], path: Path, arch: str) -> None:
    """Give ``model`` the weights of ``state``; one :class:`UserError` lists every name and shape that differs.

    Weights that are computed from others (:mod:`~cnn2rtl.frontend.reparametrised`) may be stored in either form.
    """
    own = model.state_dict()
    if not own.keys() <= state.keys() and plain_names(own) <= plain_names(state):
        # The same weights, computed by a hook here and plain ones there, or the other way round.
        reparametrised.merge(model)
        reparametrised.expect(model, state)
        own = model.state_dict()
    missing = [name for name in own if name not in state and not name.endswith(COUNTER)]
    unexpected = [name for name in state if name not in own]
    problems = []
    if missing:
        problems.append(f"{path}: weights that {arch} needs are missing: {', '.join(missing)}")
    if unexpected:
        problems.append(f"{path}: holds weights that {arch} does not have: {', '.join(unexpected)}")
    if any(".parametrizations." in f".{name}" for name in (*missing, *unexpected)):
        problems.append(
            f"{path}: weights that torch.nn.utils.parametrize computes are stored as what they are computed from; "
            f"let {arch} have the same parametrisations, or save the weights after remove_parametrizations"
        )
    for name, value in state.items():
        if name in own and own[name].shape != value.shape:
            problems.append(f"{path}: `{name}` is {_shape(value)}, but {arch} has {_shape(own[name])}")
        elif name in own and own[name].is_floating_point() and not value.is_floating_point():
            problems.append(
                f"{path}: `{name}` holds {_kind(value)}, but {arch} has floats; save the float network's weights"
            )
    if problems:
        raise UserError(problems)
    found = model.load_state_dict(dict(state), strict=False)
    unset = [name for name in found.missing_keys if not name.endswith(COUNTER)]
    if unset:
        raise UserError(
            f"{path}: {arch} does not take the weights of its own names, but others than {', '.join(unset)}"
        )


def _kind(tensor: torch.Tensor) -> str:
    if tensor.is_quantized:
        return "numbers that torch has quantised"
    return "complex numbers" if tensor.is_complex() else "whole numbers"


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"
