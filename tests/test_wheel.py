"""The wheel, as somebody who has no checkout gets it: installed into an environment of its own, it generates."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

# One worker for all of it: another would build and install the wheel again.
pytestmark = [pytest.mark.xdist_group("wheel"), pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "digits"
# Nothing of the checkout or of the environment around may slip in.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=CLEAN, capture_output=True, text=True)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def relative_files(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    # Not isolated: the build needs hatchling alone, which is here, and so no network.
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, cwd=ROOT)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a fresh environment with the wheel in it."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, symlinks=True, with_pip=True)
    python = home / "bin" / "python"
    purelib = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=home)
    # Dependencies are borrowed from the environment that runs the tests: installing torch takes minutes. A path that a
    # .pth file names comes last, and .pth files in it are not read: an editable cnn2rtl there stays out of sight.
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (purelib / "borrowed.pth").write_text("".join(f"{path}\n" for path in sorted(borrowed)))
    found = run(python, "-c", "import cnn2rtl; print(cnn2rtl.__file__)", cwd=home).strip()
    assert Path(found) == purelib / "cnn2rtl" / "__init__.py"
    return home / "bin"


def test_the_wheel_holds_package_templates_and_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    packaged = {name.removeprefix("cnn2rtl/templates/") for name in names if name.startswith("cnn2rtl/templates/")}
    assert packaged == relative_files(ROOT / "templates")
    modules = {name.removeprefix("cnn2rtl/") for name in names if name.endswith(".py")}
    assert modules == {name for name in relative_files(ROOT / "cnn2rtl") if name.endswith(".py")}
    assert "cnn2rtl/py.typed" in names  # type checkers read the annotations of a package that says so
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    # Nothing else: no tests, examples or tools beside the package.
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"cnn2rtl"}


def test_what_the_package_imports_it_declares() -> None:
    """The borrowed environment holds more than the dependencies, so an undeclared one would not be missed there."""
    imported = set()
    for file in (ROOT / "cnn2rtl").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    # Some commands alone need these, and say so where they are missing.
    extras = project["optional-dependencies"]
    requirements = [*project["dependencies"], *extras["onnx"], *extras["safetensors"], *extras["train"]]
    declared = {re.split(r"[<>=~! ]", requirement)[0].lower() for requirement in requirements}
    providers = importlib.metadata.packages_distributions()
    undeclared = {
        name
        for name in imported - sys.stdlib_module_names - {"cnn2rtl"}
        if not declared & {distribution.lower() for distribution in providers.get(name, ())}
    }
    assert not undeclared


def test_the_installed_package_reads_its_own_templates(installed: Path, tmp_path: Path) -> None:
    code = "from cnn2rtl.render import templates as t; print(*t.unit_names()); print(t.read('units/adder_tree.v'))"
    units, verilog = run(installed / "python", "-c", code, cwd=tmp_path).split("\n", 1)
    assert sorted(units.split()) == sorted(file.stem for file in (ROOT / "templates" / "units").glob("*.v"))
    assert "module adder_tree" in verilog


def test_the_installed_command_generates_the_example(installed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arch = f"{EXAMPLE / 'model.py'}:DigitNet"
    options = ["--arch", arch, "--input", "1x8x8", "--calib", EXAMPLE / "calib", "-o", "out"]
    run(installed / "cnn2rtl", "generate", EXAMPLE / "digits.pt", *options, cwd=tmp_path)
    copied = {file.name for file in (out / "rtl").glob("*.v")}
    assert copied & {file.name for file in (ROOT / "templates" / "units").glob("*.v")}
    assert list((out / "rom").iterdir())
    for file in (out / "rtl").glob("*.v"):
        assert "endmodule" in file.read_text()
