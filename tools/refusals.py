"""Every refusal and every warning of the package in one file, to be read: tests/refusals.txt.

    python tools/refusals.py            # write it again

Each line is a text as the source has it; what is filled in stands in braces. Whoever adds or changes one reads it there
among the others: it has to name the place, the cause and the way out. `tests/test_refusals.py` compares the file with
the source.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "tests" / "refusals.txt"

SAYS = ("UserError", "Refused", "Unsuitable", "Notice", "TooLarge")
"""What texts are given to whoever uses the package."""

LISTS = ("problems", "found", "wrong", "notes", "mistakes")
GATHERS = ("append", "insert")
"""Lists that they are gathered in, and how."""


def page() -> str:
    """What the file should say."""
    return (
        "\n\n".join(
            "\n".join([str(file.relative_to(ROOT)), *(f"  {text}" for text in texts)])
            for file in sorted((ROOT / "cnn2rtl").rglob("*.py"))
            if (texts := list(dict.fromkeys(_texts(file))))
        )
        + "\n"
    )


def _texts(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        for said in _said(node):
            text = _text(said)
            if len(re.sub(r"{[^}]*}", "", text).split()) > 2:
                yield text


def _said(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions of what is told by a statement."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        gathers = isinstance(node.func, ast.Attribute) and name in GATHERS and _name(node.func.value) in LISTS
        if (name in SAYS or gathers) and node.args:
            yield from _parts(node.args[-1] if gathers else node.args[0])
    elif isinstance(node, ast.AugAssign) and _name(node.target) in LISTS:
        yield from _parts(node.value)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """The texts that an expression may be: of either branch, of each in a list."""
    if isinstance(node, ast.IfExp):
        yield from _parts(node.body)
        yield from _parts(node.orelse)
    elif isinstance(node, (ast.List, ast.Tuple)):
        for one in node.elts:
            yield from _parts(one)
    elif isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        yield from _parts(node.elt)
    elif isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp)):
        yield node


def _text(node: ast.expr) -> str:
    """A text as it is written, what is filled in in braces."""
    if isinstance(node, ast.Constant):
        return str(node.value).replace("\n", "\\n")
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return f"{{{ast.unparse(node.value)}}}"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return f"{{{ast.unparse(node)}}}"


if __name__ == "__main__":
    FILE.write_text(page())
