"""Networks that can be trained, in files: what every step of compression reads, and leaves for the next one."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import nn

from cnn2rtl.errors import UserError
from cnn2rtl.frontend import load_model, structure
from cnn2rtl.frontend.load import LAYER_CLASSES
from cnn2rtl.output import check_file, write_file

SUFFIX = ".pt"


def read_module(file: Path, arch: str | None = None, trust_pickle: bool = False, seed: int = 0) -> nn.Module:
    """The float network in ``file``, as :func:`load_model` finds it; ``seed`` is for the weights of one that has none.

    Raises :class:`UserError` also for files of networks that cannot be trained any more.
    """
    kinds = {".onnx": "ONNX", ".npz": "a network that has its integers already"}
    kind = kinds.get(file.suffix.lower())
    model = None if kind else load_model(file, arch, trust_pickle, seed)
    if isinstance(model, nn.Module):
        return model.float()
    raise UserError(
        f"{file}: holds {kind or 'a torch.export archive'}, which cannot be trained; give the network that it was made "
        "from: what torch.save wrote of the module, or its state_dict with --arch FILE.py:NAME"
    )


def needs_arch(module: nn.Module) -> bool:
    """Whether a file of ``module`` is read with ``--arch`` only, as it has classes that are not torch's own."""
    return any(type(layer) not in LAYER_CLASSES for layer in module.modules())


def check_module_file(file: Path, force: bool = False) -> None:
    """Raise :class:`UserError` where :func:`write_module` could not write ``file``, or would lose something."""
    if file.suffix.lower() != SUFFIX:
        raise UserError(f"-o {file}: a name that ends with {SUFFIX} is expected")
    check_file(file, force)


def write_module(module: nn.Module, file: Path, force: bool = False) -> None:
    """Write ``module`` into ``file`` in one step, so that :func:`load_model` reads it.

    A module of torch's own layers is written whole. Of any other, its weights are, and how its structure differs from
    what its class makes (see :mod:`cnn2rtl.frontend.structure`).
    """
    check_module_file(file, force)
    content = {"state_dict": module.state_dict(), structure.EDITS: structure.edits_of(module)}
    buffer = io.BytesIO()
    torch.save(content if needs_arch(module) else module, buffer)
    write_file(file, buffer.getvalue(), force)
