"""The attributes of an ONNX operator: one that nobody reads could mean anything, so it is not passed over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cnn2rtl.frontend.onnx_file import OnnxCall
from cnn2rtl.frontend.view import Refused
from cnn2rtl.onnx_writer import load_onnx


class Attributes(Mapping[str, Any]):
    """The attributes that a file gives, remembering which of them have been asked for; texts are bytes."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)
        self._read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self._read.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def check(self, call: OnnxCall) -> None:
        """Raise :class:`Refused` for those that nothing has read, unless they are what they are by default."""
        left = {name: value for name, value in self._values.items() if name not in self._read}
        defaults = _defaults(call) if left else {}
        unread = [f"{name}={_shown(value)}" for name, value in left.items() if value != defaults.get(name)]
        if unread:
            raise Refused(f"{', '.join(unread)} is not supported; leave it at what it is by default")


def _defaults(call: OnnxCall) -> dict[str, Any]:
    """What the attributes of an operator are where a file says nothing, those that have a value then."""
    onnx: Any = load_onnx()
    schema = onnx.defs.get_schema(call.kind, call.since, "")
    given = {name: about.default_value for name, about in schema.attributes.items() if about.default_value.name}
    return {name: onnx.helper.get_attribute_value(value) for name, value in given.items()}


def _shown(value: object) -> object:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
