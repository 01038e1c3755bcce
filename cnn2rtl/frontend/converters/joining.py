"""Operators on two tensors: arithmetic with constants and with other maps, and concatenation."""

from __future__ import annotations

from math import isfinite, prod

import numpy as np
import torch

from cnn2rtl.frontend.call import Call, Map, Refused
from cnn2rtl.frontend.converters.channelwise import affine
from cnn2rtl.frontend.relabel import axes_of, channels_first, is_map
from cnn2rtl.ops import Add, Concat, Multiply, Op, Table
from cnn2rtl.tensors import FloatArray


def arithmetic(call: Call) -> Map:
    """``affine`` with a constant, of one number or one per channel; of two maps ``add`` or ``multiply``."""
    name = call.operator.split(".")[1]
    left, right = call.args["self"], call.args["other"]
    if isinstance(left, Map) and isinstance(right, Map):
        return _of_two(call, name, left, right)
    if call.args.get("rounding_mode") is not None or call.args.get("alpha", 1) != 1:
        raise Refused("rounding_mode and alpha are not supported; write the factor as a product")
    swapped = isinstance(right, Map)
    source, factor = call.source, _operand(call, "self" if swapped else "other")
    one, zero = np.ones_like(factor), np.zeros_like(factor)
    if name == "mul":
        return affine(call, source, factor, zero)
    if name == "add":
        return affine(call, source, one, factor)
    if name == "rsub" or (name == "sub" and swapped):
        return affine(call, source, -one, factor)
    if name == "sub":
        return affine(call, source, one, -factor)
    if swapped:
        inverse = call.pointwise(Table("reciprocal"), source, part="reciprocal")
        return affine(call, inverse, factor, zero)
    return affine(call, source, 1.0 / factor, zero)


def _operand(call: Call, name: str) -> FloatArray:
    """Argument ``name``, a number or a constant tensor, whose first dimension may be the batch's."""
    value = call.args[name]
    array = np.asarray(value, np.float64) if isinstance(value, (int, float)) else call.required(name)
    if array.ndim > len(call.out):
        if array.shape[0] != 1:
            raise Refused("differs between the images of a batch, which a constant may not")
        array = array[0]
    return array


def negative(call: Call) -> Map:
    """``affine``."""
    return affine(call, call.source, np.array(-1.0), np.array(0.0))


def _of_two(call: Call, name: str, left: Map, right: Map) -> Map:
    """A sum, a difference, a product or a quotient of two feature maps."""
    if name in ("mul", "div"):
        if call.args.get("rounding_mode") is not None:
            raise Refused("rounding_mode is not supported")
        if name == "div":
            right = call.pointwise(Table("reciprocal"), right, part="reciprocal")
        return elementwise(call, Multiply(), left, right)
    factor = float(call.args.get("alpha", 1))
    if factor == 0 or not isfinite(factor):
        raise Refused(f"alpha is {factor:g}; a number that is not 0 is expected")
    return elementwise(call, Add((1.0, -factor if name == "sub" else factor)), left, right)


def elementwise(call: Call, op: Op, left: Map, right: Map) -> Map:
    """``op`` on two maps, value by value; ahead of what reorders both of them alike."""
    left, right = left.expanded(call.out, call.name), right.expanded(call.out, call.name)
    alike = [base.shape for base in left.bases] == [base.shape for base in right.bases]
    alike = alike and np.array_equal(left.positions, right.positions)
    if alike and left.permutes:
        return left.of(*(call.layer(op, *pair) for pair in zip(left.bases, right.bases, strict=True)))
    return call.layer(op, left, right).reshaped(call.out)


def concat(call: Call) -> Map:
    """``concat``; of other views than maps, at the end of the network, nothing, and several outputs."""
    maps: list[Map] = call.args["tensors"]
    dim = call.args["dim"] % (1 + len(call.out))
    if dim == 0:
        raise Refused("joins images to a larger batch; only maps of one image can be joined")
    if not all(isinstance(value, Map) for value in maps):
        raise Refused(
            "joins feature maps with constants, which is not supported; give the next layer a bias in their place"
        )
    if len(maps) == 1:
        return maps[0]
    if all(not m.parts and m.node == maps[0].node and m.value == maps[0].value for m in maps):
        return _of_one(call, maps, dim)
    if call.ends and not all(is_map(m) for m in maps):
        return _apart(call, maps, dim)
    found = [channels_first(m) for m in maps]
    last = all(was_last for _, was_last in found)
    sources = [first for first, _ in found] if last else maps
    made = call.layer(Concat(1 + axes_of(1 + len(call.out), last)[dim]), *sources)
    if last:
        made = made.at(np.moveaxis(made.positions, 0, -1), name=call.name)
    return made.reshaped(call.out)


def _of_one(call: Call, maps: list[Map], dim: int) -> Map:
    joined = torch.cat([torch.from_numpy(m.positions.copy())[None] for m in maps], dim)
    return maps[0].at(joined[0].numpy(), name=call.name)


def _apart(call: Call, maps: list[Map], dim: int) -> Map:
    """The same values, still in the maps that they come from."""
    maps = [call.builder.plain(m).reshaped(m.dims) if np.any(m.positions < 0) else m for m in maps]
    bases = {base.node: base for m in maps for base in m.bases}
    first = dict(zip(bases, np.cumsum([0, *(prod(base.shape) for base in bases.values())]), strict=False))
    places = []
    for m in maps:
        own = np.concatenate([first[base.node] + np.arange(prod(base.shape)) for base in m.bases])
        places.append(own[m.positions])
    return Map.joined(tuple(bases.values()), call.name).at(np.concatenate(places, dim - 1), name=call.name)
