"""What compression has changed of a network's structure: kept with its weights, so that its class still serves.

The edits of a network are the layers that have become separable and the groups of its convolutions; all other
sizes can be read off the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cnn2rtl.errors import UserError

EDITS = "cnn2rtl"
"""Under which name a checkpoint has them."""

_NAMES = ["depthwise", "pointwise"]
_SIZED = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)


def separable(conv: nn.Conv2d) -> nn.Sequential:
    """A depthwise and a pointwise convolution, with new weights, in place of the standard one ``conv``.

    Nothing lies between the two (Chollet: *Xception: Deep Learning with Depthwise Separable Convolutions*, 2017),
    so that together they stay a convolution of the same kernel, stride, padding and dilation.
    """
    c, weight = conv.in_channels, conv.weight
    depthwise = nn.Conv2d(
        c, c, conv.kernel_size, conv.stride, conv.padding, conv.dilation, groups=c, bias=False,  # type: ignore[arg-type]
        padding_mode=conv.padding_mode, device=weight.device, dtype=weight.dtype,
    )  # fmt: skip
    pointwise = nn.Conv2d(c, conv.out_channels, 1, bias=conv.bias is not None, device=weight.device, dtype=weight.dtype)
    pair = nn.Sequential()
    pair.add_module(_NAMES[0], depthwise)
    pair.add_module(_NAMES[1], pointwise)
    return pair.train(conv.training)


def replace_layer(network: nn.Module, name: str, layer: nn.Module) -> None:
    """Let ``layer`` be what ``network`` has under ``name``, dots and all."""
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, layer)


def edits_of(network: nn.Module) -> dict[str, Any]:
    """The edits that :func:`replay` needs to make ``network`` again from its class and its weights."""
    layers = dict(network.named_modules(remove_duplicate=False))
    return {
        "separable": [name for name, layer in layers.items() if _is_separable(layer)],
        "groups": {name: layer.groups for name, layer in layers.items() if isinstance(layer, nn.Conv2d)},
    }


def _is_separable(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Sequential) and [name for name, _ in layer.named_children()] == _NAMES


def replay(network: nn.Module, edits: object, state: Mapping[str, torch.Tensor], path: Path, arch: str) -> None:
    """Give ``network``, as its class makes it, the structure that fits the weights ``state``.

    Raises :class:`UserError` where the edits are none of ours or belong to another network.
    """
    try:
        assert isinstance(edits, dict)
        split, groups = map(str, edits["separable"]), {str(k): int(v) for k, v in edits["groups"].items()}
        assert all(number > 0 for number in groups.values())
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError):
        raise UserError(f"{path}: what it says of the network's structure is damaged; write it again") from None
    for name in split:
        layer = dict(network.named_modules()).get(name)
        if isinstance(layer, nn.Conv2d) and name:
            replace_layer(network, name, separable(layer))
        elif layer is None or not _is_separable(layer):
            raise UserError(f"{path}: `{name}` is separable, but {arch} has no convolution of that name")
    for name, layer in network.named_modules():
        if isinstance(layer, _SIZED):
            prefix = f"{name}." if name else ""
            _adopt(layer, {key: state[prefix + key] for key in layer.state_dict() if prefix + key in state})
        if isinstance(layer, nn.Conv2d):
            layer.groups = groups.get(name, layer.groups)
            layer.in_channels = layer.weight.shape[1] * layer.groups
            if layer.out_channels % layer.groups:
                raise UserError(f"{path}: `{name}` has {layer.out_channels} channels in {layer.groups} groups: damaged")


def _adopt(layer: nn.Module, stored: Mapping[str, torch.Tensor]) -> None:
    """Let ``layer`` have the channels that its ``stored`` weights have; kernels stay as they are."""
    for key, value in stored.items():
        own = getattr(layer, key)
        if own.shape[2:] == value.shape[2:] and own.ndim == value.ndim:
            sized = own.new_empty(value.shape)
            setattr(layer, key, nn.Parameter(sized, own.requires_grad) if isinstance(own, nn.Parameter) else sized)
    if isinstance(layer, nn.Conv2d):
        layer.out_channels = layer.weight.shape[0]
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)) and "running_mean" in stored:
        layer.num_features = len(stored["running_mean"])
