"""The documentation is true: its commands run, its Python works, and they print what it shows.

What a fenced block is, its info string tells. In the tutorial, which is run from top to bottom:

=================  ==================================================================================================
``python``         a file to save, called what the comment in its first line says
``verilog``        likewise
``sh``             commands for bash, all in one shell; each must end with exit code 0
``sh needs TOOL``  the same, left out where there is no TOOL
``text``           what the block of commands before it prints; a line ``...`` stands for any lines or none
``text varies``    the same, but what training leaves open may differ (see :func:`like`)
=================  ==================================================================================================

Commands that no text follows print nothing, unless they need a tool. On any page, ``pycon`` is an
interpreter session; all of a page's are one. The other tests say what they do.
"""

from __future__ import annotations

import ast
import difflib
import doctest
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
import torch
import typer
from torch import nn

import cnn2rtl
from cnn2rtl.cli.app import app
from cnn2rtl.images import load_images

ROOT = Path(__file__).resolve().parents[1]
DOCS, EXAMPLES = ROOT / "docs", ROOT / "examples"
README, TUTORIAL, LAYER = ROOT / "README.md", DOCS / "tutorial.md", DOCS / "add-a-layer.md"
DIGITS, LEAKY = EXAMPLES / "digits", EXAMPLES / "add_a_layer"
PAGES = sorted([README, *DOCS.rglob("*.md"), *EXAMPLES.glob("*/*.md")])
INDENTED = "indented"
"""The info string of a block that has none, as it is only indented."""
PATIENCE = 900
"""Seconds that a block may take."""

ENVIRONMENT = {
    # Nothing of the test run around may show: options of pytest, the flags of a make that called it, colours.
    **{key: value for key, value in os.environ.items() if not re.match("PYT|MAKE|MFLAGS|FORCE_COLOR", key)},
    "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]),
    "LC_ALL": "C.UTF-8",
    "COLUMNS": "120",
    "PYTHONDONTWRITEBYTECODE": "1",
}  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ pages


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    """Of its first line of text, counted from 1."""
    info: str
    text: str

    @property
    def where(self) -> str:
        return f"{name(self.page)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name that the first line gives it."""
        found = re.match(r"(?:#|//) (\w+\.\w+)\n", self.text)
        return found[1] if found else None

    def at_its_line(self) -> str:
        """The text, with lines numbered as in the page."""
        return "\n" * (self.line - 1) + self.text


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """The fenced and the indented blocks of ``page``."""
    lines = page.read_text(encoding="utf-8").splitlines()
    index = 0
    while index < len(lines):
        first = index
        if fence := re.match(r"(`{3,})(.*)", lines[index]):
            end = next((i for i in range(index + 1, len(lines)) if lines[i] == fence[1]), None)
            assert end is not None, f"{name(page)}:{index + 1}: this block never ends"
            yield Block(page, first + 2, fence[2].strip(), "".join(f"{line}\n" for line in lines[first + 1 : end]))
            index = end + 1
        elif lines[index].startswith("    ") and (index == 0 or not lines[index - 1].strip()):
            while index < len(lines) and (lines[index].startswith("    ") or not lines[index].strip()):
                index += 1
            text = textwrap.dedent("\n".join(lines[first:index])).strip() + "\n"
            yield Block(page, first + 1, INDENTED, text)
        else:
            index += 1


def code_spans(page: Path) -> Iterator[tuple[str, str]]:
    """Place and text of all code within sentences and of all indented lines."""
    text = page.read_text(encoding="utf-8")
    # Fenced blocks give way to as many empty lines.
    prose = re.sub(r"^```.*?^```$", lambda fenced: "\n" * fenced[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL)
    for span in re.finditer(r"(?<!`)(`+)(?!`)((?:(?!\n\n)[\s\S])+?)(?<!`)\1(?!`)|^    (.+)$", prose, re.MULTILINE):
        yield f"{name(page)}:{prose.count(chr(10), 0, span.start()) + 1}", " ".join((span[2] or span[3]).split())


# ----------------------------------------------------------------------------------------------------------- output

NUMBER = re.compile(r"(?:(?<![\w.])|(?<=\.\.))\d[\d,]*(?:\.\d+)?(?: ?%)?")
"""Digits of a name are no number; the end of a range is one."""
FREE = re.compile(r"\b[0-9a-f]{12,}\b|(?<=\b[us]\d)\.-?\d+\b|(?<=\b[us]\d\d)\.-?\d+\b")
"""What of a line may be anything of its kind: words of a ROM, and how many bits of a format are behind the point."""


def like(shown: str, printed: str) -> bool:
    """Whether a line is as the page shows it but for what training leaves open.

    Whole numbers below 100 are as shown, percentages with a decimal are any percentage, and all
    other numbers are right to within a quarter (whole percentages at least to within 5 points). Spaces may be more or
    fewer.
    """
    shown, printed = (" ".join(FREE.sub("~", line).split()) for line in (shown, printed))
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=False)
    # An equal number of numbers follows from equal text around them.
    return NUMBER.sub("#", shown) == NUMBER.sub("#", printed) and all(near(a, b) for a, b in pairs)


def near(shown: str, printed: str) -> bool:
    a, b = (float(number.rstrip(" %").replace(",", "")) for number in (shown, printed))
    decimals, wanted = (len(number.rstrip(" %").partition(".")[2]) for number in (printed, shown))
    if ("%" in shown) != ("%" in printed):
        return False
    if "%" in shown:
        # Of a share, 0 % is shown without decimals; whole ones are as good as they are after another training.
        return 0 <= b <= 100 and (bool(decimals or wanted) or abs(a - b) <= max(5.0, a / 4))
    # A scale below 1 is shown without trailing zeros.
    if decimals != wanted and max(a, b) >= 1:
        return False
    if a < 100 and b < 100 and not decimals:
        return a == b
    grouped = all(("," in number) == ("," in shown) for number in (shown, printed)) or min(a, b) < 1000
    return grouped and abs(a - b) <= max(a, b) / 4


def exactly(shown: str, printed: str) -> bool:
    return shown.rstrip() == printed.rstrip()


OUTPUT = {"text": exactly, "text varies": like}
"""Info strings of blocks of output, with what their lines are compared by."""


def matches(shown: list[str], printed: list[str], same: Callable[[str, str], bool]) -> bool:
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(matches(shown[1:], printed[start:], same) for start in range(len(printed) + 1))
    return bool(printed) and same(shown[0], printed[0]) and matches(shown[1:], printed[1:], same)


def check_output(shown: Block, printed: str) -> None:
    same = OUTPUT[shown.info]
    old, new = shown.text.splitlines(), printed.splitlines()
    if not matches(old, new, same):
        # Lines that are as they should be are left as the page has them, so that the others stand out.
        if "..." not in old:
            new = [a if a is not None and same(a, b) else b for a, b in zip_longest(old, new) if b is not None]
        difference = "\n".join(difflib.unified_diff(old, new, "shown", "printed", lineterm="", n=99))
        pytest.fail(f"{shown.where}: this is not what is printed\n{difference}", pytrace=False)


# ---------------------------------------------------------------------------------------------------------- running


class Shell:
    """A bash in ``folder`` that runs one block after the other."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.scratch = scratch
        self.bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self.bash.kill()
        self.bash.communicate()

    def run(self, block: Block, text: str | None = None) -> str:
        """What the commands of ``block`` print, or ``text`` in place of them; they must end well."""
        script, printed = self.scratch / "block.sh", self.scratch / "printed.txt"
        script.write_text(block.at_its_line() if text is None else text)
        place = f"{name(block.page)}:$LINENO" if text is None else block.where
        assert self.bash.stdin and self.bash.stdout
        timer = Timer(PATIENCE, self.bash.kill)
        timer.start()
        self.bash.stdin.write(
            f"trap 'echo \"{place}: exit code $?: $BASH_COMMAND\"' ERR; set -eo pipefail\n"
            f". {shlex.quote(str(script))} >{shlex.quote(str(printed))} 2>&1 </dev/null\necho done\n"
        )
        self.bash.stdin.flush()
        ended_well = self.bash.stdout.readline() == "done\n"
        timer.cancel()
        output = printed.read_text()
        if not ended_well:
            pytest.fail(f"{block.where}: exit code {self.bash.wait()}\n{output}", pytrace=False)
        return output


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like the root of a checkout to commands, so that nothing is written in the real one."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "examples").symlink_to(EXAMPLES)
    (root / ".venv").symlink_to(sys.prefix)
    return root


@pytest.fixture
def shell(checkout: Path, tmp_path: Path) -> Iterator[Shell]:
    with Shell(checkout, tmp_path) as shell:
        yield shell


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env={**ENVIRONMENT, **environment}, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def indented_commands(page: Path) -> Block:
    """The indented commands of ``page`` that are for the checkout and not for make."""
    (block,) = (
        block for block in blocks(page) if block.info == INDENTED and re.match(r"cnn2rtl|python|\. ", block.text)
    )
    return block


# ------------------------------------------------------------------------------------------------------------ tests


def test_what_must_be_told_apart_is() -> None:
    line = "block1.0  u8.6  37.4 dB, 1,234 cycles, 97.6 % of 10"
    for other in (line, "block1.0 u8.5 39.1 dB, 1,300 cycles, 100.0 % of 10"):
        assert like(line, other)
    for old, new in (
        ("block1.0", "block1.1"), ("u8", "s8"), ("u8", "u9"), ("37.4", "37.42"), ("1,234", "1234"), ("1,234", "2,345"),
        (" %", ""), ("97.6", "197.6"), ("of 10", "of 11"), ("dB", "db"), ("of 10", "of 10, 3 more"),
    ):  # fmt: skip
        assert not like(line, line.replace(old, new)), new
    assert like("a0c1e69fec3b131612", "1fdef4b3040d0b4e43")
    assert matches(["...", "b", "...", "d"], ["a", "b", "c", "c", "d"], exactly)
    assert matches(["...", "a", "...", "b", "..."], ["a", "b"], exactly)
    assert not matches(["...", "b"], ["a", "b", "c"], exactly)
    assert not matches(["a"], [], exactly)


@pytest.mark.slow
def test_the_tutorial(shell: Shell) -> None:
    steps = list(blocks(TUTORIAL))
    for block, following in zip(steps, [*steps[1:], None], strict=True):
        kind, _, tool = block.info.partition(" needs ")
        shown = following if following is not None and following.info in OUTPUT else None
        assert kind == "sh" or shown is None, f"{block.where}: not commands, but their output follows"
        if kind in ("python", "verilog"):
            assert block.file, f"{block.where}: what is the file called?"
            shell.run(block, f"cat >{block.file} <<'END OF FILE'\n{block.text}END OF FILE\n")
        elif kind == "sh" and (not tool or shutil.which(tool, path=ENVIRONMENT["PATH"])):
            printed = shell.run(block)
            if shown is not None:
                check_output(shown, printed)
            else:
                assert tool or not printed, f"{block.where}: this prints something that is not shown\n{printed}"
        else:
            assert kind == "sh" or block.info in OUTPUT, f"{block.where}: what is a block of {block.info!r}?"


@pytest.mark.parametrize("page", [p for p in PAGES if any(b.info == "pycon" for b in blocks(p))], ids=name)
def test_interpreter_sessions(page: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    parser, examples = doctest.DocTestParser(), []
    for block in blocks(page):
        if block.info == "pycon":
            found = parser.get_examples(block.text)
            assert found, f"{block.where}: no example in it"
            for example in found:
                example.lineno += block.line - 1
            examples += found
    said: list[str] = []
    session = doctest.DocTest(examples, {}, name(page), name(page), 0, None)
    result = doctest.DocTestRunner(verbose=False).run(session, out=said.append)
    assert not result.failed, re.sub(r'File "(.*)", line (\d+), in .*', r"\1:\2", "".join(said))


@pytest.mark.slow
def test_readme_commands(shell: Shell, checkout: Path) -> None:
    """Every command runs on a small network, and the folder holds what the table says."""
    model, example = small_network()
    torch.export.save(torch.export.export(model, (example,)), checkout / "model.pt2")
    (checkout / "photos").symlink_to(DIGITS / "images")
    printed = shell.run(indented_commands(README))
    assert "everything that is needed is here" in printed
    assert "PASS" in printed and "of 100 images" in printed
    rows = re.findall(r"^\| (`[^|]*) \|", README.read_text(), re.MULTILINE)
    assert len(rows) == 5
    for path in re.findall(r"`([^`]+)`", " ".join(rows)):
        assert (checkout / "out" / path).exists(), path
    assert "PASS" in run("make", "-C", "out/sim", cwd=checkout)


def test_readme_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = (block for block in blocks(README) if block.info == "python")
    monkeypatch.chdir(tmp_path)
    model, example = small_network()
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
    names = {"model": model, "example": example, "images": images}
    exec(compile(block.at_its_line(), block.where, "exec"), names)
    integers, tensors = names["integers"], names["tensors"]
    assert isinstance(integers, np.ndarray) and isinstance(tensors, dict)
    assert integers.shape == (3, 1, 1, 10)
    assert len(tensors) > 1 and np.array_equal(list(tensors.values())[-1], integers)
    assert (tmp_path / "out" / "rtl").is_dir()


def small_network() -> tuple[nn.Module, torch.Tensor]:
    """A network for 8x8 grey digits, and a batch of one."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 10))
    return network.eval(), torch.zeros(1, 1, 8, 8)


@pytest.mark.slow
def test_digits_commands(shell: Shell, checkout: Path) -> None:
    block = indented_commands(DIGITS / "README.md")
    printed = shell.run(block)
    assert "PASS" in printed and "(100 of 100 images)" in printed
    # What the page says `make demo` does.
    demo = (ROOT / "tools" / "demo.sh").read_text()
    done = set(re.findall(r"^run (\w+)", demo, re.MULTILINE))
    assert set(re.findall(r"^cnn2rtl (\w+)", block.text, re.MULTILINE)) == done


def test_digits_figures() -> None:
    """Accuracies, numbers of images and of parameters, as examples/digits/README.md has them."""
    said = " ".join((DIGITS / "README.md").read_text().split())
    model = runpy.run_path(str(DIGITS / "model.py"))["DigitNet"]().eval()
    model.load_state_dict(torch.load(DIGITS / "digits.pt", weights_only=True))
    assert f"of {sum(p.numel() for p in model.parameters())} parameters" in said
    data = np.load(DIGITS / "digits.npz")
    images, labels, test = data["images"], data["labels"], data["test"]
    assert f"`images` {images.shape} of 0 to 255" in said and images.max() == 255
    assert f"true for the {test.sum()} test images" in said
    with torch.no_grad():
        floats = model(torch.from_numpy(images).unsqueeze(1) / 255).argmax(1).numpy()
    for which, chosen in (("train", ~test), ("test", test)):
        right = (floats == labels)[chosen]
        assert f"{which} accuracy: {right.sum()}/{len(right)} = {right.mean():.1%}" in said

    calibration = load_images(DIGITS / "calib", (1, 8, 8)).images
    compiled = cnn2rtl.compile(model, (1, 8, 8), calibration=calibration)
    integers = compiled.golden(images[test][..., None]).reshape(test.sum(), -1).argmax(1)
    same = (integers == floats[test]).sum()
    accuracy = 100 * (integers == labels[test]).mean()
    assert (
        f"{accuracy:.1f} % of the {test.sum()} test images, and the same answer as PyTorch for {same} of them" in said
    )
    for folder, text in (("images", "test images"), ("calib", "training images")):
        counts = {len(list((DIGITS / folder / str(digit)).glob("*.png"))) for digit in range(10)}
        assert len(counts) == 1 and f"{counts.pop()} {text} of every digit" in said


def test_the_code_of_the_new_layer_is_that_of_the_example() -> None:
    files = [file.read_text() for file in LEAKY.rglob("*") if file.suffix in (".py", ".v")]
    shown = [block for block in blocks(LAYER) if block.info in ("python", "verilog")]
    assert len(shown) > 10
    foreign = [block.where for block in shown if not any(is_part(block.text, file) for file in files)]
    assert not foreign


def is_part(part: str, whole: str) -> bool:
    """Whether the lines of ``part`` stand in ``whole``, however far both are indented."""
    wanted, lines = textwrap.dedent(part).splitlines(), whole.splitlines()
    windows = ("\n".join(lines[start : start + len(wanted)]) for start in range(len(lines)))
    return any(textwrap.dedent(window).splitlines() == wanted for window in windows)


@pytest.mark.slow
def test_the_new_layer_from_outside(shell: Shell, checkout: Path, tmp_path: Path) -> None:
    """The example prints what the page shows, and its projects are what section 6 says of them."""
    command = indented_commands(LAYER)
    assert indented_commands(LEAKY / "README.md").text == command.text
    printed = shell.run(command, f"{command.text.strip()} --out {tmp_path}\n")
    (shown,) = (block for block in blocks(LAYER) if block.info == "text")
    check_output(shown, printed)
    project = next(tmp_path.glob("leaky_2_*"))
    assert "PASS" in run("make", "-C", project / "sim", cwd=checkout)
    refused = subprocess.run(["cnn2rtl", "simulate", project], env=ENVIRONMENT, capture_output=True, text=True)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr


@pytest.mark.slow
def test_the_new_layer_inside_the_package(tmp_path: Path) -> None:
    """With the files where the page says, unit tests and lint pass, and the command line knows the layer."""
    root = tmp_path / "copy"
    for folder in ("cnn2rtl", "templates", "tests", "rtl_tests/units"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    for file, place in places():
        if file == "convert.py":
            add_converter(root / place)
        else:
            assert not (root / place).exists(), place
            shutil.copy(LEAKY / file, root / place)
    with (root / "cnn2rtl" / "ops" / "__init__.py").open("a") as package:
        package.write("from cnn2rtl.ops.leaky_relu import LeakyRelu\n")

    # It is the test's own copy: what is compiled of it may be kept for the next command.
    inside = {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": ""}
    assert (
        Path(run("python", "-c", "import cnn2rtl; print(cnn2rtl.__file__)", cwd=root, **inside)).parts[:-2]
        == root.parts
    )
    tests = [f"rtl_tests/units/{file}.py" for file in ("test_leaky_relu", "test_lint")]
    # Five cases, and each of three tools with all of them.
    said = run("python", "-m", "pytest", "-p", "no:cacheprovider", "-k", "leaky_relu", *tests, cwd=root, **inside)
    counts = {result: int(count) for count, result in re.findall(r"(\d+) (passed|skipped)", said.splitlines()[-1])}
    assert sum(counts.values()) == 8 and counts["passed"] > 5, said

    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.LeakyReLU(1 / 8), nn.Flatten(), nn.Linear(108, 2)).eval()
    torch.export.save(torch.export.export(network, (torch.zeros(1, 1, 8, 8),)), tmp_path / "leaky.pt2")
    run("python", "-m", "cnn2rtl", "generate", tmp_path / "leaky.pt2", "-o", tmp_path / "out", cwd=root, **inside)
    assert "leaky_relu" in (tmp_path / "out" / "design.json").read_text()
    assert "PASS" in run("python", "-m", "cnn2rtl", "simulate", tmp_path / "out", cwd=root, **inside)
    run("python", "-c", IN_ONNXRUNTIME, tmp_path / "out", cwd=root / "tests", **inside)


IN_ONNXRUNTIME = """
import pathlib, sys
import numpy as np
from cnn2rtl.project import open_project
from onnx_reference import onnx_tensors

graph = open_project(pathlib.Path(sys.argv[1])).graph
pixels = np.random.default_rng(1).integers(0, 256, (4, 8, 8, 1), np.uint8)
golden = {}
graph.run(pixels.astype(np.int32), lambda node, codes: golden.update({node.name: codes}))
for name, codes in onnx_tensors(graph, pixels).items():
    np.testing.assert_array_equal(codes, golden[name])
"""


def places() -> list[tuple[str, str]]:
    """The table of the page: files of the example, and where they go in the repository."""
    rows = re.findall(r"^\| `([^`|]+)` \| (.*) \|$", LAYER.read_text(), re.MULTILINE)
    return [(file, re.findall(r"`([^`]+/[^`]+)`", text)[-1 if file == "convert.py" else 0]) for file, text in rows]


def add_converter(file: Path) -> None:
    """Put what convert.py has into the module of converters: its function, and its line into the table."""
    source = (LEAKY / "convert.py").read_text()
    functions, lines = [], []
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and node.module not in ("__future__", "cnn2rtl.frontend.converters"):
            functions.append(ast.unparse(node).replace("from leaky_relu", "from cnn2rtl.ops.leaky_relu"))
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            lines.append(f"    {ast.unparse(node.targets[0].slice)}: {ast.unparse(node.value)},")
        elif isinstance(node, (ast.Assign, ast.FunctionDef)):
            functions.append(ast.get_source_segment(source, node) or "")
    assert functions and len(lines) == 1
    before, table, after = file.read_text().partition("CONVERTERS: dict[str, Converter] = {\n")
    rows, end, rest = after.partition("\n}\n")
    # Last, for the package makes a table of this operator.
    file.write_text("\n\n\n".join([before, *functions, f"{table}{rows}\n{lines[0]}{end}{rest}"]))


# ---------------------------------------------------------------------------------------------------- names in text


@pytest.mark.parametrize("page", [page for page in PAGES if page not in (README, TUTORIAL, LAYER)], ids=name)
def test_what_looks_as_if_it_were_run_is_run(page: Path) -> None:
    unrun = [block.where for block in blocks(page) if block.info.split(" ")[0] in ("sh", "python")]
    assert not unrun, "no test runs these; write pycon, or add a test"


@pytest.mark.parametrize("page", sorted(EXAMPLES.glob("*/*.md")), ids=name)
def test_links_of_the_examples_lead_somewhere(page: Path) -> None:
    """Those of the other pages, test_reference_pages.py follows."""
    links = re.findall(r"\]\((?!https?:)([^)\s#]+)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_are_named_exist(page: Path) -> None:
    new = {place for _, place in places()} if page == LAYER else set()
    folders = r"(cnn2rtl|docs|examples|rtl_tests|templates|tests|tools)/[\w./-]*"
    missing = [
        f"{where}: {span}"
        for where, span in code_spans(page)
        if re.fullmatch(folders, span)
        and span not in new
        and not any((root / span).exists() for root in (ROOT, page.parent))
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_options_that_are_named_exist(page: Path) -> None:
    commands: dict[str, set[str]] = {}
    for command, found in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        parts = (found, *getattr(found, "commands", {}).values())
        parameters = [parameter for part in parts for parameter in part.params]
        commands[command] = {option for p in parameters for option in (*p.opts, *p.secondary_opts)}
    general = {"--help", "--debug", "--version"}
    own = set(re.findall(r'add_argument\("(--[\w-]+)"', "".join(file.read_text() for file in page.parent.glob("*.py"))))
    wrong = []
    for where, span in code_spans(page):
        options = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", span))
        if span.startswith("-"):
            known = general.union(own, *commands.values())
        elif re.match(r"cnn2rtl [a-z]", span):
            command = span.split()[1]
            known = general | commands.get(command, set())
            if command not in commands:
                wrong.append(f"{where}: no command {command}")
        else:
            continue
        wrong += [f"{where}: no option {option}" for option in sorted(options - known)]
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_that_are_named_exist(page: Path) -> None:
    wrong = []
    for where, span in code_spans(page):
        words = span.split()
        if words[:1] != ["make"]:
            continue
        makefile = ROOT / "templates" / "sim" / "Makefile.j2" if "-C" in words else ROOT / "Makefile"
        targets = set(re.findall(r"^([\w-]+):", makefile.read_text(), re.MULTILINE))
        named = [word for last, word in pairwise(words) if re.fullmatch(r"[a-z][\w-]*", word) and last != "-C"]
        wrong += [f"{where}: no target {target}" for target in named if target not in targets]
    assert not wrong
