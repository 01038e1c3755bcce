"""Networks without a file: untrained, with the weights that a seed gives."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from cnn2rtl.errors import UserError
from cnn2rtl.frontend.architecture import instantiate
from cnn2rtl.frontend.content import ZOO


def fresh(path: Path, arch: str | None, seed: int) -> nn.Module:
    """The network that ``path`` names; raises :class:`UserError` where it names none, or with ``arch`` another one."""
    if arch is not None:
        raise UserError(f"{path}: is a network, not a file of weights; leave out `arch={arch}`")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return instantiate(path.name if path.name.startswith(ZOO) else str(path), "model")
