"""Which channels of a network can be removed, and with them what of every layer.

A channel is seldom one layer's own: depthwise convolutions and BatchNorm follow it, residual additions tie it to
others, concatenations move it. torch-pruning's dependency graph tells what hangs together (Fang et al.: *DepGraph:
Towards Any Structural Pruning*, CVPR 2023). It does not see everything (a concatenation with the input image, a tensor
that is no layer's), so each set of channels is put to the test before it counts: the network without one of them must
compute what it computes where nobody reads that one.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from cnn2rtl.errors import UserError
from cnn2rtl.foreign import said
from cnn2rtl.frontend.quiet import quiet
from cnn2rtl.tensors import Shape

Kept = Mapping[str, Sequence[int]]
"""By the name of a :class:`Channels`: the numbers of those that stay."""


@dataclass(frozen=True)
class Part:
    """What a layer has of some channels: its index ``places[i]`` belongs to channel number ``channels[i]``."""

    layer: str
    channels: tuple[int, ...]
    places: tuple[int, ...]


@dataclass(frozen=True)
class Channels:
    """Channels, numbered from 0, that can be removed one by one: ``name`` is the first layer that makes them.

    ``makers`` have filters for them, ``scales`` are the BatchNorms on their way, ``readers`` mix them.
    """

    name: str
    width: int
    makers: tuple[Part, ...]
    scales: tuple[Part, ...]
    readers: tuple[Part, ...]

    def best(self, scores: np.ndarray, width: int) -> tuple[int, ...]:
        """The ``width`` channels of the highest ``scores`` (width,), or more where some maker would have none."""
        kept = {max(part.channels, key=lambda channel: scores[channel]) for part in self.makers}
        for channel in np.argsort(-scores, kind="stable").tolist():
            if len(kept) >= width:
                break
            kept.add(channel)
        return tuple(sorted(kept))


def find_channels(module: nn.Module, shape: Shape, only: Sequence[str] = ()) -> tuple[Channels, ...]:
    """All channels of ``module`` for an input of ``shape`` (c, h, w) that can go, in the order of its layers.

    Those of the input and of the outputs cannot. ``only`` are patterns (``cnn.3.*``) of names to choose from. Raises
    :class:`UserError` where a pattern finds nothing, or nothing at all can be removed.
    """
    found = [channels for channels in _Graph(module, shape).channels() if _removable(module, shape, channels)]
    if not found:
        raise UserError("the network has no channels that could be removed: those of its outputs must stay")
    problems = [
        f"`only={pattern}`: no layer of that name makes channels that can be removed; there are "
        f"{', '.join(channels.name for channels in found)}"
        for pattern in only
        if not any(fnmatchcase(channels.name, pattern) for channels in found)
    ]
    if problems:
        raise UserError(problems)
    return tuple(c for c in found if not only or any(fnmatchcase(c.name, pattern) for pattern in only))


def found_again(module: nn.Module, shape: Shape, channels: Sequence[Channels]) -> tuple[Channels, ...]:
    """What is left of ``channels`` in a network that has fewer of them by now."""
    names = {c.name for c in channels}
    return tuple(c for c in _Graph(module, shape).channels() if c.name in names)


def without(module: nn.Module, shape: Shape, kept: Kept) -> nn.Module:
    """A copy of ``module`` in which only those channels are left that ``kept`` names; others are as they were."""
    graph = _Graph(module, shape)
    for channels in graph.channels():
        if channels.name in kept:
            graph.remove(channels, sorted(set(range(channels.width)) - set(kept[channels.name])))
    return graph.module.train(module.training)


class _Graph:
    """torch-pruning's view of a copy of a network, which is all that knows it."""

    def __init__(self, module: nn.Module, shape: Shape) -> None:
        self.module = copy.deepcopy(module).requires_grad_(True).eval()
        self._graph = _dependency_graph()
        self._names = {layer: name for name, layer in self.module.named_modules()}
        first = next(self.module.parameters(), torch.zeros(()))
        own = [p for layer in self.module.modules() if not _is_layer(layer) for p in layer.parameters(recurse=False)]
        try:
            with quiet(), torch.enable_grad():
                image = torch.zeros(1, *shape, dtype=first.dtype, device=first.device)
                self._graph.build_dependency(self.module, image, ignored_params=own, verbose=False)
        except Exception as error:
            raise UserError(f"what depends on what in the network cannot be told: it {said(error)}") from None

    def channels(self) -> list[Channels]:
        """One for every layer that mixes channels, unless those that it makes are an earlier one's as well."""
        found: dict[str, Channels] = {}
        made: set[str] = set()
        for name, layer in self.module.named_modules():
            if layer in self._graph.module2node and _mixes(layer) and name not in made:
                root = self._graph.get_pruner_of_module(layer)
                every = range(root.get_out_channels(layer))
                group = self._graph.get_pruning_group(layer, root.prune_out_channels, list(every))
                found[name] = self._channels(name, len(every), group)
                made.update(part.layer for part in found[name].makers)
        return list(found.values())

    def _channels(self, name: str, width: int, group: Any) -> Channels:
        makers, scales, readers = [], [], []
        for item in group.items:
            layer = item.dep.target.module
            if layer not in self._names:
                continue
            part = Part(self._names[layer], tuple(item.root_idxs), tuple(item.idxs))
            if not self._graph.is_out_channel_pruning_fn(item.dep.handler):
                readers.append(part)
            elif isinstance(layer, _BatchNorm):
                scales.append(part)
            else:
                makers.append(part)
        return Channels(name, width, tuple(makers), tuple(scales), tuple(readers))

    def remove(self, channels: Channels, numbers: Sequence[int]) -> None:
        if numbers:
            layer = self.module.get_submodule(channels.name)
            root = self._graph.get_pruner_of_module(layer)
            self._graph.get_pruning_group(layer, root.prune_out_channels, list(numbers)).prune()


def _dependency_graph() -> Any:
    try:
        # Slow to import, and needed for pruning alone.
        from torch_pruning import DependencyGraph  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        raise UserError(
            "pruning needs the package `torch-pruning`; install it with pip install 'cnn2rtl[train]'"
        ) from None
    return DependencyGraph()


def _is_layer(module: nn.Module) -> bool:
    """Whether the module's parameters are torch's own, with channels where torch-pruning looks for them."""
    return type(module).__module__.startswith("torch.nn.modules.")


def _mixes(layer: nn.Module) -> bool:
    """Whether the layer makes channels of its own, and not one of each that it is given."""
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and not 1 < layer.groups == layer.in_channels)


def _removable(module: nn.Module, shape: Shape, channels: Channels) -> bool:
    """Whether the network without the last of ``channels`` computes what it does where nobody reads that one.

    Neither side would tell anything if weights were 0 or all ReLUs shut, so this is asked of random weights.
    """
    if channels.width < 2 or not channels.readers:
        return bool(channels.readers)
    random = torch.Generator().manual_seed(0)
    whole = copy.deepcopy(module).cpu().double().eval()
    with torch.no_grad():
        for layer in whole.modules():
            _randomise(layer, random)
        image = torch.randn(2, *shape, generator=random, dtype=torch.float64)
        try:
            fewer = without(whole, shape, {channels.name: range(channels.width - 1)})
            for part in channels.readers:
                _hide(whole.get_submodule(part.layer), part, channels.width - 1)
            with quiet():
                left, right = whole(image), fewer(image)
        except Exception:
            return False
    return left.shape == right.shape and torch.allclose(left, right, rtol=1e-6, atol=1e-9)


def _randomise(layer: nn.Module, random: torch.Generator) -> None:
    if isinstance(layer, _BatchNorm):
        layer.reset_running_stats()
    for parameter in layer.parameters(recurse=False):
        spread = 1.0 if parameter.dim() < 2 else (2 / parameter[0].numel()) ** 0.5
        parameter.normal_(0.0, spread, generator=random)


def _hide(layer: nn.Module, part: Part, channel: int) -> None:
    """Make the layer blind to a channel."""
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    weight[:, [place for number, place in zip(part.channels, part.places, strict=True) if number == channel]] = 0
