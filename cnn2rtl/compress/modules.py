"""Networks that can be trained, in files: what every step of compression reads, and leaves for the next one."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from cnn2rtl.compress.files import check_module_file
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import structure
from cnn2rtl.frontend.load import LAYER_CLASSES
from cnn2rtl.frontend.storage import STATE, packed
from cnn2rtl.output import write_file
from cnn2rtl.reading import open_file

Storage: TypeAlias = Literal["float32", "float16", "int8"]
"""Numbers in a file; int8 is that of :mod:`cnn2rtl.frontend.storage`."""


def read_module(file: Path, arch: str | None = None, trust_pickle: bool = False, seed: int = 0) -> nn.Module:
    """The float network in ``file``, as :mod:`cnn2rtl.reading` finds it.

    ``seed`` is for the weights of one that has none.
    Raises :class:`UserError` also for files of networks that cannot be trained any more.
    """
    return open_file(file, arch, trust_pickle=trust_pickle).module(seed)


def needs_arch(module: nn.Module) -> bool:
    """Whether a file of ``module`` is read with ``arch`` only, as it has classes that are not torch's own."""
    return any(type(layer) not in LAYER_CLASSES for layer in module.modules())


def write_module(module: nn.Module, file: Path, force: bool = False) -> None:
    """Write ``module`` into ``file`` in one step, so that :func:`read_module` reads it.

    A module of torch's own layers is written whole. Of any other, its weights are, and how its structure differs from
    what its class makes (see :mod:`cnn2rtl.frontend.structure`).
    """
    check_module_file(file, force)
    write_file(file, module_bytes(module), force)


def module_bytes(module: nn.Module, storage: Storage = "float32") -> bytes:
    """The contents of a file of ``module``, with numbers as ``storage`` says.

    Raises :class:`UserError` where a number is too large for it.
    """
    if storage == "float16":
        module = copy.deepcopy(module).half()
        problems = [
            f"`{name}`: has values beyond 65504, the largest of float16; int8 takes any"
            for name, tensor in module.state_dict().items()
            if tensor.is_floating_point() and not tensor.isfinite().all()
        ]
        if problems:
            raise UserError(problems)
    content: Any = module
    if needs_arch(module):
        content = {STATE: module.state_dict(), structure.EDITS: structure.edits_of(module)}
    buffer = io.BytesIO()
    torch.save(packed(content) if storage == "int8" else content, buffer)
    return buffer.getvalue()
