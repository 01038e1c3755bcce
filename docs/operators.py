"""Write the tables of operators into layers.md, from what the front ends register: python docs/operators.py"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from cnn2rtl.frontend.converters import CONVERTERS
from cnn2rtl.frontend.onnx_float import OPERATORS as FLOAT
from cnn2rtl.frontend.qdq_operators import OPERATORS as QDQ
from cnn2rtl.frontend.unsupported import FAMILIES
from cnn2rtl.ops import REGISTRY

PAGE = Path(__file__).parent / "layers.md"
BEGIN, END = "<!-- made by docs/operators.py: begin -->\n", "<!-- end -->\n"
GRAPH_KINDS = ("affine", "identity", "input")


def table(operators: Mapping[str, Callable[..., object]], head: str) -> str:
    """A row for everything that becomes of ``operators``, with all of those of which it does."""
    rows: dict[str, list[str]] = {}
    for name, convert in operators.items():
        # Only those of the package: a process may have added others.
        if convert.__module__.startswith("cnn2rtl."):
            names = rows.setdefault(_sense(convert), [])
            short = name.split(".")[1] if name.startswith("aten.") else name
            names += [short] if short not in names else []
    lines = [f"| {head} | what becomes of it |", "|---|---|"]
    for sense, names in rows.items():
        lines.append(f"| {', '.join(f'`{name}`' for name in names)} | {_linked(sense)} |")
    return "\n".join(lines) + "\n"


def refused() -> str:
    """A row for everything of which the front ends can say why it is not there."""
    lines = ["| not supported | operators | why | instead |", "|---|---|---|---|"]
    for family in FAMILIES:
        names = ", ".join(f"`{name}`" for name in (*family.torch, *family.onnx))
        lines.append(f"| {family.what} | {names} | {family.why} | {family.instead} |")
    return "\n".join(lines) + "\n"


def _sense(convert: Callable[..., object]) -> str:
    """The first paragraph of a function's docstring, in one line."""
    text = inspect.getdoc(convert)
    assert text, f"{convert.__name__} has no docstring, which is its line in the documentation"
    return " ".join(text.split("\n\n")[0].split())


def _linked(text: str) -> str:
    def link(found: re.Match[str]) -> str:
        kind = found[1]
        return f"[{kind}](#{kind})" if kind in REGISTRY or kind in GRAPH_KINDS else f"`{kind}`"

    return re.sub(r"``(\w+)``", link, text).replace("``", "`")


def page(text: str) -> str:
    """``text`` with the tables as they should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n".join(
        (
            table(CONVERTERS, "PyTorch: operators of the exported program (`aten`)"),
            table(FLOAT, "ONNX: each as the operator of PyTorch that is named"),
            table(QDQ, "ONNX with QuantizeLinear and DequantizeLinear"),
            refused(),
        )
    )
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
