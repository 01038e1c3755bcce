"""Operators that move values and compute none."""

from __future__ import annotations

from cnn2rtl.frontend.call import Call, Map, Refused


def reshape(call: Call) -> Map:
    """Nothing: values that stay in order are only named otherwise."""
    return call.source.reshaped(call.out, call.name)


def expand(call: Call) -> Map:
    """``select`` for channels; nothing where the next layer can take the values once."""
    return call.source.expanded(call.out, call.name)


def move(call: Call) -> Map | list[Map]:
    """``select`` for what moves channels alone; nothing where the next layer can take any order, as ``linear`` can."""
    return call.source.moved(call.target, dict(call.args), call.name)


def along_dimensions(call: Call) -> Map | list[Map]:
    """Nothing by itself, where the next layer can take the values in any order; never between images."""
    if any(dim % (1 + len(call.source.dims)) == 0 for dim in call.args["dims"]) or not call.args["dims"]:
        raise Refused("mixes the images of a batch; leave dimension 0 alone")
    return move(call)
