"""Weights that an ONNX file keeps in files beside it, as ``torch.onnx.export`` writes them by default.

How: https://onnx.ai/onnx/repo-docs/ExternalData.html
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from cnn2rtl.errors import Problems, UserError

MOST_BYTES = 1 << 31
"""Of all weights together: no more fits into one message of protobuf's."""

PACKED = {"UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "UINT2": 2, "INT2": 2, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6}
"""Bits of the types that share bytes."""


def load_external(onnx: Any, model: Any, path: Path) -> None:
    """Take into ``model`` all tensors that it keeps elsewhere, in the folder of ``path`` and nowhere else.

    Raises one :class:`UserError` for all files that are missing, too short, or not in that folder.
    """
    problems, total = Problems(), 0
    tensors = [tensor for tensor in _tensors(model.graph) if _is_external(onnx, tensor)]
    for tensor in tensors:
        with problems.gather():
            total += _check(onnx, tensor, path)
    if total > MOST_BYTES:
        problems.found.append(f"{path}: keeps {total:,} bytes of weights in other files; {MOST_BYTES:,} are the most")
    problems.found[:] = list(dict.fromkeys(problems.found))
    problems.check()
    for tensor in tensors:
        onnx.external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))


def _is_external(onnx: Any, tensor: Any) -> bool:
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data)


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor of a graph: its initializers, and those in attributes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check(onnx: Any, tensor: Any, path: Path) -> int:
    """The bytes of ``tensor``, which are to be in a file beside ``path``; raises :class:`UserError`."""
    told = {entry.key: entry.value for entry in tensor.external_data}
    place = told.get("location", "")
    file = path.parent / place
    if not place or Path(place).is_absolute() or not file.resolve().is_relative_to(path.parent.resolve()):
        raise UserError(f"{path}: keeps weights in `{place}`, which is not in its own folder; save all in one file")
    if not file.is_file():
        raise UserError(
            f"{path}: keeps its weights in `{place}`, which is not beside it; put both into one folder, under the "
            "names they were saved with, or save all in one file"
        )
    try:
        offset, size = int(told.get("offset", 0)), file.stat().st_size
        length = int(told.get("length", size - offset))
    except ValueError:
        raise UserError(f"{path}: does not tell in numbers where `{tensor.name}` is in `{place}`") from None
    needed = -(-prod(tensor.dims) * _bits(onnx, tensor.data_type) // 8)
    if offset < 0 or length != needed or offset + length > size:
        raise UserError(
            f"{path}: `{tensor.name}` has {needed:,} bytes, and `{place}` has {max(min(length, size - offset), 0):,} "
            "for it; the two files are not of one network, or one was cut short"
        )
    return length


def _bits(onnx: Any, data_type: int) -> int:
    packed = PACKED.get(onnx.TensorProto.DataType.Name(data_type))
    return packed or int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize) * 8
