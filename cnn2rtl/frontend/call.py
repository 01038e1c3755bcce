"""One tensor operation of an exported program, as the converters see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from cnn2rtl.finite import REMEDY, not_finite
from cnn2rtl.frontend.view import Map, Refused
from cnn2rtl.ops import Op
from cnn2rtl.tensors import Clamp, FloatArray

__all__ = ["Call", "Map", "Refused"]

FREE = Clamp()


class Builder(Protocol):
    """What adds layers to the graph that is being made."""

    def layer(self, name: str, op: Op, sources: tuple[Map, ...], clamp: Clamp) -> Map:
        """The result of ``op`` on ``sources``, as (c, h, w)."""
        ...

    def plain(self, view: Map) -> Map:
        """``view`` as the whole map of some node."""
        ...

    def note(self, text: str) -> None:
        """Tell the user what was done otherwise than the model says."""
        ...


@dataclass(frozen=True)
class Call:
    """``operator`` (``aten.conv2d.default``) applied to ``args``, by their schema names, defaults filled in.

    An argument is a :class:`Map`, a constant ``torch.Tensor``, or a plain Python value. ``out`` is the
    result's shape without the batch, ``name`` the layer's, ``target`` what torch runs. ``behind`` names the
    operators of all that depends on the result; where it ``ends``, these only move values or change each by itself.
    """

    operator: str
    args: Mapping[str, Any]
    out: tuple[int, ...]
    name: str
    target: Callable[..., Any]
    builder: Builder
    behind: frozenset[str] = frozenset()
    ends: bool = True

    @property
    def sources(self) -> tuple[Map, ...]:
        """The feature maps that this call works on, in the order of its arguments."""
        leaves = (leaf for value in self.args.values() for leaf in (value if isinstance(value, list) else [value]))
        return tuple(leaf for leaf in leaves if isinstance(leaf, Map))

    @property
    def source(self) -> Map:
        """The one feature map that this call works on."""
        if len(self.sources) != 1:
            raise Refused("combines several feature maps; only sums, differences, products and concatenations can")
        return self.sources[0]

    @property
    def image(self) -> Map:
        """As :attr:`source`, for an operator that needs a (n, c, h, w) tensor, or (n, c, l) in its 1-D form."""
        source = self.source
        if len(source.dims) not in (2, 3):
            raise Refused(f"works on a tensor of {1 + len(source.dims)} dimensions; (n, c, h, w) and (n, c, l) are")
        return source

    def layer(self, op: Op, *sources: Map, clamp: Clamp = FREE, part: str = "") -> Map:
        """Add a layer, called after this call, and after its ``part`` in it: the result, as (c, h, w)."""
        return self.builder.layer(f"{self.name}.{part}" if part else self.name, op, sources, clamp)

    def pointwise(self, op: Op, source: Map, clamp: Clamp = FREE, part: str = "") -> Map:
        """Add a layer that does the same to every value: ahead of what only reorders them, for then that is free."""
        if source.permutes or (source.parts and np.all(source.positions >= 0)):
            return source.of(*(self.layer(op, base, clamp=clamp, part=part) for base in source.bases))
        return self.layer(op, source, clamp=clamp, part=part).reshaped(source.dims)

    def note(self, text: str) -> None:
        self.builder.note(f"`{self.name}` {text}")

    def constant(self, name: str) -> FloatArray | None:
        """Argument ``name`` in float64 (half and bfloat16 fit exactly), or ``None`` where it is absent."""
        value = self.args.get(name)
        if value is None:
            return None
        if not isinstance(value, torch.Tensor):
            raise Refused(f"`{name}` is computed from the input; only trained constants are supported")
        array = np.array(value.detach().cpu().to(torch.float64).numpy())
        flaw = not_finite(array)
        if flaw:
            raise Refused(f"has a `{name}` that is not finite: {flaw}; {REMEDY}")
        return array

    def required(self, name: str) -> FloatArray:
        """As :meth:`constant`, for an argument that must be there."""
        value = self.constant(name)
        if value is None:
            raise Refused(f"has no `{name}`")
        return value

    def pair(self, name: str, default: tuple[int, int] | None = None, *, along: int = 1) -> tuple[int, int]:
        """Argument ``name`` as (y, x); an empty list means ``default``, and the 1-D form has ``along`` for y."""
        value = self.args.get(name)
        values = [value] if isinstance(value, int) else list(value or [])
        if not values and default is not None:
            return default
        if not 1 <= len(values) <= 2 or not all(isinstance(v, int) for v in values):
            raise Refused(f"`{name}` is {value}; one or two constant numbers are supported")
        if len(self.source.dims) == 2:
            return along, values[-1]
        return values[0], values[-1]

    def number(self, name: str, default: float | None = None) -> float:
        """Argument ``name`` as one constant number."""
        value = self.args.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            return float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Refused(f"`{name}` is not a constant number, which alone is supported")
        return float(value)
