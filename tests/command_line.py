"""The command line as the tests run it: in this process, which saves importing torch every time."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from cnn2rtl.cli import main

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "digits"
DIGITS = (str(EXAMPLE / "digits.pt"), "--arch", f"{EXAMPLE / 'model.py'}:DigitNet", "--input", "1x8x8")


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


def run(*arguments: str | Path, cwd: Path) -> Result:
    """``cnn2rtl ARGUMENTS`` in the folder ``cwd``."""
    out, err = io.StringIO(), io.StringIO()
    argv, handlers = sys.argv, {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    sys.argv = ["cnn2rtl", *map(str, arguments)]
    code: object = 0
    try:
        with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        sys.argv = argv
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert isinstance(code, int), code
    return Result(code, out.getvalue(), err.getvalue())


def succeed(*arguments: str | Path, cwd: Path) -> str:
    """What a command printed that has to end well, and without a word on standard error."""
    result = run(*arguments, cwd=cwd)
    assert result.code == 0 and result.err == "", result
    return result.out


def mistakes(*arguments: str | Path, cwd: Path) -> list[str]:
    """The error lines of a command that has to refuse: one per mistake, exit code 2, and nothing written."""
    before = contents(cwd)
    result = run(*arguments, cwd=cwd)
    assert result.code == 2 and result.out == "", result
    lines = result.err.splitlines()
    assert lines and all(line.startswith("error: ") for line in lines), result.err
    assert "Traceback" not in result.err
    assert contents(cwd) == before
    return [line.removeprefix("error: ") for line in lines]


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every path below ``folder``, with the bytes of the files."""
    paths = sorted(folder.rglob("*"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in paths}
