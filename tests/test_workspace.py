"""Folders in which things are made: what a killed process left goes, and nothing else does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import DIGITS, succeed

from cnn2rtl import output, workspace
from cnn2rtl.output import check_target, replace_file, write_file, write_project
from cnn2rtl.workspace import NEW, OLD, own_folder, sweep

ROOT = Path(__file__).resolve().parents[1]
FILES = {"design.json": "{}", "rtl/a.v": "old"}

WAITS_WITHIN = """
import sys
from pathlib import Path
from cnn2rtl.workspace import own_folder, workspace
with {what}(Path(sys.argv[1]), sys.argv[2]) as work:
    (work / "new").mkdir()
    (work / "new" / "half.v").write_text("half")
    print(work, flush=True)
    sys.stdin.read()
"""


@contextmanager
def another(folder: Path, name: str, what: str = "workspace") -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that is making ``name``, and where."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITS_WITHIN.format(what=what), folder, name],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def left_by_the_killed(folder: Path, name: str) -> Path:
    with another(folder, name) as (process, work):
        process.send_signal(signal.SIGKILL)
    assert (work / "new" / "half.v").exists()
    return work


def test_what_the_killed_left_goes(tmp_path: Path) -> None:
    left_by_the_killed(tmp_path, "out")
    write_project(tmp_path / "out", FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    left_by_the_killed(tmp_path, "a.npz")
    write_file(tmp_path / "a.npz", b"1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "out"]


def test_a_file_of_a_project(tmp_path: Path) -> None:
    """It does not look like one of the user's, either."""
    write_project(tmp_path / "out", FILES)
    for name in output.REPLACED:
        left_by_the_killed(tmp_path / "out", name)
    check_target(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["design.json", "manifest.json", "rtl"]
    left_by_the_killed(tmp_path / "out", "design.json")
    replace_file(tmp_path / "out", "design.json", "[]")
    check_target(tmp_path / "out")


def test_who_is_at_work_is_left_alone(tmp_path: Path) -> None:
    with another(tmp_path, "out") as (process, work):
        write_project(tmp_path / "out", FILES)
        assert (work / "new" / "half.v").exists()
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    """Whatever it is called."""
    for name in (
        ".out.12345678", ".out.cnn2rtl-1234567", ".out.cnn2rtl-123456789", ".out.cnn2rtl-ABCDEFGH",
        ".other.cnn2rtl-12345678", ".out.b.cnn2rtl-12345678", "out.cnn2rtl-12345678",
    ):  # fmt: skip
        (tmp_path / name / NEW).mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / NEW).mkdir(parents=True)
    (tmp_path / ".out.cnn2rtl-aaaaaaaa").symlink_to(elsewhere)
    (tmp_path / ".out.cnn2rtl-bbbbbbbb").write_text("a file")
    os.mkfifo(tmp_path / ".out.cnn2rtl-cccccccc")
    (tmp_path / ".out.cnn2rtl-dddddddd" / "mine").mkdir(parents=True)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    sweep(tmp_path, "out")
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before
    (tmp_path / ".out.cnn2rtl-eeeeeeee" / NEW).mkdir(parents=True)
    (tmp_path / ".out.cnn2rtl-eeeeeeee" / NEW / "link").symlink_to(elsewhere)
    sweep(tmp_path, "out")
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_a_sweep_between_making_and_locking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that begin at the same time."""
    make, made = tempfile.mkdtemp, []

    def swept(**options: Any) -> str:
        made.append(make(**options))
        if len(made) < 3:
            sweep(tmp_path, "out")
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", swept)
    write_project(tmp_path / "out", FILES)
    assert len(made) == 3 and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = left_by_the_killed(tmp_path, "out")
    other = work.stat().st_uid + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    sweep(tmp_path, "out")
    assert work.exists()


def test_a_project_that_was_on_its_way_comes_back(tmp_path: Path) -> None:
    """Where folders cannot be exchanged in one step, the old one is away for a moment."""
    work = left_by_the_killed(tmp_path, "out")
    write_project(tmp_path / "elsewhere", FILES)
    (tmp_path / "elsewhere").rename(work / OLD)
    check_target(tmp_path / "out")
    assert (tmp_path / "out" / "rtl" / "a.v").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems have none: nothing is swept then, and all else is as ever."""

    def none(file: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    left = left_by_the_killed(tmp_path, "out")
    monkeypatch.setattr(workspace.fcntl, "flock", none)
    write_project(tmp_path / "out", FILES)
    replace_file(tmp_path / "out", "design.json", "[]")
    record_of_nothing(tmp_path / "out")
    with own_folder(tmp_path, "build") as one, own_folder(tmp_path, "build") as two:
        assert one == two == tmp_path / "build"
    assert sorted(path.name for path in tmp_path.iterdir()) == [left.name, "build", "out"]


def record_of_nothing(folder: Path) -> None:
    with workspace.alone_in(folder):
        pass


def test_long_names(tmp_path: Path) -> None:
    name = "\N{CJK UNIFIED IDEOGRAPH-7DB2}" * 85
    write_project(tmp_path / name, FILES)
    assert (tmp_path / name / "rtl" / "a.v").exists()


def test_builds_side_by_side(tmp_path: Path) -> None:
    with (
        another(tmp_path, "icarus", "own_folder") as (first, one),
        another(tmp_path, "icarus", "own_folder") as (_, two),
    ):
        assert (one, two) == (tmp_path / "icarus", tmp_path / "icarus-2")
        first.kill()
        first.wait()
        with own_folder(tmp_path, "icarus") as mine:
            assert mine == one


def test_simulations_side_by_side(tmp_path: Path) -> None:
    """Other numbers of frames, so that one's vectors would fail the other."""
    succeed("generate", *DIGITS, "-o", "out", cwd=tmp_path)
    command = [sys.executable, "-m", "cnn2rtl", "simulate", "out", "--seed"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "scratch")}
    (tmp_path / "scratch").mkdir()
    running = [
        subprocess.Popen([*command, str(seed)], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        for seed in range(3)
    ]
    for process in running:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0 and "PASS" in said, said
    assert not list((tmp_path / "scratch").iterdir())
    check_target(tmp_path / "out")


def test_results_of_several_commands_are_all_kept(tmp_path: Path) -> None:
    succeed("generate", *DIGITS, "-o", "out", cwd=tmp_path)
    code = (
        "import sys; from pathlib import Path; from cnn2rtl import schema; from cnn2rtl.project import record\n"
        "none = schema.Errors(0.0, 0.0, 0.0)\n"
        "values = schema.Values(None, none, (none,))\n"
        "said = schema.Judged('scores', 'regression', 'x', None, values)\n"
        "accuracy = [schema.Accuracy(n + 1, (said,), {}, 'x') for n in range(12)]\n"
        "simulation = [schema.Simulation('x', n + 1, 'x', 0, 1, 1, True, (), 1, 1, {}, {}) for n in range(12)]\n"
        "for found in vars()[sys.argv[1]]: record(Path('out'), **{sys.argv[1]: found})"
    )
    environment, names = {**os.environ, "PYTHONPATH": str(ROOT)}, ("accuracy", "simulation")
    running = [subprocess.Popen([sys.executable, "-c", code, name], cwd=tmp_path, env=environment) for name in names]
    assert [process.wait(300) for process in running] == [0, 0]
    kept = json.loads((tmp_path / "out" / "design.json").read_text())["results"]
    assert kept["accuracy"]["images"] == kept["simulation"]["frames"] == 12
    check_target(tmp_path / "out")
