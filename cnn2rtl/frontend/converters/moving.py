"""Operators that move values and compute none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cnn2rtl.frontend.call import Call, Map, Refused


def reshape(call: Call) -> Map:
    """Nothing: values that stay in order are only named otherwise."""
    return call.source.reshaped(call.out, call.name)


def expand(call: Call) -> Map:
    """``select`` for channels, ``resample`` for pixels; nothing where the next layer can take the values once."""
    return call.source.expanded(call.out, call.name)


def move(call: Call) -> Map | list[Map]:
    """``select`` for channels, ``resample`` for pixels, ``depth_to_space`` for channels that become pixels, or several;
    nothing where the next layer can take any order, as ``linear`` can.
    """
    return call.source.moved(call.target, dict(call.args), call.name)


def along_dimensions(call: Call) -> Map | list[Map]:
    """As ``resample`` and ``select``; never between images."""
    if any(dim % (1 + len(call.source.dims)) == 0 for dim in call.args["dims"]) or not call.args["dims"]:
        raise Refused("mixes the images of a batch; leave dimension 0 alone")
    return move(call)


def constant_pad(call: Call) -> Map:
    """``resample``."""
    source, value = call.source, call.number("value", 0.0)
    if call.args.get("mode", "constant") != "constant":
        return _one(source.moved(call.target, dict(call.args), call.name))
    if np.any(source.positions < 0) and source.value != value:
        # A view has one constant: the first one becomes part of a map.
        plain = call.builder.plain(source)
        source = plain.reshaped(source.dims)

    def padded(view: Map) -> Map:
        # What torch puts around the positions stands for the constant.
        made = _one(view.moved(call.target, {**call.args, "value": -1.0}, call.name))
        return replace(made, value=value, again=padded)

    return padded(source)


def _one(moved: Map | list[Map]) -> Map:
    assert isinstance(moved, Map)
    return moved
