"""Whether a ``torch.export`` archive can be read without running code of its choosing.

``torch.export.load`` trusts its file: it unpickles example inputs (falling back to the unrestricted
unpickler), pickled weights and custom objects, loads compiled libraries, evaluates symbolic sizes as
Python, imports the modules its tree specifications name, and compiles Python source that contains the
graph's node names. Everything in an archive is therefore held against a list of what a plain network
needs. The archive is read by the reader and from the bytes that ``torch.export.load`` gets, so that what
is checked is what is loaded.
"""

from __future__ import annotations

import io
import json
import keyword
import re
import zipfile
from collections.abc import Iterator

import torch
from torch.export.pt2_archive._package import PT2ArchiveReader

_RECORDS = re.compile(
    r"archive_format|archive_version|byteorder|\.data/\w+|models/model\.json|extra/.*"
    r"|data/(weights|constants|sample_inputs)/model\.pt"
    r"|data/weights/(model_weights_config\.json|weight_\d+)"
    r"|data/constants/(model_constants_config\.json|tensor_\d+)"
)
_PICKLES = re.compile(r"data/\w+/model\.pt")
_CONFIGS = re.compile(r"data/\w+/model_\w+_config\.json")

_OPERATOR = re.compile(
    r"torch\.ops\.aten\.(?!__)\w+\.(?!__)\w+"
    r"|torch\.sym_\w+|_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|neg|pow|eq|ne|lt|le|gt|ge)"
)
# sympy reads these by evaluating them: only symbols, numbers and sums and products of them may pass.
_SIZE = re.compile(
    r"(?:\b(?:Symbol|Integer|Add|Mul|positive|nonnegative|integer|True|False)\b"
    r"|'[su]\d{1,6}'|\b[su]\d{1,6}\b|\b\d{1,9}\b|[-+(),= ]|\*(?!\*))*"
)
_WORD = re.compile(r"[\w.+-]*")
_TREE_TYPES = ("builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", None)
# Read as JSON in turn, where objects may name a module to import: nothing but lists of plain keys may pass.
_TREE_CONTEXT = re.compile(r'None|null|\[(?:"[\w.]*"(?:, (?!\]))?)*\]')
_NESTED = ("as_graph", "as_operator", "as_custom_obj", "as_string_to_argument")


def refusals(data: bytes) -> list[str]:
    """What in the archive ``data`` could run code, or is no part of a plain network; empty if it is safe.

    An archive too damaged to judge is refused as well.
    """
    try:
        return list(dict.fromkeys(_problems(data)))
    except Exception:
        return ["the export archive is truncated or damaged"]


def _problems(data: bytes) -> Iterator[str]:
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    if "version" in names or "serialized_exported_program.json" in names:
        # torch.export.load would fall back to its old reader, which none of the checks below foresee.
        yield "the archive is of a format that torch wrote before 2.8"
        return
    with PT2ArchiveReader(io.BytesIO(data)) as reader:
        for record in reader.get_file_names():
            if not _RECORDS.fullmatch(record):
                yield f"holds `{record}`, which may be pickled or compiled code"
            elif _PICKLES.fullmatch(record):
                yield from _pickle_problems(record, reader.read_bytes(record))
            elif _CONFIGS.fullmatch(record):
                yield from _config_problems(json.loads(reader.read_string(record)))
            elif record == "models/model.json":
                program = json.loads(reader.read_string(record))
                if program.get("guards_code"):
                    yield "holds Python code to check its inputs with"
                yield from _json_problems("", program)


def _pickle_problems(record: str, payload: bytes) -> Iterator[str]:
    """torch.export.load itself tries ``weights_only=True`` first, so what passes here goes no further there."""
    if payload:
        try:
            torch.load(io.BytesIO(payload), weights_only=True)
        except Exception:
            yield f"holds `{record}`, a pickle of more than tensors"


def _config_problems(config: dict[str, dict[str, dict[str, object]]]) -> Iterator[str]:
    for name, payload in config["config"].items():
        if payload["use_pickle"]:
            yield f"holds `{name}` as a pickle"
        if not re.fullmatch(r"(weight|tensor)_\d+", str(payload["path_name"])):
            yield f"holds `{name}` in the unknown form `{payload['path_name']}`"
        yield from _json_problems("", payload)


def _json_problems(key: str, value: object) -> Iterator[str]:
    """Walk the program's JSON; ``key`` is the name under which ``value`` stands."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in _NESTED and inner is not None:
                yield f"holds a nested program or a custom object (`{name}`), as torch.no_grad and control flow make"
            elif not _WORD.fullmatch(name):
                yield f"holds the malformed name {name!r}"
            elif not _is_text(name, inner):
                yield from _json_problems(name, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _json_problems(key, inner)
    elif isinstance(value, str):
        yield from _text_problems(key, value)


def _is_text(key: str, value: object) -> bool:
    """Whether torch takes ``value`` for what it says and no more: comments on a node, an operator's text argument.

    The types count as much as the keys, as a tensor may have any key for its name.
    """
    if key == "metadata":
        return isinstance(value, dict) and all(isinstance(inner, str) for inner in value.values())
    return key == "as_string" and isinstance(value, str)


def _text_problems(key: str, text: str) -> Iterator[str]:
    if key == "expr_str":
        if not _SIZE.fullmatch(text):
            yield f"holds {text!r} as a tensor's size"
    elif key in ("in_spec", "out_spec"):
        yield from _tree_problems(json.loads(text)[1])
    elif key == "target":
        if not _OPERATOR.fullmatch(text):
            yield f"calls `{text}`, which is no tensor operation of torch"
    elif key in ("name", "as_name"):
        if text and (not text.isidentifier() or keyword.iskeyword(text)):
            yield f"holds {text!r} as a value's name"
    elif not _WORD.fullmatch(text):
        yield f"holds {text!r} as its `{key}`"


def _tree_problems(tree: dict[str, object]) -> Iterator[str]:
    if tree["type"] not in _TREE_TYPES or not _TREE_CONTEXT.fullmatch(str(tree["context"])):
        yield f"holds inputs or outputs of type `{tree['type']}` that are more than tensors with names"
    children = tree["children_spec"]
    for child in children if isinstance(children, list) else ():
        yield from _tree_problems(child)
