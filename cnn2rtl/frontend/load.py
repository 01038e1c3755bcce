"""Read a model file. Its content decides what it is, never its suffix, and it never runs code.

A Python pickle is a program: loading one runs it. Files are therefore read with torch's restricted
unpickler and an allow-list of torch.nn classes, export archives pass the checks of
:mod:`cnn2rtl.frontend.archive`, and only the user's explicit ``trust_pickle`` lifts either.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

import torch
from torch import nn
from torch.export import ExportedProgram

from cnn2rtl.errors import UserError
from cnn2rtl.finite import REMEDY, not_finite
from cnn2rtl.foreign import said
from cnn2rtl.frontend import storage, structure
from cnn2rtl.frontend.architecture import instantiate, with_state
from cnn2rtl.frontend.archive import refusals
from cnn2rtl.frontend.content import content_of, is_fresh, read_file
from cnn2rtl.frontend.fresh import fresh
from cnn2rtl.frontend.quiet import quiet
from cnn2rtl.frontend.reparametrised import merge

Model: TypeAlias = nn.Module | ExportedProgram

# Where training scripts put the weights inside a checkpoint with epoch, optimiser and so on.
_CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model")

LAYER_CLASSES: tuple[type[nn.Module], ...] = tuple(
    cls
    for cls in vars(nn).values()
    if isinstance(cls, type)
    and issubclass(cls, nn.Module)
    and cls.__module__.startswith("torch.nn.modules.")
    and not cls.__name__.startswith("Lazy")
)
"""The classes a pickled model may consist of: torch's own layers and containers."""


def load_model(path: str | Path, arch: str | None = None, trust_pickle: bool = False, seed: int = 0) -> Model:
    """The model in ``path``: a ``torch.export`` archive, a pickled ``nn.Module``, or a state_dict.

    A state_dict (also inside a checkpoint, also one saved from ``DataParallel``) needs ``arch``,
    ``FILE.py:NAME``, with NAME a class or a factory that takes no arguments; that file is the
    user's own code and is run. ``trust_pickle`` lets ``path`` itself run code while it is read.
    In place of a file, ``zoo:NAME`` and ``FILE.py:NAME`` are untrained networks, with the weights of ``seed``.
    Raises :class:`UserError` for whatever is wrong with the file, and for weights that are not finite.
    """
    path = Path(path)
    if is_fresh(path):
        return fresh(path, arch, seed)
    data = read_file(path)
    content = content_of(path, data)
    if content == "archive":
        _refuse_arch(path, arch, "a torch.export archive")
        model: Model = _load_archive(path, data, trust_pickle)
    else:
        loaded = storage.restored(_unpickle(path, data, content, trust_pickle), path)
        if isinstance(loaded, nn.Module):
            _refuse_arch(path, arch, "a whole nn.Module")
            model = loaded
        else:
            state = _state_dict(loaded)
            if state is None:
                raise UserError(f"{path}: holds a {type(loaded).__name__}, neither an nn.Module nor a state_dict")
            if arch is None:
                raise UserError(
                    f"{path}: holds weights without a network (a state_dict); "
                    'say which network with `arch="FILE.py:NAME"`, a class or a factory without arguments'
                )
            model = instantiate(arch)
            if isinstance(loaded, Mapping) and structure.EDITS in loaded:
                merge(model)
                structure.replay(model, loaded[structure.EDITS], state, path, arch)
            with_state(model, state, path, arch)
    _require_finite(model, path)
    return model


def _refuse_arch(path: Path, arch: str | None, content: str) -> None:
    if arch is not None:
        raise UserError(f"{path}: holds {content}, network included; leave out `arch={arch}`")


def _load_archive(path: Path, data: bytes, trust_pickle: bool) -> ExportedProgram:
    if not trust_pickle:
        problems = refusals(data)
        if problems:
            raise UserError(
                [f"{path}: {problem}" for problem in problems]
                + [
                    (
                        "an archive that torch.export.save wrote for a plain CNN holds none of this: export the model "
                        "again, or, if you trust the file to run code, give `trust_pickle=True`"
                    )
                ]
            )
    try:
        with quiet():
            return torch.export.load(io.BytesIO(data))
    except Exception:
        raise UserError(
            f"{path}: torch {torch.__version__} cannot read this export archive; it is damaged, or another version of "
            "torch wrote it: export the model again"
        ) from None


def _unpickle(path: Path, data: bytes, content: str, trust_pickle: bool) -> object:
    try:
        # Weights saved on a GPU are read on any machine.
        with quiet(), torch.serialization.safe_globals(list(LAYER_CLASSES)):
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=not trust_pickle)
    except pickle.UnpicklingError as error:
        classes = _forbidden_classes(data, content, str(error))
        if classes:
            named = ", ".join(f"`{name}`" for name in classes)
            raise UserError(
                f"{path}: holds Python objects other than torch.nn layers: {named}. Reading them would run code "
                "of the file's choosing. Save the weights (model.state_dict()) and name the network with "
                '`arch="FILE.py:NAME"`, or save with torch.export.save, or, if you trust the file, give '
                "`trust_pickle=True`"
            ) from None
        if "Only persistent_load of storage" in str(error):
            raise UserError(
                f"{path}: holds a whole nn.Module in the format that torch wrote before 1.6, which cannot be read "
                "without running its code. Save the weights (model.state_dict()) and name the network with "
                '`arch="FILE.py:NAME"`, or, if you trust the file, give '
                "`trust_pickle=True`"
            ) from None
        problem = "the file is truncated or damaged"
    except (ImportError, AttributeError) as error:
        if trust_pickle:
            raise UserError(
                f"{path}: the network's own Python code is not at hand: it {said(error)}; "
                'save the weights (model.state_dict()) and name the network with `arch="FILE.py:NAME"`'
            ) from None
        problem = "the file is truncated or damaged"
    except Exception:
        problem = "the file is truncated or damaged"
    raise UserError(f"{path}: {problem}")


def _forbidden_classes(data: bytes, content: str, message: str) -> list[str]:
    """What a pickle names beyond the allow-list: all of it where torch can tell, else the first."""
    if content == "zip":
        try:
            with torch.serialization.safe_globals(list(LAYER_CLASSES)):
                return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data)))
        except Exception:
            # The list is a courtesy; the refusal stands without it.
            pass
    return re.findall(r"GLOBAL (\S+) (?:was not|whose module)", message)[:1]


def _is_state(value: object) -> TypeGuard[Mapping[str, torch.Tensor]]:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in value.items())
    )


def _state_dict(loaded: object) -> dict[str, torch.Tensor] | None:
    candidates: list[Any] = [loaded]
    if isinstance(loaded, Mapping):
        candidates += [loaded[key] for key in _CHECKPOINT_KEYS if key in loaded]
    for candidate in candidates:
        if _is_state(candidate):
            # DataParallel prefixes every name.
            parallel = all(name.startswith("module.") for name in candidate)
            return {name.removeprefix("module.") if parallel else name: value for name, value in candidate.items()}
    return None


def _require_finite(model: Model, path: Path) -> None:
    tensors: dict[str, Any] = {}
    if isinstance(model, ExportedProgram):
        tensors.update(model.state_dict)
        tensors.update(model.constants)
    else:
        tensors.update(model.named_parameters())
        tensors.update(model.named_buffers())
    problems = []
    for name, tensor in tensors.items():
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
            flaw = not_finite(tensor.detach().cpu().double().numpy())
            if flaw:
                problems.append(f"{path}: `{name}`: {flaw}; {REMEDY}")
    if problems:
        raise UserError(problems)
