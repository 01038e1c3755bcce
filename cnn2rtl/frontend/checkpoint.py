"""Which of what a training script has saved are the weights of a network, and what else there is.

A checkpoint may hold several sets of weights under names of their own (``net``, ``model_ema``, ``student``). Their
names may begin with those of wrappers that are no part of the network (``module.``, ``_orig_mod.``, ``model.``), and
counters, losses and averages may stand among them.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cnn2rtl.errors import Notice, UserError
from cnn2rtl.frontend.architecture import COUNTER
from cnn2rtl.frontend.reparametrised import plain_names
from cnn2rtl.text import visible

DEEPEST = 4
"""Levels of mappings in mappings that are looked through."""

SHOWN = 8
"""Names in a message."""

_WRAPPERS = frozenset(("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
"""Modules that stand for the one in them: of DataParallel, torch.compile, FSDP and activation checkpointing."""

_COUNTED = frozenset(("total_ops", "total_params"))
"""What a profiler leaves in every layer."""


@dataclass(frozen=True)
class Weights:
    """The tensors ``state``, called ``label`` within the file, and what lies beside them: ``others`` by their name."""

    label: str
    state: Mapping[str, Tensor]
    others: Mapping[str, Any] = field(default_factory=dict)


def unwrapped(model: nn.Module) -> nn.Module:
    """The network in ``model``, without what torch wraps around it."""
    while True:
        inside = [own for name, own in model.named_children() if name in _WRAPPERS]
        if len(inside) != 1 or len(list(model.children())) != 1:
            return model
        (model,) = inside


def holds_weights(loaded: object) -> bool:
    """Whether there is a state_dict in what a file holds."""
    return next(_mappings(loaded), None) is not None


def modules_in(loaded: object) -> Mapping[str, nn.Module]:
    """Whole networks in a checkpoint, by their key."""
    values = loaded.items() if isinstance(loaded, Mapping) else ()
    return {str(key): value for key, value in values if isinstance(value, nn.Module)}


def find_weights(
    loaded: object, model: nn.Module, path: Path, arch: str, wanted: str | None = None
) -> dict[str, Tensor]:
    """The weights of ``model`` in what a file holds: the only ones whose names fit, or those called ``wanted``.

    Where none fit, those that come nearest, for :func:`~cnn2rtl.frontend.architecture.with_state` to tell how. Raises
    :class:`UserError` where several fit. What is passed over is told (:class:`cnn2rtl.Notice`).
    """
    needed = {name for name in plain_names(model.state_dict()) if not name.endswith(COUNTER)}
    found = [weights for label, mapping in _mappings(loaded) for weights in _views(label, mapping, needed)]
    labels = list(dict.fromkeys(weights.label for weights in found))
    if wanted is not None:
        found = [weights for weights in found if weights.label == wanted]
        if not found:
            raise UserError(f"{path}: holds no weights called `{wanted}`; it has {_listed(labels)}")
    fitting = [weights for weights in found if needed <= plain_names(weights.state)]
    if len(fitting) > 1:
        file = f"{path}".removesuffix(f":{wanted}")
        raise UserError(
            f"{path}: holds several sets of weights that fit {arch}: {_listed([w.label for w in fitting])}; say which, "
            f"like {file}:{fitting[0].label}"
        )
    if not fitting:
        return dict(max(found, key=lambda weights: len(needed & plain_names(weights.state))).state)
    (chosen,) = fitting
    if wanted is None and len(labels) > 1:
        _warn(f"{path}: of {_listed(labels)}, the weights `{chosen.label}` are those that fit {arch}")
    return _without_others(chosen, model, path, arch)


def _mappings(value: object, label: str = "", depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every mapping in ``value`` that has tensors by name, and where it is."""
    if not isinstance(value, Mapping) or depth > DEEPEST or not all(isinstance(key, str) for key in value):
        return
    if any(isinstance(inner, Tensor) and inner.ndim for inner in value.values()):
        yield label, value
    for key, inner in value.items():
        yield from _mappings(inner, f"{label}.{key}".lstrip("."), depth + 1)


def _views(label: str, mapping: Mapping[str, Any], needed: set[str]) -> Iterator[Weights]:
    """The mapping as weights, once for each prefix with which all the names that are needed are there.

    Where there is none, with the prefix of most of them.
    """
    tensors = {name: value for name, value in mapping.items() if isinstance(value, Tensor)}
    others = {name: value for name, value in mapping.items() if not isinstance(value, Tensor)}
    views = [tensors, _without_wrappers(tensors)]
    for names in views:
        prefixes = sorted(prefix for prefix, count in _prefixes(names, needed).items() if count == len(needed))
        prefixes = [""] if "" in prefixes else prefixes
        for prefix in prefixes:
            inside = {name.removeprefix(prefix): tensor for name, tensor in names.items() if name.startswith(prefix)}
            beside = {name: tensor for name, tensor in names.items() if not name.startswith(prefix)}
            own = f"{label}.{prefix}".strip(".") if len(prefixes) > 1 else label
            yield Weights(own or "state_dict", inside, {**others, **beside})
        if prefixes:
            return
    names, counts = max(
        ((names, _prefixes(names, needed)) for names in views), key=lambda v: max(v[1].values(), default=0)
    )
    prefix = max(counts, key=lambda prefix: counts[prefix], default="")
    yield Weights(label or "state_dict", {name.removeprefix(prefix): tensor for name, tensor in names.items()}, others)


def _prefixes(names: Mapping[str, Tensor], needed: set[str]) -> Counter[str]:
    """How many of the ``needed`` names are among the others with each prefix."""
    counts: Counter[str] = Counter()
    for name in plain_names(names):
        parts = name.split(".")
        for count in range(len(parts)):
            if ".".join(parts[count:]) in needed:
                counts["".join(f"{part}." for part in parts[:count])] += 1
    return counts


def _without_wrappers(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors with wrappers left out of their names, unless two would have one name then."""
    names = {".".join(part for part in name.split(".") if part not in _WRAPPERS): name for name in tensors}
    return {short: tensors[name] for short, name in names.items()} if len(names) == len(tensors) else tensors


def _without_others(weights: Weights, model: nn.Module, path: Path, arch: str) -> dict[str, Tensor]:
    """What of the weights is the network's; the rest is told.

    What belongs to layers that the network has, or to more layers of a row that it has, stays: without, the network
    would compute something else, which :func:`~cnn2rtl.frontend.architecture.with_state` refuses.
    """
    own, rows = set(model.state_dict()), {name for name, _ in model.named_children()}
    passed = dict(weights.others)
    for name in plain_names(weights.state) - own - plain_names(own):
        tensor = weights.state.get(name)
        first, dot, _ = name.partition(".")
        elsewhere = not dot or (first not in rows and not first.isdecimal())
        if tensor is not None and (elsewhere or not tensor.ndim or name.rpartition(".")[2] in _COUNTED):
            passed[name] = tensor
    if passed:
        _warn(f"{path}: what {arch} does not have is passed over: {_listed(sorted(passed))}")
    return {name: tensor for name, tensor in weights.state.items() if name not in passed}


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _warn(text: str) -> None:
    warnings.warn(Notice(visible(text)), stacklevel=2)
