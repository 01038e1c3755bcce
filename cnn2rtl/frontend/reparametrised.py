"""Weights that are computed before every call, by a hook or a parametrisation: made plain weights again.

Weight and spectral normalisation (``torch.nn.utils`` and ``torch.nn.utils.parametrizations``), pruning masks
(``torch.nn.utils.prune``) and every other parametrisation compute a layer's weight from tensors that are stored under
other names. The network is fixed, so the result can stand in their place.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils import (
    parametrizations,
    parametrize,
    prune,
    remove_spectral_norm,
    remove_weight_norm,
    spectral_norm,
    weight_norm,
)
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.utils._pytree import tree_leaves

from cnn2rtl.errors import UserError
from cnn2rtl.foreign import said
from cnn2rtl.frontend.quiet import quiet

State: TypeAlias = Mapping[str, Tensor]

# Masks first: what they make may be what another hook starts from.
_HOOKS: Mapping[type[Any], Callable[[nn.Module, Any], object]] = {
    prune.BasePruningMethod: lambda layer, hook: prune.remove(layer, hook._tensor_name),  # type: ignore[no-untyped-call]
    WeightNorm: lambda layer, hook: remove_weight_norm(layer, hook.name),
    SpectralNorm: lambda layer, hook: remove_spectral_norm(layer, hook.name),
}


@dataclass(frozen=True)
class _Form:
    """How a computed weight is stored: under ``names``, made from its own. ``make`` gives a plain one that form.

    It takes the layer, the weight's name and the first of the stored tensors.
    """

    names: tuple[str, ...]
    make: Callable[[nn.Module, str, Tensor], object]

    def of(self, name: str) -> tuple[str, ...]:
        """The stored names of the weight called ``name``, with whatever modules lie before it."""
        layer, dot, own = name.rpartition(".")
        return tuple(f"{layer}{dot}{form.format(own)}" for form in self.names)


_FORMS = (
    _Form(("{}_mask", "{}_orig"), lambda layer, name, _: _mask(layer, name)),
    _Form(("{}_g", "{}_v"), lambda layer, name, norm: weight_norm(layer, name, _dimension(norm))),  # type: ignore[arg-type]
    _Form(("{}_u", "{}_v", "{}_orig"), lambda layer, name, _: spectral_norm(layer, name)),
    _Form(
        ("parametrizations.{}.original0", "parametrizations.{}.original1"),
        lambda layer, name, norm: parametrizations.weight_norm(layer, name, _dimension(norm)),  # type: ignore[arg-type]
    ),
    _Form(
        ("parametrizations.{}.0._u", "parametrizations.{}.0._v", "parametrizations.{}.original"),
        lambda layer, name, _: parametrizations.spectral_norm(layer, name),
    ),
)


def plain(model: nn.Module) -> nn.Module:
    """A copy of ``model`` in evaluation mode, all of whose weights are plain ones.

    Raises :class:`UserError` for what cannot be copied.
    """
    model = _copied(model).eval()
    merge(model)
    return model


def merge(model: nn.Module) -> None:
    """Make every computed weight of ``model``, which is in evaluation mode, a plain one."""
    with quiet():
        for path, layer in list(model.named_modules()):
            try:
                _merge(layer)
            except Exception as error:
                raise UserError(
                    f"layer `{path or type(model).__name__}`: the weights that its hooks compute cannot be merged: it "
                    f"{said(error)}; make them plain ones, as torch.nn.utils.parametrize.remove_parametrizations and "
                    "torch.nn.utils.prune.remove do, before the model is given"
                ) from None


def _merge(layer: nn.Module) -> None:
    hooks = [(remove, hook) for kind, remove in _HOOKS.items() for hook in _hooks(layer, kind)]
    for remove, hook in hooks:
        remove(layer, hook)
    parametrised = parametrize.is_parametrized(layer)
    if parametrised:
        _own_class(layer)
        for name in list(layer.parametrizations):  # type: ignore[arg-type]
            parametrize.remove_parametrizations(layer, name)
    if hooks or parametrised:
        # Some are left behind, which would rename what is loaded, or ask for more of it.
        layer._load_state_dict_pre_hooks.clear()


def _hooks(layer: nn.Module, kind: type[Any]) -> list[Any]:
    return [hook for hook in layer._forward_pre_hooks.values() if isinstance(hook, kind)]


def masked(model: nn.Module) -> list[str]:
    """The weights of ``model`` that a pruning mask holds at 0."""
    return [
        f"{path}.{hook._tensor_name}".lstrip(".")
        for path, layer in model.named_modules()
        for hook in _hooks(layer, prune.BasePruningMethod)
    ]


def plain_names(names: Iterable[str]) -> set[str]:
    """``names`` of a state_dict, with those of computed weights in place of what these are stored as."""
    found = set(names)
    for form in _FORMS:
        for last in [name for name in found if name.endswith(form.names[-1].rpartition("}")[2])]:
            weight = _weight_of(last, form)
            if found.issuperset(form.of(weight)):
                found = found.difference(form.of(weight)) | {weight}
    return found


def expect(model: nn.Module, state: State) -> None:
    """Let plain weights of ``model`` be computed as ``state``, which goes with it, stores them."""
    with quiet():
        for path, layer in list(model.named_modules()):
            for name in list(layer._parameters):
                stored = [form.of(f"{path}.{name}".lstrip(".")) for form in _FORMS]
                form = next(
                    (form for form, names in zip(_FORMS, stored, strict=True) if state.keys() >= set(names)), None
                )
                if form is not None:
                    form.make(layer, name, state[form.of(f"{path}.{name}".lstrip("."))[0]])


def _own_class(layer: nn.Module) -> None:
    """A class of its own for a parametrised ``layer``: what is taken off it would go from its copies as well."""
    shared = type(layer)
    members = {name: value for name, value in vars(shared).items() if name not in ("__dict__", "__weakref__")}
    layer.__class__ = type(shared.__name__, shared.__bases__, members)


def _copied(model: nn.Module) -> nn.Module:
    """A copy that is independent of ``model``."""
    # What a hook has computed has a history, which copy.deepcopy refuses.
    made = [
        leaf
        for module in model.modules()
        for leaf in tree_leaves(vars(module))
        if isinstance(leaf, Tensor) and not leaf.is_leaf
    ]
    try:
        return copy.deepcopy(model, {id(tensor): tensor.detach().clone() for tensor in made})
    except Exception as error:
        raise UserError(
            f"the model cannot be copied: it {said(error)}; keep what is no part of the network, such as files, locks "
            "and data loaders, out of its attributes"
        ) from None


def _weight_of(stored: str, form: _Form) -> str:
    """The name of the weight that ``stored`` would be the last part of."""
    before, after = form.names[-1].split("{}")
    layer, dot, own = stored.removesuffix(after).rpartition(".")
    if not before:
        return f"{layer}{dot}{own}"
    return f"{layer.removesuffix(before.rstrip('.'))}{own}"


def _mask(layer: nn.Module, name: str) -> None:
    """One that keeps every weight: what is loaded takes its place."""
    prune.custom_from_mask(layer, name, torch.ones_like(getattr(layer, name)))  # type: ignore[no-untyped-call]


def _dimension(norm: Tensor) -> int | None:
    """Along which dimension a weight norm has a number each."""
    if not norm.ndim:
        return None
    return next((dim for dim, size in enumerate(norm.shape) if size > 1), 0)
