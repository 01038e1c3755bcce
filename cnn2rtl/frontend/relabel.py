"""Layers that move values: what a view costs where it is needed as a map of its own."""

from __future__ import annotations

from cnn2rtl.frontend.view import Map, Refused
from cnn2rtl.graph import times


def refusal(view: Map) -> Refused:
    """Why ``view`` cannot be had, and what to do."""
    (c, h, w), source = view.shape, times(view.shape)
    if view.dims == (c * h * w,):
        return Refused(
            f"flattens a {source} map; only a Linear can follow the flattening of a map larger than 1x1: pool the map "
            "first, for instance with AdaptiveAvgPool2d(1), or leave the flattening out"
        )
    return Refused(
        f"takes a {source} map as {view.dims}, its values in another order: no layer moves them so. Leave the "
        "reordering out, or choose one that keeps channels channels and pixels pixels"
    )
