"""The reference pages say what the code says: units with ports and parameters, layer kinds, cycles, figures, links."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, inf, prod
from pathlib import Path

import numpy as np
import pytest

from cnn2rtl.hardware.unit import Folding
from cnn2rtl.ops import (
    REGISTRY,
    Add,
    ArgMax,
    AvgPool2d,
    ChannelMax,
    Concat,
    Conv2d,
    DepthToSpace,
    DepthwiseConv2d,
    Linear,
    MaxPool2d,
    Multiply,
    Op,
    Resample,
    Rescale,
    Select,
    Table,
    Window,
    graph_only,
)
from cnn2rtl.quant.layers import QuantOptions
from cnn2rtl.quant.qformat import PIXEL, QFormat
from cnn2rtl.tensors import Clamp, Shape

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
UNITS = {path.stem: path.read_text() for path in sorted((ROOT / "templates" / "units").glob("*.v"))}
PAGES = {path.stem: path.read_text() for path in sorted((DOCS / "units").glob("*.md")) if path.stem != "README"}
LAYERS = (DOCS / "layers.md").read_text()
# Examples that add a layer of their own to the running process do not count.
KINDS = {kind: op for kind, op in REGISTRY.items() if op.__module__.startswith("cnn2rtl.ops.")}
TEXTS = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

every_unit = pytest.mark.parametrize("unit", UNITS)
every_kind = pytest.mark.parametrize("kind", KINDS)


def header(unit: str) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """Parameters of a Verilog module with their defaults, and its ports with direction and bits."""
    text = re.sub(r"\s*//.*", "", UNITS[unit])
    found = re.search(rf"^module {unit} #\((.*?)^\) \((.*?)^\);", text, re.DOTALL | re.MULTILINE)
    assert found, f"{unit}: the module's head has another form than all others"
    parameter = r"^ +parameter (?:signed )?(?:\[[^\]]+\] )?(\w+) = (.+?),?$"
    port = r"^ +(input|output) +(?:wire|reg) +(?:\[(.+):0\] +)?(\w+),?$"
    parameters: dict[str, str] = dict(re.findall(parameter, found[1], re.MULTILINE))
    ports = {name: (way[:-3], bits_below(top)) for way, top, name in re.findall(port, found[2], re.MULTILINE)}
    for part, names in ((found[1], parameters), (found[2], ports)):
        assert len(re.findall(r"^ +\S", part, re.MULTILINE)) == len(names), f"{unit}: a line that was not understood"
    return parameters, ports


def bits_below(top: str) -> str:
    """Bits of a port whose range begins with ``top``."""
    return str(int(top) + 1) if top.isdigit() else top.removesuffix("-1") or "1"


def section(text: str, title: str) -> str:
    """What stands under a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"no section {title}"
    return found[1]


def table(text: str) -> list[list[str]]:
    """The cells of the first table, without its head and without the marks of code."""
    rows = re.search(r"^\|.*?(?=^[^|]|\Z)", text, re.DOTALL | re.MULTILINE)
    assert rows, "no table"
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows[0].strip().split("\n")[2:]]


def headings(text: str, level: int) -> list[str]:
    return re.findall(rf"^#{{{level}}} (.+)$", text, re.MULTILINE)


def test_every_unit_has_a_page_and_every_page_a_unit() -> None:
    assert list(PAGES) == list(UNITS)


def test_the_index_links_every_page() -> None:
    index = (DOCS / "units" / "README.md").read_text()
    assert [cells[0] for cells in table(index)] == [f"[{unit}]({unit}.md)" for unit in UNITS]


@every_unit
def test_pages_are_alike(unit: str) -> None:
    page = PAGES[unit]
    assert headings(page, 1) == [unit]
    assert headings(page, 2) == ["Ports", "Parameters", "Timing", "How it works", "Test"]
    timing = section(page, "Timing")
    assert f"](../figures/{unit}.svg)" in timing
    assert all(word in timing for word in ("**Latency**", "**Throughput**", "**Stalls", "eset"))
    for path in (f"rtl_tests/units/test_{unit}.py", f"templates/units/{unit}.v"):
        assert f"[`{path}`](../../{path})" in section(page, "Test")
    assert page.count("\n") <= 90


@every_unit
def test_parameters_are_those_of_the_module(unit: str) -> None:
    parameters, _ = header(unit)
    written = {name: default for name, _, _, default in table(section(PAGES[unit], "Parameters"))}
    assert written == parameters
    assert list(written) == list(parameters)


@every_unit
def test_ports_are_those_of_the_module(unit: str) -> None:
    _, ports = header(unit)
    written = {name: (direction, bits) for name, direction, bits, _ in table(section(PAGES[unit], "Ports"))}
    assert written == ports
    assert list(written) == list(ports)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the figures as they are drawn now."""
    folder = tmp_path_factory.mktemp("figures")
    subprocess.run([sys.executable, str(DOCS / "figures" / "timing.py"), str(folder)], check=True)
    return folder


def test_figures_are_up_to_date(drawn: Path) -> None:
    kept = {path.name: path.read_bytes() for path in (DOCS / "figures").glob("*.svg")}
    now = {path.name: path.read_bytes() for path in drawn.iterdir()}
    assert set(kept) == set(now) == {f"{unit}.svg" for unit in UNITS}
    stale = [name for name in kept if kept[name] != now[name]]
    assert not stale, "to draw them again: python docs/figures/timing.py"


# ------------------------------------------------------------------------------------------------------ layers


def test_every_kind_has_a_section_and_every_section_a_kind() -> None:
    never = "Kinds that are never built"
    built, rest = LAYERS.split(f"## {never}\n")
    assert sorted(headings(built, 2)) == sorted(KINDS)
    here = [op for op in vars(graph_only).values() if isinstance(op, type) and op.__module__ == graph_only.__name__]
    graph_kinds = {op.kind for op in here if issubclass(op, Op)}
    assert set(headings(rest, 3)) == graph_kinds


def test_the_tables_of_operators_are_up_to_date() -> None:
    """They come from what the front ends register."""
    spec = importlib.util.spec_from_file_location("operators", DOCS / "operators.py")
    assert spec is not None and spec.loader is not None
    operators = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(operators)
    assert operators.page(LAYERS) == LAYERS, "to write them again: python docs/operators.py"
    assert "| `conv2d`, `conv1d`, `convolution` | [conv2d](#conv2d)" in LAYERS


FREE, RELU = Clamp(), Clamp(0.0, inf)


@dataclass(frozen=True)
class Example:
    """A layer of a shape; ``form`` is the label of its formula, where a kind has several.

    More inputs have as many pixels, and so many channels ``beside``.
    """

    op: Op
    shape: Shape
    form: str = ""
    clamp: Clamp = FREE
    beside: tuple[int, ...] = ()

    @property
    def shapes(self) -> list[Shape]:
        return [self.shape, *((channels, *self.shape[1:]) for channels in self.beside)]


def weights(*shape: int) -> np.ndarray:
    return np.arange(prod(shape), dtype=np.float64).reshape(shape) - prod(shape) / 2


def conv(c_in: int, c_out: int, window: Window, groups: int = 1) -> Conv2d:
    return Conv2d(weights(c_out, c_in // groups, *window.kernel), np.zeros(c_out), window, groups)


PADDED = Window((3, 3), (1, 1), (1, 1, 1, 1))
STRIDED = Window((3, 2), (2, 3), (1, 0, 0, 2))
POOLS = ((Window((2, 3), (2, 3)), "tiles"), (PADDED, "other"), (STRIDED, "other"))

EXAMPLES: dict[str, Sequence[Example]] = {
    "conv2d": (
        Example(conv(3, 7, PADDED), (3, 5, 6)),
        Example(conv(9, 4, STRIDED), (9, 5, 7)),
        Example(conv(6, 8, PADDED, groups=2), (6, 4, 4)),
        Example(conv(10, 9, Window((1, 1))), (10, 3, 4)),
        Example(conv(4, 6, Window((1, 1), (2, 2)), groups=2), (4, 5, 5)),
        Example(conv(2, 1, Window((2, 2), (4, 4))), (2, 9, 9)),
    ),
    "depthwise_conv2d": tuple(
        Example(DepthwiseConv2d(weights(c, *window.kernel), np.zeros(c), window), (c, 6, 7))
        for c, window in ((5, PADDED), (4, STRIDED), (7, Window((1, 1))))
    ),
    "linear": (
        Example(Linear(weights(10, 7, 2, 3), np.zeros(10)), (7, 2, 3)),
        Example(Linear(weights(3, 12, 1, 1), np.zeros(3)), (12, 1, 1)),
    ),
    "maxpool2d": tuple(
        Example(MaxPool2d(window), (5, 6, 9), form, clamp) for window, form in POOLS for clamp in (FREE, RELU)
    ),
    "avgpool2d": tuple(Example(AvgPool2d(window), (5, 6, 9), form) for window, form in POOLS),
    "add": tuple(Example(Add(), (c, 3, 4), beside=(c,)) for c in (7, 4)),
    "multiply": tuple(Example(Multiply(), (c, 3, 4), beside=(c,)) for c in (7, 4)),
    "concat": tuple(
        Example(Concat(axis), (c, 3, 4), form, clamp, beside)
        for axis, form, c, beside in (
            (1, "channels", 4, (6,)),
            (1, "channels", 3, (9, 6)),
            (2, "pixels", 5, (5, 5)),
            (3, "pixels", 8, (8,)),
        )
        for clamp in (FREE, RELU)
    ),
    "channel_max": tuple(Example(ChannelMax(), (12, 3, 4), clamp=clamp) for clamp in (FREE, RELU)),
    "select": tuple(
        Example(Select(indices), (8, 3, 4), clamp=clamp)
        for indices, clamp in (((4, 5, 6, 7), FREE), ((7, 0, 3), RELU), ((0, 4, 1, 5, 2, 6, 3, 7), FREE))
    ),
    "table": (Example(Table("sigmoid"), (7, 3, 4)),),
    "resample": (
        Example(Resample((0, 0, 1, 1, 2, 2), (0, 1, 1)), (7, 3, 2)),
        Example(Resample((2, -1), (0, 1)), (7, 3, 4), clamp=RELU),
    ),
    "depth_to_space": (
        Example(DepthToSpace((2, 2)), (12, 3, 4)),
        Example(DepthToSpace((2, 1), (1, 0), (3, 4)), (12, 3, 4), clamp=RELU),
    ),
    "rescale": (Example(Rescale(), (7, 3, 4), clamp=RELU),),
    "argmax": (Example(ArgMax(), (12, 2, 3)),),
}


def formulas(kind: str) -> dict[str, str]:
    """The formulas of cycles in a kind's section, by their labels."""
    blocks = re.findall(r"^```text\n(.*?)^```", section(LAYERS, kind), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1, f"{kind}: one block with the cycles is expected"
    return dict(re.findall(r"^(?:(\w+): )?cycles = (.+?)(?=^\S+: |\Z)", blocks[0], re.DOTALL | re.MULTILINE))


def names(example: Example, folding: Folding) -> Mapping[str, object]:
    """What the letters in a formula stand for."""
    op = example.op
    (c, h, w), (c_out, h_out, w_out) = example.shape, op.out_shape(example.shapes)
    numbers = {
        "C": c, "H": h, "W": w, "C_out": c_out, "H_out": h_out, "W_out": w_out,
        "PE": folding.pe, "SIMD": folding.simd, "LANES": folding.lanes_in, "T": prod(folding.taps),
        "LANES_out": folding.lanes_out,
        "K": op.window.taps if isinstance(op, (Conv2d, DepthwiseConv2d, MaxPool2d, AvgPool2d)) else 1,
        "G": op.groups if isinstance(op, Conv2d) else 1,
    }  # fmt: skip
    return {"max": max, "ceil": ceil, **{name: Fraction(number) for name, number in numbers.items()}}


@every_kind
def test_cycles_follow_the_formula(kind: str) -> None:
    assert kind in EXAMPLES, "a new kind needs examples here"
    written = formulas(kind)
    assert set(written) == {example.form for example in EXAMPLES[kind]}
    for example in EXAMPLES[kind]:
        for folding, _ in parts(example):
            promised = eval(written[example.form], {"__builtins__": {}}, dict(names(example, folding)))
            assert promised == folding.cycles, (example, folding)


def parts(example: Example) -> Iterator[tuple[Folding, list[str]]]:
    """Every folding of a layer, with the units of its chain."""
    wish = QFormat.full(8, True, 1.0)
    shapes, options = example.shapes, QuantOptions(weight_bits=8, scheme="pow2")
    layer = example.op.quantise([PIXEL] * len(shapes), wish, example.clamp, options)
    for folding in example.op.foldings(layer, shapes):
        # Where inputs meet, an adapter before them is the layer's own affair.
        adapters = ["gearbox", "stream_fifo"] if len(shapes) > 1 else []
        yield folding, [*adapters, *(instance.module for instance in example.op.unit(layer, shapes, folding).chain)]


@every_kind
def test_hardware_is_the_units_of_the_chain(kind: str) -> None:
    built = {module for example in EXAMPLES[kind] for _, chain in parts(example) for module in chain}
    (hardware,) = re.findall(r"^- \*\*Hardware\*\*: (.*?)(?=^- )", section(LAYERS, kind), re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"\(units/(\w+)\.md\)", hardware)) == built
    silent = [module for module in built if f"`{kind}`" not in PAGES[module].split("## Ports")[0]]
    assert not silent, f"pages that do not name {kind} among their users"


# ------------------------------------------------------------------------------------------------------- links


def prose(path: Path) -> str:
    """A page without its code."""
    text = re.sub(r"^( *)```.*?^\1```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^( {4}|>>> ).*", "", text, flags=re.MULTILINE)


def anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken
