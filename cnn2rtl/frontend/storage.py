"""Networks whose numbers are stored in 8 bits: they get floats again when they are read.

A tensor t is stored as codes ``round(255 (t - low) / (high - low))`` between its own smallest and largest value. Single
numbers and whole ones stay as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cnn2rtl.errors import UserError

RANGES = "cnn2rtl_ranges"
"""Under which name a file has the smallest and largest value of every tensor that is in 8 bits."""
MODULE, STATE = "module", "state_dict"
"""Under which of these it has the network: whole, or its weights."""

Replace = Callable[[str, Tensor], Tensor]


def packed(content: nn.Module | Mapping[str, Any]) -> dict[str, Any]:
    """``content``, a whole network or a checkpoint with its ``state_dict``, with all tensors in 8 bits."""
    ranges: dict[str, tuple[float, float]] = {}

    def pack(name: str, tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point() or not tensor.ndim or not tensor.numel():
            return tensor
        low, high = float(tensor.min()), float(tensor.max())
        ranges[name] = low, high
        return ((tensor.double() - low) * (255 / (high - low or 1.0))).round().to(torch.uint8)

    network: dict[str, Any] = (
        {MODULE: _replaced(content, pack)}
        if isinstance(content, nn.Module)
        else {**content, STATE: {name: pack(name, tensor.detach()) for name, tensor in content[STATE].items()}}
    )
    return {**network, RANGES: ranges}


def restored(loaded: object, path: Path) -> object:
    """What :func:`packed` was given, in floats of 32 bits; anything else as it is.

    Raises :class:`UserError` where the file is damaged.
    """
    if not isinstance(loaded, Mapping) or RANGES not in loaded:
        return loaded
    ranges: Any = loaded[RANGES]

    def unpack(name: str, tensor: Tensor) -> Tensor:
        if name not in ranges:
            return tensor
        low, high = map(float, ranges[name])
        return (low + tensor.double() * ((high - low) / 255)).float()

    try:
        if MODULE in loaded:
            return _replaced(loaded[MODULE], unpack)
        return {**loaded, STATE: {name: unpack(name, tensor) for name, tensor in loaded[STATE].items()}}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(f"{path}: what it says of its numbers' ranges is damaged; write it again") from None


def _replaced(module: nn.Module, new: Replace) -> nn.Module:
    """A copy of the module with ``new`` tensors, which are told the names of the old ones."""
    module = copy.deepcopy(module)
    for prefix, layer in module.named_modules():
        for tensors in (layer._parameters, layer._buffers):
            for own, tensor in tensors.items():
                if tensor is not None:
                    value = new(f"{prefix}.{own}" if prefix else own, tensor.detach())
                    is_weight = tensors is layer._parameters
                    tensors[own] = nn.Parameter(value, value.is_floating_point()) if is_weight else value
    return module
