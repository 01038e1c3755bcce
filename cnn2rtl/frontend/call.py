"""One tensor operation of an exported program, as the converters see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cnn2rtl.graph import FloatArray, Shape


class Refused(Exception):
    """An operator, or a setting of one, that cannot become hardware; the text gives the rule and the remedy."""


@dataclass(frozen=True)
class Map:
    """A tensor that depends on the input: the graph node that makes it, and its shape without the batch."""

    node: str
    dims: tuple[int, ...]

    @property
    def shape(self) -> Shape:
        """(c, h, w), with ones where the tensor has fewer dimensions."""
        if len(self.dims) > 3:
            raise Refused(f"works on {len(self.dims)} dimensions besides the batch; at most (c, h, w) are supported")
        c, h, w = (*self.dims, 1, 1, 1)[:3]
        return c, h, w


@dataclass(frozen=True)
class Call:
    """``operator`` (``aten.conv2d.default``) applied to ``args``, by their schema names, defaults filled in.

    An argument is a :class:`Map`, a constant ``torch.Tensor``, or a plain Python value. ``out`` is the
    result's shape without the batch.
    """

    operator: str
    args: Mapping[str, Any]
    out: tuple[int, ...]

    @property
    def sources(self) -> tuple[Map, ...]:
        """The feature maps that this call works on, in the order of its arguments."""
        leaves = (leaf for value in self.args.values() for leaf in (value if isinstance(value, list) else [value]))
        return tuple(leaf for leaf in leaves if isinstance(leaf, Map))

    @property
    def source(self) -> Map:
        """The one feature map that this call works on."""
        if len(self.sources) != 1:
            raise Refused("combines several feature maps; only additions, differences and concatenations can")
        return self.sources[0]

    @property
    def image(self) -> Map:
        """As :attr:`source`, for an operator that needs a (n, c, h, w) tensor."""
        source = self.source
        if len(source.dims) != 3:
            raise Refused(f"works on a tensor of {1 + len(source.dims)} dimensions; only (n, c, h, w) is supported")
        return source

    def constant(self, name: str) -> FloatArray | None:
        """Argument ``name`` in float64 (half and bfloat16 fit exactly), or ``None`` where it is absent."""
        value = self.args.get(name)
        if value is None:
            return None
        if not isinstance(value, torch.Tensor):
            raise Refused(f"`{name}` is computed from the input; only trained constants are supported")
        return np.array(value.detach().cpu().to(torch.float64).numpy())

    def required(self, name: str) -> FloatArray:
        """As :meth:`constant`, for an argument that must be there."""
        value = self.constant(name)
        if value is None:
            raise Refused(f"has no `{name}`")
        return value

    def pair(self, name: str, default: tuple[int, int] | None = None) -> tuple[int, int]:
        """Argument ``name`` as (y, x); an empty list means ``default``."""
        value = self.args.get(name)
        values = [value] if isinstance(value, int) else list(value or [])
        if not values and default is not None:
            return default
        if not 1 <= len(values) <= 2 or not all(isinstance(v, int) for v in values):
            raise Refused(f"`{name}` is {value}; one or two constant numbers are supported")
        return values[0], values[-1]
