"""From a trained PyTorch CNN to readable Verilog, proven bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnn2rtl.errors import UserError

if TYPE_CHECKING:
    from cnn2rtl.api import compile
    from cnn2rtl.pipeline import Compiled

__version__ = "0.1.0"

__all__ = ["Compiled", "UserError", "compile"]


def __getattr__(name: str) -> Any:
    """Fetch what takes long to import only when somebody asks for it."""
    if name in ("Compiled", "compile"):
        from cnn2rtl import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
