"""Read a model file. Its content decides what it is, never its suffix, and it never runs code.

A Python pickle is a program: loading one runs it. Files are therefore read with torch's restricted
unpickler and an allow-list of torch.nn classes, export archives pass the checks of
:mod:`cnn2rtl.frontend.archive`, and only the user's explicit ``trust_pickle`` lifts either.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.export import ExportedProgram

from cnn2rtl.errors import UserError
from cnn2rtl.finite import REMEDY, not_finite
from cnn2rtl.foreign import said
from cnn2rtl.frontend import storage, structure
from cnn2rtl.frontend.architecture import instantiate, with_state
from cnn2rtl.frontend.archive import refusals
from cnn2rtl.frontend.checkpoint import find_weights, holds_weights, modules_in, unwrapped
from cnn2rtl.frontend.content import WITHOUT_NETWORK, content_of, is_fresh, read_file, split_weights
from cnn2rtl.frontend.fresh import fresh
from cnn2rtl.frontend.quiet import quiet
from cnn2rtl.frontend.reparametrised import merge
from cnn2rtl.frontend.unsupported import BY_LAYER

Model: TypeAlias = nn.Module | ExportedProgram

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

    A state_dict (also of safetensors, also inside a checkpoint, see :mod:`~cnn2rtl.frontend.checkpoint`) needs
    ``arch``: ``zoo:NAME``, or ``FILE.py:NAME`` with NAME a class or a factory that takes no arguments; that file is the
    user's own code and is run. Of several in a checkpoint, ``FILE:KEY`` is one. ``trust_pickle`` lets ``path`` itself
    run code while it is read. In place of a file, ``zoo:NAME`` and ``FILE.py:NAME`` are untrained networks, with the
    weights of ``seed``. Raises :class:`UserError` for whatever is wrong with the file, and for weights that are not
    finite.
    """
    path = Path(path)
    if is_fresh(path):
        return fresh(path, arch, seed)
    file, wanted = split_weights(path)
    data = read_file(file)
    content = content_of(file, data)
    if content == "archive":
        _refuse_arch(path, arch, wanted, "a torch.export archive")
        model: Model = _load_archive(path, data, trust_pickle)
    elif content == "safetensors":
        model = _with_weights(_load_safetensors(file, data), path, arch, wanted)
    else:
        loaded = storage.restored(_unpickle(file, data, content, trust_pickle), file)
        networks = modules_in(loaded)
        if arch is None and wanted is None and len(networks) == 1:
            (loaded,) = networks.values()
        elif arch is None and networks:
            loaded = _one_of(networks, path, wanted)
            wanted = None
        if isinstance(loaded, nn.Module):
            _refuse_arch(path, arch, wanted, "a whole nn.Module")
            model = loaded
        else:
            model = _with_weights(loaded, path, arch, wanted)
    if isinstance(model, nn.Module):
        _require_sound(model, path)
    _require_finite(model, path)
    return model


def _require_sound(model: nn.Module, path: Path) -> None:
    """Refuse modules that lack what every module has: a damaged pickle may leave out, or replace, any of it."""
    held = {name: (Mapping, set)[isinstance(kept, set)] for name, kept in vars(nn.Module()).items() if _holds(kept)}
    seen: set[int] = set()
    waiting: list[object] = [model]
    while waiting:
        module = waiting.pop()
        attributes = vars(module) if isinstance(module, nn.Module) else {}
        if not all(isinstance(attributes.get(name), kind) for name, kind in held.items()):
            raise UserError(f"{path}: the file is truncated or damaged")
        seen.add(id(module))
        waiting += [inner for inner in attributes["_modules"].values() if inner is not None and id(inner) not in seen]


def _holds(kept: object) -> bool:
    return isinstance(kept, (Mapping, set))


def _with_weights(loaded: object, path: Path, arch: str | None, wanted: str | None) -> nn.Module:
    """The network ``arch`` with the weights in ``loaded``."""
    if not holds_weights(loaded):
        raise UserError(
            f"{path}: holds a {type(loaded).__name__}, neither an nn.Module nor a state_dict; save one of these"
        )
    if arch is None:
        raise UserError(f"{path}: {WITHOUT_NETWORK}")
    model = unwrapped(instantiate(arch))
    if isinstance(loaded, Mapping) and structure.EDITS in loaded:
        merge(model)
        state = find_weights({storage.STATE: loaded[storage.STATE]}, model, path, arch, wanted)
        structure.replay(model, loaded[structure.EDITS], state, path, arch)
    else:
        state = find_weights(loaded, model, path, arch, wanted)
    with_state(model, state, path, arch)
    return model


def _one_of(networks: Mapping[str, nn.Module], path: Path, wanted: str | None) -> nn.Module:
    """That which is called ``wanted``, of several in a checkpoint."""
    if wanted is None or wanted not in networks:
        raise UserError(f"{path}: holds several networks; say which, like {path}:{next(iter(networks))}")
    return networks[wanted]


def _load_safetensors(path: Path, data: bytes) -> object:
    try:
        from safetensors.torch import load
    except ImportError:
        raise UserError(f"{path}: needs the package safetensors to be read; `pip install safetensors`") from None
    try:
        return load(data)
    except Exception:
        raise UserError(f"{path}: the file is truncated or damaged") from None


def _refuse_arch(path: Path, arch: str | None, wanted: str | None, content: str) -> None:
    if arch is not None:
        raise UserError(f"{path}: holds {content}, network included; leave out `arch={arch}`")
    if wanted is not None:
        raise UserError(f"{path}: holds {content}, and no weights beside it; leave out `:{wanted}`")


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
            raise UserError(_forbidden(path, classes, data)) from None
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


def _forbidden(path: Path, classes: Sequence[str], data: bytes) -> list[str]:
    """What is said of ``classes`` of a pickle; and of layers that would be refused in any file, too."""
    named = ", ".join(f"`{name}`" for name in classes)
    refused = {name: BY_LAYER[name] for name in _layers_named(data) if name in BY_LAYER}
    problems = [f"{path}: its `{name}` is not supported in any file: {about.told}" for name, about in refused.items()]
    problems.insert(
        0,
        f"{path}: holds Python objects other than torch.nn layers: {named}. Reading them would run code "
        "of the file's choosing. Save the weights (model.state_dict()) and name the network with "
        '`arch="FILE.py:NAME"`, or save with torch.export.save, or, if you trust the file, give '
        "`trust_pickle=True`",
    )
    return problems


def _layers_named(data: bytes) -> list[str]:
    """The classes of torch.nn that a pickle in a zip file names; nothing of it is run."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            program = next(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))
        found = [str(argument) for code, argument, _ in pickletools.genops(program) if code.name == "GLOBAL"]
    except Exception:
        # What is told of it is a courtesy; the refusal stands without it.
        return []
    return sorted({name.split()[-1] for name in found if name.startswith("torch.nn.modules.")})


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
