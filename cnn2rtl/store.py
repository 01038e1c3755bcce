"""Graphs in a file: both networks of a project, so that later commands need no model and no pickle.

A stored object is JSON, with every array in a member of its own beside it. Only the classes of
``classes()`` are ever made, so a hostile file can at worst describe a network that is refused.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph, Node, QuantGraph, QuantNode
from cnn2rtl.limits import check_zip
from cnn2rtl.ops import REGISTRY, Input, NumberInput, Window
from cnn2rtl.quant.layers import QuantLayer
from cnn2rtl.quant.qformat import QFormat, Requant
from cnn2rtl.restoring import ModelOutput
from cnn2rtl.tensors import Clamp

_PARTS: Mapping[str, type[Any]] = {
    cls.__name__: cls
    for cls in (
        Clamp,
        FloatGraph,
        ModelOutput,
        Node,
        Input,
        NumberInput,
        Window,
        QuantGraph,
        QuantLayer,
        QuantNode,
        QFormat,
        Requant,
    )
}


def classes() -> Mapping[str, type[Any]]:
    """The classes that may be stored: the parts of a graph, and every layer kind that is registered by now."""
    return {**{cls.__name__: cls for cls in REGISTRY.values()}, **_PARTS}


def dump(objects: Mapping[str, object]) -> bytes:
    """The contents of a ``.npz`` file that holds ``objects``; the same objects give the same bytes."""
    arrays: dict[str, np.ndarray] = {}
    shared: dict[int, Any] = {}

    def encode(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            if id(value) not in shared:
                shared[id(value)] = {"array": f"a{len(arrays)}"}
                arrays[shared[id(value)]["array"]] = _narrow(value)
            return {**shared[id(value)], "dtype": str(value.dtype)}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
            return {"class": type(value).__name__, "fields": fields}
        if isinstance(value, tuple):
            return [encode(item) for item in value]
        if isinstance(value, np.generic):
            return value.item()
        return value

    text = json.dumps({name: encode(value) for name, value in objects.items()})
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, graphs=np.frombuffer(text.encode(), np.uint8), **arrays)
    return buffer.getvalue()


def load(data: bytes) -> dict[str, Any]:
    """What :func:`dump` stored; raises ``ValueError`` for anything else, :class:`UserError` for NaN and infinity."""
    try:
        check_zip(data)
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        known = classes()

        def decode(value: Any) -> Any:
            if isinstance(value, list):
                return tuple(decode(item) for item in value)
            if isinstance(value, dict) and "array" in value:
                dtype = np.dtype(value["dtype"])
                if dtype.kind not in "iufb":
                    raise TypeError(f"an array of {dtype}")
                return arrays[value["array"]].astype(dtype)
            if isinstance(value, dict):
                return known[value["class"]](**{name: decode(item) for name, item in value["fields"].items()})
            return value

        graphs = json.loads(arrays["graphs"].tobytes())
        return {name: decode(value) for name, value in graphs.items()}
    except UserError:
        raise
    except Exception as error:
        # Every part of a damaged file has its own way to fail: zip, deflate, numpy's headers, JSON, the classes.
        raise ValueError(f"not a stored network: {type(error).__name__}: {error}") from error


def _narrow(array: np.ndarray) -> np.ndarray:
    """Integers in as few bytes as hold them all."""
    if array.dtype.kind != "i" or not array.size:
        return array
    return array.astype(np.result_type(np.min_scalar_type(array.min()), np.min_scalar_type(array.max())))
