"""From a trained PyTorch CNN to readable Verilog, proven bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnn2rtl.errors import UserError
from cnn2rtl.version import __version__

if TYPE_CHECKING:
    from cnn2rtl.api import compile, open
    from cnn2rtl.compiled import Compiled

__all__ = ["Compiled", "UserError", "__version__", "compile", "open"]


def __getattr__(name: str) -> Any:
    """Fetch what takes long to import only when somebody asks for it."""
    if name in ("Compiled", "compile", "open"):
        from cnn2rtl import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
