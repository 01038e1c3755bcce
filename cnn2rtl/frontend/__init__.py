"""From a file or module to the float graph: the one stage that imports torch, and only when it is asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnn2rtl.frontend.export import capture
    from cnn2rtl.frontend.load import load_model

__all__ = ["capture", "load_model"]


def __getattr__(name: str) -> Any:
    """Import torch for what needs it: what is in a file, and whether it is there, is told without."""
    if name == "capture":
        from cnn2rtl.frontend.export import capture

        return capture
    if name == "load_model":
        from cnn2rtl.frontend.load import load_model

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
