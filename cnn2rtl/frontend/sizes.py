"""What torch is about to make, judged before it is made."""

from __future__ import annotations

import logging
from math import prod
from typing import Any

import torch
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnn2rtl.errors import UserError
from cnn2rtl.frontend.quiet import quiet
from cnn2rtl.limits import too_large, too_long


class TooLarge(UserError):
    """An operation whose result no machine should be asked for."""


class SizesJudged(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it, every operation tells the size of its result first, and raises :class:`TooLarge` instead of making it.

    Each runs on tensors without memory beforehand.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.empty = FakeTensorMode(allow_non_fake_inputs=True)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            with quiet(logging.ERROR), self.empty:
                made = func(*args, **(kwargs or {}))
        except Exception:
            # What does not run, or depends on values: the operation itself will tell.
            made = None
        _judge(func, args, made)
        return func(*args, **(kwargs or {}))


def _judge(func: Any, args: Any, made: object) -> None:
    """Raise :class:`TooLarge` where what ``func`` makes should not be computed."""
    why = next((why for result in _tensors(made) if (why := too_large(result.shape) or _long(func, args, result))), "")
    if why:
        raise TooLarge(why)


def _tensors(value: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _long(func: Any, args: Any, result: torch.Tensor) -> str:
    """Why the operation would take too long: only sliding windows can, for their size is in no tensor."""
    named = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False))
    kernel = named.get("kernel_size")
    if kernel is None and "convolution" in str(func) and isinstance(named.get("weight"), torch.Tensor):
        kernel = named["weight"].shape[1:]
    return "" if kernel is None else too_long(prod(kernel) * result.numel())
