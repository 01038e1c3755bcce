"""Files that other tools write, told by their content: what each is, and the way in."""

from __future__ import annotations

import ast
from pathlib import Path

from cnn2rtl import zoo

_KERAS = "export the network as ONNX with tf2onnx (`python -m tf2onnx.convert`), and give that"
_TORCHSCRIPT = "TorchScript, which is not read; save the nn.Module that it was made from with torch.export.save"

_BEGINNINGS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", f"HDF5, as Keras writes (.h5); {_KERAS}"),
    (4, b"TFL3", f"TensorFlow Lite; give the network that it was made from: {_KERAS}"),
    (4, b"ET12", "ExecuTorch; save the network that it was made from with torch.export.save"),
    (0, b"GGUF", "GGUF, the weights of a language model, which is no CNN"),
    (0, b"\x93NUMPY", "an array of numpy's, and no network"),
    (0, b"<?xml", "XML, as OpenVINO writes; give the network that it was made from, in ONNX"),
    (0, b"version https://git-lfs", "a pointer of Git LFS; fetch the file itself with `git lfs pull`"),
    (0, b"<!DOCTYPE html", "a web page; what was downloaded is not the file"),
)
"""Where in a file which bytes stand, and what it is then."""

_SUFFIXES = {
    ".pb": f"TensorFlow; {_KERAS}",
    ".mlmodel": "Core ML; give the network that it was made from: torch.export.save, or ONNX",
    ".tflite": f"TensorFlow Lite, but a damaged one; {_KERAS}",
    ".h5": f"HDF5, but a damaged one; {_KERAS}",
}
"""Formats of protobuf, whose content tells little, and damaged files."""

_FOLDERS = {
    "saved_model.pb": f"a SavedModel of TensorFlow's; {_KERAS}",
    "Manifest.json": "a package of Core ML; give the network that it was made from: torch.export.save, or ONNX",
}


def of_zip(names: set[str]) -> str:
    """What a zip file with these members is; nothing, where it may be torch's."""
    inner = {name.partition("/")[2] for name in names}
    if inner & {"constants.pkl", "bytecode.pkl"}:
        return f"holds {_TORCHSCRIPT}"
    if {"config.json", "model.weights.h5"} <= names:
        return f"a Keras file (.keras); {_KERAS}"
    return ""


def of_file(path: Path, data: bytes) -> str:
    """What a file that is none of torch's is; nothing, where that is not known."""
    for start, magic, what in _BEGINNINGS:
        if data[start : start + len(magic)] == magic:
            return f"is {what}"
    if path.suffix.lower() in _SUFFIXES:
        return f"is {_SUFFIXES[path.suffix.lower()]}"
    if data[:1] == b"\x08" and any(word in data[:400] for word in (b"pytorch", b"onnx")):
        return f"looks like ONNX; call it {path.stem}.onnx"
    return _of_python(path, data) if path.suffix.lower() == ".py" else ""


def of_folder(path: Path) -> str:
    """What a folder is that some tool writes as a model."""
    return next((f"is {what}" for name, what in _FOLDERS.items() if (path / name).exists()), "")


def of_name(name: str) -> str:
    """What could be meant by a name of which there is no file; nothing, where it looks like a file's."""
    if name in zoo.ZOO:
        return f"the network of the zoo is zoo:{name}"
    if not name.isidentifier():
        return ""
    return (
        "to bring a network that Python knows, write a file net.py with the line "
        f"`from torchvision.models import {name}`, and give net.py:{name}, or weights of it with `arch=net.py:{name}`"
    )


def _of_python(path: Path, data: bytes) -> str:
    """Which network of a Python file may be meant; the file is read, not run."""
    try:
        body = ast.parse(data).body
    except (SyntaxError, ValueError):
        return "is Python, but does not compile"
    names = [node.name for node in body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    names += [each.asname or each.name for node in body if isinstance(node, ast.ImportFrom) for each in node.names]
    found = [name for name in names if not name.startswith("_")]
    return f"is Python; say which network in it, like {path}:{(found or ['NAME'])[0]}" + (
        f"; it defines {', '.join(found)}" if found else ""
    )
