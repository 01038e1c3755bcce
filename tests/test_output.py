"""The output folder: all of it or nothing, nothing of the user's is lost, and the same input gives the same bytes."""

from __future__ import annotations

import errno
import getpass
import io
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from command_line import DIGITS, EXAMPLE, contents

from cnn2rtl import output
from cnn2rtl.errors import UserError
from cnn2rtl.output import BUILD_FOLDERS, check_target, write_project

ROOT = Path(__file__).resolve().parents[1]
OLD = {"design.json": "{}\n", "rtl/a.v": "old\n", "rom/a.hex": "00\n" * 50, "sim/deep/er/v.bin": b"\x00\xff"}
NEW = {"design.json": "{1}\n", "rtl/b.v": "new\n" * 2000, "rom/a.hex": "11\n", "syn/b.tcl": ""}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A project, and something of the user's beside it."""
    (tmp_path / "beside.txt").write_text("mine")
    write_project(tmp_path / "out", OLD)
    return tmp_path / "out"


def refusal(out: Path, force: bool = False) -> str:
    """Why ``out`` cannot be written; nothing may change."""
    before = contents(out.parent)
    with pytest.raises(UserError) as caught:
        write_project(out, NEW, force)
    with pytest.raises(UserError) as early:
        check_target(out, force)
    assert contents(out.parent) == before
    assert str(early.value) == str(caught.value)
    return str(caught.value)


def holds(out: Path, files: dict[str, str | bytes]) -> bool:
    found = {path: data for path, data in contents(out).items() if data is not None and path != output.MANIFEST}
    return found == {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}


# What is never overwritten


def test_writing_and_replacing(out: Path) -> None:
    assert holds(out, OLD)
    write_project(out, NEW)
    assert holds(out, NEW)
    assert {path.name for path in out.parent.iterdir()} == {"beside.txt", "out"}
    write_project(out.parent / "a" / "b" / "out", NEW)
    assert contents(out.parent / "a" / "b" / "out") == contents(out)
    (out.parent / "empty").mkdir()
    write_project(out.parent / "empty", NEW)
    assert contents(out.parent / "empty") == contents(out)
    # As other programs make folders: open to whom the user's mask admits, not to the user alone.
    (out.parent / "plain").mkdir()
    assert out.stat().st_mode == (out.parent / "plain").stat().st_mode


@pytest.mark.parametrize("manifest", [None, "{}", "[]", "nonsense", '{"name": "an npm project"}'])
def test_a_folder_that_is_not_ours(tmp_path: Path, manifest: str | None) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    if manifest is not None:
        (tmp_path / "out" / "manifest.json").write_text(manifest)
    for force in (False, True):
        assert "exists and is not a folder that cnn2rtl made; it stays as it is" in refusal(tmp_path / "out", force)


def test_changes_in_a_project(out: Path) -> None:
    (out / "rtl" / "a.v").write_text("mended\n")
    (out / "notes").mkdir()
    (out / "notes" / "todo.txt").write_text("mine")
    (out / "sim" / "builder.sh").write_text("mine")
    message = refusal(out)
    assert "holds files that were added or changed" in message and "`force=True`" in message
    assert "(notes/todo.txt, rtl/a.v, sim/builder.sh)" in message
    write_project(out, NEW, force=True)
    assert holds(out, NEW)
    # What is deleted is nothing to lose.
    (out / "rtl" / "b.v").unlink()
    write_project(out, OLD)
    assert holds(out, OLD)
    for number in range(7):
        (out / f"{number}.txt").touch()
    assert "(0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 2 more)" in refusal(out)


def test_what_tools_build_may_go(out: Path) -> None:
    for folder in BUILD_FOLDERS:
        (out / folder / "sub").mkdir(parents=True)
        (out / folder / "sub" / "a.o").write_text("built")
    write_project(out, NEW)
    assert holds(out, NEW)


def test_links(out: Path) -> None:
    precious = out.parent / "precious"
    precious.mkdir()
    (precious / "a.txt").write_text("mine")
    (out / "sim" / "build").symlink_to(precious)
    assert "(sim/build)" in refusal(out)
    (out / "rtl" / "a.v").unlink()
    (out / "rtl" / "a.v").symlink_to(out.parent / "copy.v")
    (out.parent / "copy.v").write_text("old\n")
    assert "(rtl/a.v, sim/build)" in refusal(out)
    # The links may go, what they lead to may not.
    write_project(out, NEW, force=True)
    assert holds(out, NEW) and (precious / "a.txt").read_text() == "mine" and (out.parent / "copy.v").exists()
    for target in (precious, out.parent / "nowhere"):
        link = out.parent / "link"
        link.symlink_to(target)
        assert "exists and is a link, not a folder" in refusal(link, force=True)
        link.unlink()
    # A link on the way is a way.
    (out.parent / "way").symlink_to(precious)
    write_project(out.parent / "way" / "out", NEW)
    assert holds(precious / "out", NEW)


def test_the_current_folder(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for inside in (out, out / "rtl"):
        monkeypatch.chdir(inside)
        assert "the current folder is in it" in refusal(out)
        assert "the current folder is in it" in refusal(Path(os.path.relpath(out)))


def test_names_that_are_taken_or_cannot_be(out: Path) -> None:
    assert "exists and is a file, not a folder" in refusal(out.parent / "beside.txt", force=True)
    assert "is no folder; choose another place" in refusal(out.parent / "beside.txt" / "out")
    os.mkfifo(out / "pipe")
    with pytest.raises(UserError, match=r"added or changed .*\(pipe\)"):
        check_target(out)


# What interrupts


def full_disk(at: int) -> Callable[[Path, bytes], int]:
    """``Path.write_bytes`` that gets half of the ``at``-th file written."""
    count, write = 0, Path.write_bytes

    def limited(path: Path, data: bytes) -> int:
        nonlocal count
        count += 1
        if count == at:
            write(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, data)

    return limited


@pytest.mark.parametrize("at", range(1, len(NEW) + 2))
def test_a_disk_that_fills(out: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    before = contents(out.parent)
    for target in (out, out.parent / "new" / "deep"):
        monkeypatch.setattr(Path, "write_bytes", full_disk(at))
        with pytest.raises(UserError, match=r"the disk is full; nothing was changed. Make room and run it again"):
            write_project(target, NEW)
        monkeypatch.undo()
        assert contents(out.parent) == before


@pytest.mark.parametrize("swap", [True, False])
def test_a_folder_that_cannot_be_moved(out: Path, monkeypatch: pytest.MonkeyPatch, swap: bool) -> None:
    before, rename = contents(out.parent), Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    if not swap:
        monkeypatch.setattr(output, "_exchange", lambda one, other: False)
    for target in (out.parent / "new" / "deep", *([] if swap else [out])):
        with pytest.raises(UserError, match=r"cannot be written \(Permission denied\); nothing was changed"):
            write_project(target, NEW)
        assert contents(out.parent) == before
    monkeypatch.setattr(Path, "rename", rename)
    write_project(out, NEW)
    assert holds(out, NEW) and {path.name for path in out.parent.iterdir()} == {"beside.txt", "out"}


def test_there_is_a_project_at_every_moment(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (out.parent / "one").mkdir()
    (out.parent / "other").mkdir()
    if not output._exchange(out.parent / "one", out.parent / "other"):
        pytest.skip("this file system cannot exchange two folders in one step")
    moved: list[Path] = []
    monkeypatch.setattr(Path, "rename", lambda path, target: moved.append(path))
    write_project(out, NEW)
    assert holds(out, NEW) and not moved


IN_A_NAMESPACE = """
import os, subprocess, sys
from pathlib import Path
from cnn2rtl.errors import UserError
from cnn2rtl.output import check_target, write_project

def refused(out, files):
    try:
        write_project(out, files)
    except UserError as error:
        print(error)
    else:
        raise SystemExit(f"{out} was written")

def snapshot():
    return {path: path.is_file() and path.read_bytes() for path in disk.rglob("*")}

def mount(folder, size):
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)

disk = Path(sys.argv[1])
mount(disk, "128k")
old = {"design.json": "{}", "rtl/a.v": "old", "rom/a.hex": "0" * 20000}
write_project(disk / "out", old)
before = snapshot()
refused(disk / "out", {"design.json": "{}", "rom/a.hex": "1" * 60000, "rom/b.hex": "1" * 60000})
assert snapshot() == before and [path.name for path in disk.iterdir()] == ["out"]
mount(disk / "out" / "rtl", "16k")
(disk / "out" / "rtl" / "a.v").write_text("old")
refused(disk / "out", old)
mount(disk / "mounted", "16k")
refused(disk / "mounted", old)
"""


def test_a_disk_that_is_full_and_mount_points(tmp_path: Path) -> None:
    for unshare in (["unshare", "-m"], ["unshare", "-rm"]):
        if shutil.which("unshare") and not subprocess.run([*unshare, "true"], capture_output=True).returncode:
            break
    else:
        pytest.skip("a mount namespace cannot be had here (unshare -m)")
    (tmp_path / "may").mkdir()
    may = subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", tmp_path / "may"], capture_output=True)
    if may.returncode:
        pytest.skip("tmpfs cannot be mounted here, even in a mount namespace")
    command = [*unshare, sys.executable, "-c", IN_A_NAMESPACE, tmp_path / "disk"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    full, within, mounted = done.stdout.splitlines()
    assert "the disk is full; nothing was changed" in full
    assert "rtl is a mount point and cannot be replaced" in within
    assert "mounted: is a mount point and cannot be replaced" in mounted


WRITES_FOR_EVER = """
import os, signal, sys
from itertools import count, cycle
from pathlib import Path
from cnn2rtl.output import write_project

out, number, last, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), count(1)

def step(*event):
    if next(steps) == last:
        os.kill(os.getpid(), number)

# Wherever the tests are started from, Ctrl-C counts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
versions = [{"design.json": str(n), **{f"rtl/{n}_{i}.v": f"{n}" * 500 for i in range(12)}} for n in (1, 2)]
write_project(out, versions[0])
sys.setprofile(step)
for files in cycle(reversed(versions)):
    write_project(out, files)
"""


def killed_at_random(out: Path, number: signal.Signals, seed: int) -> None:
    """Let a process write to ``out`` again and again, and end it at some step: a call, or the return from one."""
    last = random.Random(seed).randrange(1, 20_000)
    done = subprocess.run(
        [sys.executable, "-c", WRITES_FOR_EVER, out, str(int(number)), str(last)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    assert done.returncode != 0
    files = {path: data for path, data in contents(out).items() if data is not None and path != output.MANIFEST}
    version = files["design.json"]
    assert version in (b"1", b"2") and len(files) == 13
    assert all(data == version * (500 if path != "design.json" else 1) for path, data in files.items())
    # Its own list agrees: nothing counts as changed.
    check_target(out)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_at_any_time(tmp_path: Path, number: signal.Signals) -> None:
    for seed in range(6):
        killed_at_random(tmp_path / "out", number, seed)
        if number != signal.SIGKILL:
            assert [path.name for path in tmp_path.iterdir()] == ["out"]
    # What a killed process left is hidden, and goes with the next one.
    assert all(path.name.startswith(".out.") for path in tmp_path.iterdir() if path.name != "out")
    write_project(tmp_path / "out", NEW)
    assert holds(tmp_path / "out", NEW) and [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.usefixtures("heard")
def test_a_signal_waits_for_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it is being written: first the folder is complete, then the command ends."""
    write = Path.write_bytes

    def interrupted(path: Path, data: bytes) -> int:
        signal.raise_signal(signal.SIGINT)
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        write_project(tmp_path / "out", NEW)
    assert holds(tmp_path / "out", NEW) and signal.getsignal(signal.SIGINT) == handler


INTERRUPTS_ITSELF = """
import importlib, os, signal, sys

number, module, name = int(sys.argv.pop(1)), importlib.import_module(sys.argv.pop(1)), sys.argv.pop(1)
real = getattr(module, name)

def interrupted(*arguments, **options):
    os.kill(os.getpid(), number)
    return real(*arguments, **options)

setattr(module, name, interrupted)
# Wherever the tests are started from, Ctrl-C counts.
signal.signal(signal.SIGINT, signal.default_int_handler)
from cnn2rtl.cli import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "moment", [("torch", "load"), ("numpy", "savez_compressed"), ("tempfile", "mkdtemp")], ids=".".join
)
def test_an_interrupted_generate(out: Path, number: signal.Signals, moment: tuple[str, str]) -> None:
    """While it reads the network or makes the files, nothing changes; while it writes them, they are complete first."""
    command = [sys.executable, "-c", INTERRUPTS_ITSELF, str(int(number)), *moment, "generate", *DIGITS, "-o", out]
    done = subprocess.run(command, cwd=out.parent, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    assert done.returncode == 128 + number, done.stderr
    written = {"report.html", "model.npz"} <= contents(out).keys()
    assert written if moment == ("tempfile", "mkdtemp") else holds(out, OLD)
    check_target(out)
    assert {path.name for path in out.parent.iterdir()} == {"beside.txt", "out"}


# The same bytes


def generated(folder: Path, seed: int, name: str) -> dict[str, bytes | None]:
    """The example's project, by a process of its own."""
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed), "HOME": str(folder)}
    command = [sys.executable, "-m", "cnn2rtl", "generate", *DIGITS, "--calib", EXAMPLE / "calib", "-o", name]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return contents(folder / name)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first = generated(tmp_path / "first", 1, "out")
    assert first == generated(tmp_path / "second", 2, "another name")
    texts = {path: data for path, data in first.items() if data is not None}
    with zipfile.ZipFile(io.BytesIO(texts["model.npz"])) as archive:
        assert {entry.date_time[:3] for entry in archive.infolist()} == {(1980, 1, 1)}
        texts.update({f"model.npz/{name}": archive.read(name) for name in archive.namelist()})
    here = [str(tmp_path), str(ROOT), str(Path.home()), platform.node(), date.today().isoformat(), "/site-packages/"]
    # A name like root or node stands in text that has nothing to do with it.
    here += [name for name in (getpass.getuser(),) if len(name) > 4]
    for path, data in texts.items():
        for private in here:
            assert len(private) < 4 or private.encode() not in data, (path, private)
