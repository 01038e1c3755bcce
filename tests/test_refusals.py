"""Every refusal of the front end is quoted by some test: a message that nobody has ever seen may say anything.

And all that the package says stands in one file, refusals.txt, where it is read before it is changed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import refusals as tool

ROOT = Path(__file__).resolve().parents[1]
QUOTED = 14
"""Characters of a message, in a row, that a test must have."""


def texts(tree: ast.AST) -> list[str]:
    """All that is written out within it."""
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def all_refusals() -> Iterator[tuple[str, list[str]]]:
    """Where the front end refuses something, and the parts of what it says then."""
    for file in sorted((ROOT / "cnn2rtl" / "frontend").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                parts = texts(node.args[0])
                if node.func.id in ("Refused", "Unsuitable") and parts:
                    yield f"{file.relative_to(ROOT)}:{node.lineno}: {'…'.join(parts)}", parts


def quoted(part: str, tests: str) -> bool:
    pieces = [part[start : start + QUOTED] for start in range(max(1, len(part) - QUOTED + 1))]
    return any(len(piece) > QUOTED // 2 and piece in tests for piece in pieces)


def test_every_refusal_is_tested() -> None:
    files = [file for file in (ROOT / "tests").glob("*.py") if file.name != Path(__file__).name]
    tests = "\n".join(text for file in files for text in texts(ast.parse(file.read_text())))
    found = dict(all_refusals())
    assert len(found) > 60
    assert [where for where, parts in found.items() if not any(quoted(part, tests) for part in parts)] == []


def test_all_refusals_stand_in_one_file() -> None:
    assert tool.page() == tool.FILE.read_text(), "read what has changed, and write it again: python tools/refusals.py"
