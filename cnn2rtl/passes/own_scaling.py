"""Who makes numbers of pixels: the normalisation before the network, or the network itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.ops import Affine, Input, Resample
from cnn2rtl.passes.absorb_input import normalisation
from cnn2rtl.passes.drop_identities import drop_identities
from cnn2rtl.tensors import Clamp, FloatArray

NARROW = 1 / 16
"""Of networks that scale what they take, those whose first layer sees no wider range seem to be scaled twice."""

_HOLD_BYTES = ("uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


def pixels_as_they_are(
    graph: FloatGraph, mean: Sequence[float], std: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[str, ...]]:
    """``mean`` and ``std`` as ``graph`` needs them, and notes on why they are not those that were given.

    A network that declares whole numbers takes bytes, and whatever makes other numbers of them is part of it:
    ``(pixel / 255 - mean) / std`` must be the pixel. Raises :class:`UserError` where something else was asked for.
    """
    declared = {node.name: node.op for node in graph.nodes if isinstance(node.op, Input)}
    whole = {name: op.dtype for name, op in declared.items() if op.whole}
    given = normalisation(mean, std, {name: op.shape[0] for name, op in declared.items()}, not graph.numbers)
    if not whole:
        return tuple(mean), tuple(std), ()
    one_for_all = len(mean) == len(std) == 1 and len(whole) < len(declared)
    problems = []
    for name, dtype in whole.items():
        if dtype not in _HOLD_BYTES:
            problems.append(
                f"the model's input `{name}` is of type {dtype}, which cannot hold pixels of 0 to 255; export the "
                "model with an input of uint8 or of floats, or say what comes if these are no pictures: "
                f'`input_format="{_named(dtype)}"`'
            )
        elif not (one_for_all or _is_default(*given[name])):
            problems.append(
                f"the model's input `{name}` is of type {dtype}: it takes pixels as they are, 0 to 255, and normalises "
                "them itself; leave out `mean=` and `std=`"
            )
    if problems:
        raise UserError(problems)
    means = [np.zeros_like(m) if name in whole else m for name, (m, _) in given.items()]
    stds = [np.full_like(s, 1 / 255) if name in whole else s for name, (_, s) in given.items()]
    notes = tuple(
        f"`{name}`: the model declares {dtype}, so it gets pixels as they are, 0 to 255, and normalises them itself."
        for name, dtype in whole.items()
    )
    return _listed(means), _listed(stds), notes


def _named(dtype: str) -> str:
    """A format that may be meant by a type."""
    return {"int8": "s8", "bool": "u1"}.get(dtype, "s16")


def _is_default(mean: FloatArray, std: FloatArray) -> bool:
    """Whether nothing was given, or what leaves pixels as they are."""
    return bool(np.all(mean == 0) and (np.all(std == 1) or np.allclose(std, 1 / 255)))


def _listed(values: Sequence[FloatArray]) -> tuple[float, ...]:
    """One number for all channels where they have the same, else one for each."""
    every = np.concatenate(values)
    return tuple(every.tolist()) if np.any(every != every[0]) else (float(every[0]),)


def scaled_twice(graph: FloatGraph, mean: Sequence[float], std: Sequence[float]) -> list[str]:
    """Of each input that ``graph`` scales itself, though ``mean`` and ``std`` have done so: what its layers see."""
    plain = drop_identities(graph)
    found = []
    channels = {name: shape[0] for name, shape in plain.inputs.items()}
    for name, (zero, unit) in normalisation(mean, std, channels, not plain.numbers).items():
        if name in plain.numbers:
            continue
        ends = np.stack([(0 - zero) / unit, (1 - zero) / unit])
        scales, low, high = _own_scaling(plain, name, ends)
        if scales and high - low < NARROW:
            found.append(
                f"`{name}`: the network scales its input itself (`{'`, `'.join(scales)}`), after (pixel / 255 - mean) "
                f"/ std: its first layer sees values from {low:.4g} to {high:.4g} alone. If the network takes pixels "
                "of 0 to 255, give `mean=0` and `std=1/255`"
            )
    return found


def _own_scaling(graph: FloatGraph, name: str, ends: FloatArray) -> tuple[list[str], float, float]:
    """The layers by which ``graph`` first scales ``name``, and what becomes of its two ``ends``, (2, channels)."""
    scales: list[str] = []
    node: Node | None = graph[name]
    while node is not None:
        consumers = graph.consumers(node.name)
        # Pixels may be moved meanwhile: padded, say.
        node = consumers[0] if len(consumers) == 1 and isinstance(consumers[0].op, (Affine, Resample)) else None
        if node is not None and isinstance(node.op, Affine):
            ends = ends * node.op.scale + node.op.shift
            scales.append(node.name)
            node = node if node.clamp == Clamp() else None
    widest = int(np.argmax(np.ptp(ends, axis=0)))
    return scales, float(ends[:, widest].min()), float(ends[:, widest].max())
