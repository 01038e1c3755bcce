"""Networks without a file: untrained, with the weights that a seed gives."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from cnn2rtl import zoo
from cnn2rtl.errors import UserError
from cnn2rtl.frontend.architecture import instantiate


def is_fresh(path: Path) -> bool:
    """Whether ``path`` names a network and no file: ``zoo:NAME`` or ``FILE.py:NAME``."""
    return path.name.startswith(zoo.PREFIX) or (".py:" in path.name and not path.exists())


def fresh(path: Path, arch: str | None, seed: int) -> nn.Module:
    """The network that ``path`` names; raises :class:`UserError` where it names none, or with ``arch`` another one."""
    if arch is not None:
        raise UserError(f"{path}: is a network, not a file of weights; leave out --arch {arch}")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return zoo.build(path.name) if path.name.startswith(zoo.PREFIX) else instantiate(str(path), "MODEL")
