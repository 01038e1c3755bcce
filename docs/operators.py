"""Write the tables of operators into layers.md, from what the front ends register: python docs/operators.py"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from cnn2rtl.frontend.converters import CONVERTERS
from cnn2rtl.frontend.qdq_operators import OPERATORS
from cnn2rtl.ops import REGISTRY

PAGE = Path(__file__).parent / "layers.md"
BEGIN, END = "<!-- made by docs/operators.py: begin -->\n", "<!-- end -->\n"
GRAPH_KINDS = ("affine", "identity", "input")


def table(operators: Mapping[str, Callable[..., object]], head: str) -> str:
    """A row for every function of a table ``operators``, with all the operators that it is for."""
    rows: dict[Callable[..., object], list[str]] = {}
    for name, convert in operators.items():
        # Only those of the package: a process may have added others.
        if convert.__module__.startswith("cnn2rtl."):
            names = rows.setdefault(convert, [])
            short = name.split(".")[1] if name.startswith("aten.") else name
            names += [short] if short not in names else []
    lines = [f"| {head} | what becomes of it |", "|---|---|"]
    for convert, names in rows.items():
        lines.append(f"| {', '.join(f'`{name}`' for name in names)} | {_linked(_sense(convert))} |")
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
            table(OPERATORS, "ONNX with QuantizeLinear and DequantizeLinear"),
        )
    )
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
