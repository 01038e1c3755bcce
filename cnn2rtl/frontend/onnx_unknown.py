"""Operators of an ONNX network that are none of ours: told by name, before anything is judged."""

from __future__ import annotations

from collections.abc import Container

from cnn2rtl.frontend.onnx_file import OnnxNetwork
from cnn2rtl.frontend.unsupported import of_onnx

NAMED = 3
"""Operators of one kind that are named; the others are counted."""


def told(network: OnnxNetwork, known: Container[str]) -> list[str]:
    """One line for each kind of operator that works on images, or is not onnx's own, and is not ``known``."""
    found: dict[str, list[str]] = {}
    for call in network.calls:
        if call.kind in known or call.kind == "Shape":
            continue
        if call.foreign or not network.moving.isdisjoint(call.inputs):
            found.setdefault(call.kind, []).append(f"`{call.name}`")
    return [f"{_shown(names)} ({kind}): is not supported; {of_onnx(kind)}" for kind, names in found.items()]


def _shown(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
