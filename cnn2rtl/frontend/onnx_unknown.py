"""Operators of an ONNX network that are none of ours: told by name, before anything is judged."""

from __future__ import annotations

from collections.abc import Container

from cnn2rtl.frontend.onnx_file import OnnxNetwork

NAMED = 3
"""Operators of one kind that are named; the others are counted."""

_NORM = "use BatchNormalization, or GroupNormalization and LayerNormalization where docs/layers.md has them"
_RECURRENT = "the network must be feed-forward; use convolutions over time (a TCN)"
_BOXES = "end the network before it, and do the rest on the processor that takes the outputs"
_INTEGERS = "quantised networks are read in the form of QuantizeLinear and DequantizeLinear (QDQ); export it so"

HINTS: dict[str, str] = {
    "LRN": _NORM,
    "LpNormalization": _NORM,
    "MeanVarianceNormalization": _NORM,
    "RMSNormalization": _NORM,
    **dict.fromkeys(("LSTM", "GRU", "RNN", "Scan", "Loop"), _RECURRENT),
    **dict.fromkeys(("NonMaxSuppression", "TopK", "RoiAlign", "NonZero", "GatherND", "ScatterND", "Where"), _BOXES),
    **dict.fromkeys(
        ("QLinearConv", "QLinearMatMul", "QLinearAdd", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"),
        _INTEGERS,
    ),
    "If": "fold its condition with onnx-simplifier, or export the branch that is taken",
    **dict.fromkeys(
        ("Attention", "MultiHeadAttention"), "attention multiplies maps with one another; use convolutions"
    ),
}
"""What to do instead, by the operator's name without its domain."""


def told(network: OnnxNetwork, known: Container[str]) -> list[str]:
    """One line for each kind of operator that works on images and is not ``known``."""
    found: dict[str, list[str]] = {}
    for call in network.calls:
        if call.kind != "Shape" and call.kind not in known and not network.moving.isdisjoint(call.inputs):
            found.setdefault(call.kind, []).append(f"`{call.name}`")
    return [f"{_shown(names)} ({kind}): is not supported; {_instead(kind)}" for kind, names in found.items()]


def _shown(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _instead(kind: str) -> str:
    domain, _, name = kind.rpartition(".")
    hint = HINTS.get(name)
    if hint is None and domain.startswith(("qonnx", "onnx.brevitas", "finn")):
        hint = _INTEGERS
    if hint is None and domain:
        hint = f"operators of the domain `{domain}` are not onnx's own; export with onnx's alone"
    return hint or "docs/layers.md has the table of what is"
