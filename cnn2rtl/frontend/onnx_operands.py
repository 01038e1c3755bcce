"""What an operator of a float ONNX network is applied to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnn2rtl.frontend.onnx_attributes import Attributes
from cnn2rtl.frontend.view import Refused


@dataclass(frozen=True, eq=False)
class Operands:
    """What an operator is applied to: its inputs, those of them that are constants, by position, and its attributes.

    ``outputs`` tells which of its outputs anything reads; ``since`` is the opset that brought the operator's form;
    ``single`` says that the file is of one image.
    """

    values: Sequence[Tensor | np.ndarray | None]
    fixed: Mapping[int, np.ndarray]
    attributes: Attributes
    outputs: Sequence[bool]
    since: int
    single: bool

    def given(self, position: int) -> bool:
        return position < len(self.values) and self.values[position] is not None

    def tensor(self, position: int = 0) -> Tensor:
        value = self.values[position] if position < len(self.values) else None
        if isinstance(value, np.ndarray):
            return torch.from_numpy(value)
        # The checker has seen to it that what an operator needs is there.
        assert value is not None, position
        return value

    def optional(self, position: int) -> Tensor | None:
        return self.tensor(position) if self.given(position) else None

    def integers(self, position: int, attribute: str = "") -> list[int] | None:
        """A constant input, or an attribute of older opsets, as integers; ``None`` where there is neither."""
        if not self.given(position):
            found = self.attributes.get(attribute)
            return None if found is None else list(np.atleast_1d(found).tolist())
        return [int(number) for number in np.atleast_1d(self.constant(position)).tolist()]

    def constant(self, position: int) -> np.ndarray:
        if position not in self.fixed:
            raise Refused(f"its input {position} is computed; it must be a constant")
        return self.fixed[position]

    def number(self, position: int, default: float, attribute: str = "") -> float:
        """A constant input, or an attribute of older opsets, as one number."""
        if not self.given(position):
            return float(self.attributes.get(attribute, default)) if attribute else default
        value = self.constant(position)
        if value.size != 1:
            raise Refused(f"its input {position} has {value.size} values; one is supported")
        return float(value.item())

    def axis(self, default: int, dims: int | None = None) -> int:
        """The attribute `axis`, counted from the front; raises :class:`Refused` for the batch."""
        return self.beside_batch(self.get("axis", default), dims or self.tensor().ndim)

    def beside_batch(self, axis: int, dims: int) -> int:
        """``axis`` counted from the front; raises :class:`Refused` for the batch."""
        if axis % dims == 0:
            raise Refused("works along the batch, its first dimension; images must stay apart")
        return axis % dims

    def get(self, name: str, default: Any) -> Any:
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def ignore(self, *names: str) -> None:
        """These attributes change nothing here."""
        for name in names:
            self.attributes.get(name)


Operator = Callable[[Operands], Any]
