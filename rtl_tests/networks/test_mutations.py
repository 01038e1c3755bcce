"""The regression can fail: a design broken in one place is caught, whatever the place.

Each mutation replaces one piece of the emitted project. The piece must be there exactly once: a unit that is rewritten
fails here loudly instead of leaving a mutation that changes nothing.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch
from generator import images_for
from harness import Bench
from models import randomised
from torch import nn

from cnn2rtl.frontend import capture
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.quant.qformat import Scheme
from cnn2rtl.schedule import Target

SHAPE = (3, 9, 10)
FRAMES = 3
STALLS = (30, 60)
# One worker for all of it: another would build the sound designs again.
pytestmark = [pytest.mark.xdist_group("mutations"), pytest.mark.slow]


def network() -> nn.Sequential:
    """A padded and a strided convolution, a depthwise and a pointwise one, all pools, a Linear."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU6(),
        nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.BatchNorm2d(6),
        nn.MaxPool2d(3, 1, 1),
        nn.Conv2d(6, 5, 1), nn.BatchNorm2d(5),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 7, 2, 1), nn.ReLU(),
        nn.AvgPool2d((3, 4)), nn.Flatten(), nn.Linear(7, 4),
    )  # fmt: skip


def backlog(channels: int = 2) -> nn.Sequential:
    """Layers with a result in nearly every cycle, so that they have to wait where the taker stalls."""
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(3, channels, 1), nn.BatchNorm2d(channels), nn.ReLU6(), nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU()
    )


class Branching(nn.Module):
    """A map that skips two layers, and two maps of different lag that are joined."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.stem, self.one, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.left, self.right = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = self.two(torch.relu(self.one(x))) + x
        return torch.cat([self.left(x), self.right(x)], 1)


class Moving(nn.Module):
    """Pixels repeated and mirrored, an activation from a table, a part of the channels as the gate of the others."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.stem, self.act, self.gate = nn.Conv2d(3, 8, 1), nn.SiLU(), nn.Conv2d(4, 4, 3, padding=1)
        self.mirror, self.up = nn.ReflectionPad2d((1, 2, 2, 0)), nn.Upsample(scale_factor=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, rest = self.mirror(self.act(self.stem(x))).chunk(2, 1)
        made: torch.Tensor = self.up(self.gate(gate) * rest)
        return made


DESIGNS: dict[str, tuple[Callable[[], nn.Module], Scheme, Target]] = {
    "pow2": (network, "pow2", Target(multipliers=24)),
    "scale": (network, "scale", Target(multipliers=24)),
    "backlog": (backlog, "pow2", Target(multipliers=10_000)),
    "constants": (partial(backlog, 6), "pow2", Target(multipliers=10_000, dsps=0)),
    "branches": (Branching, "pow2", Target(multipliers=40)),
    "moves": (Moving, "pow2", Target(multipliers=40)),
}
"""Network, scheme and target."""


@dataclass(frozen=True)
class Mutation:
    """``edit`` makes the text of ``path`` another one, in the ``design`` of that name."""

    what: str
    path: str
    edit: Callable[[str], str]
    design: str = "pow2"

    def __str__(self) -> str:
        return self.what.replace(" ", "-")


def swap(old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        return text.replace(old, new)

    return edit


def flip(line: int, bit: int) -> Callable[[str], str]:
    """Flip one bit of a ROM word."""

    def edit(text: str) -> str:
        words = text.splitlines()
        words[line] = f"{int(words[line], 16) ^ 1 << bit:0{len(words[line])}x}"
        return "\n".join(words) + "\n"

    return edit


def first_of(pattern: str, new: str) -> Callable[[str], str]:
    """Replace what matches first, in generated code that has several of the kind."""

    def edit(text: str) -> str:
        return re.sub(pattern, new, text, count=1)

    return edit


def exchange(first: int, second: int) -> Callable[[str], str]:
    """Exchange two ROM words."""

    def edit(text: str) -> str:
        words = text.splitlines()
        assert words[first] != words[second]
        words[first], words[second] = words[second], words[first]
        return "\n".join(words) + "\n"

    return edit


MUTATIONS = (
    # ROM contents
    Mutation("lowest bit of a weight", "rom/layer_0_weights.hex", flip(0, 0)),
    Mutation("sign of a weight", "rom/layer_13_weights.hex", flip(1, 7)),
    Mutation("a bit of a bias", "rom/layer_9_requant.hex", flip(2, 8)),
    Mutation("kernels of two channels exchanged", "rom/layer_3_weights.hex", exchange(0, 9)),
    Mutation("parameters of two channels exchanged", "rom/layer_6_requant.hex", exchange(0, 1)),
    Mutation(
        "a ROM file without its last word", "rom/layer_6_weights.hex", lambda text: text[: text[:-1].rindex("\n")]
    ),
    # Arithmetic
    Mutation(
        "rounding of negative numbers alone",
        "rtl/requantise.v",
        swap("big + $signed(half)", "big + ($signed(half) & (big >>> 63))"),
        "scale",
    ),
    Mutation(
        "no rounding", "rtl/requantise.v", swap("big + $signed(half)", "big + ($signed(half) >>> BIG_W)"), "scale"
    ),
    Mutation("a shift too many", "rtl/requantise.v", swap("rounded >>> SHIFT_BASE", "rounded >>> (SHIFT_BASE + 1)")),
    Mutation("upper bound off by one", "rtl/layer_0.v", swap(".HI(255)", ".HI(254)")),
    Mutation(
        "no lower bound", "rtl/requantise.v", swap("(value < lo) ? LO[Q_BITS-1:0]", "(value < lo) ? value[Q_BITS-1:0]")
    ),
    Mutation("accumulator never cleared", "rtl/mac_array.v", swap("first_q[DEPTH-1] ? {ACC_W{1'b0}} : acc", "acc")),
    Mutation("accumulator stuck at the last term", "rtl/mac_array.v", swap("acc <= base + term", "acc <= term")),
    Mutation(
        "accumulator too narrow",
        "rtl/mac_array.v",
        swap("acc <= base + term", "acc <= $signed((base + term) << 4) >>> 4"),
    ),
    Mutation(
        "unsigned numbers taken for signed ones", "rtl/extend.v", swap("(SIGNED != 0) && in[IN_W-1]", "in[IN_W-1]")
    ),
    Mutation("maximum of signed numbers as unsigned", "rtl/combine.v", swap("$signed(a) > $signed(b)", "a > b")),
    Mutation("sum that loses its carry", "rtl/adder_tree.v", swap("{a[W-2], a} + {b[W-2], b}", "{a[W-2], a + b}")),
    Mutation("a constant's sign", "rtl/layer_0_constants.v", first_of(r"(sum\d+ = [^;]*) - ", r"\1 + "), "constants"),
    Mutation(
        "a constant's shift",
        "rtl/layer_0_constants.v",
        first_of(r"\{1'b0, (x\w+), 2'b0\}", r"{\1, 3'b0}"),
        "constants",
    ),
    Mutation(
        "a number from the stage before",
        "rtl/layer_3_constants.v",
        first_of(r"= ([^/;]*sum\d+)_1\b", r"= \1"),
        "constants",
    ),
    # Order and place
    Mutation("padding dropped before the map", "rtl/window_axis.v", swap("!at_least(position, BEGIN) || ", "")),
    Mutation("a pixel of padding dropped behind it", "rtl/window_axis.v", swap("BEGIN + SIZE)", "BEGIN + SIZE + 1)")),
    Mutation("padding of another value", "rtl/layer_0.v", swap(".PAD(24'h", ".PAD(24'h1 ^ 24'h")),
    Mutation(
        "channels exchanged",
        "rtl/window_buffer.v",
        swap(".write_addr(w_addr)", ".write_addr(w_addr ^ 1'b1)"),
    ),
    Mutation(
        "weights that start over too late",
        "rtl/cyclic_rom.v",
        swap("(addr == LAST)", "(addr == LAST + 1'b1)"),
    ),
    Mutation(
        "a tile a pixel too wide",
        "rtl/tile_reduce.v",
        swap("tile_ends = in_x == TILE_LAST_X", "tile_ends = in_x > TILE_LAST_X"),
    ),
    # Flow
    Mutation("beats lost where the FIFO is full", "rtl/stream_fifo.v", swap("s_ready = ready", "s_ready = 1'b1")),
    Mutation(
        "results overwritten before they are taken",
        "rtl/requantise.v",
        swap("en = !m_valid || m_ready", "en = 1'b1"),
        "backlog",
    ),
    Mutation(
        "sums overwritten before they are taken",
        "rtl/layer_3_constants.v",
        swap("en = !m_valid || m_ready", "en = 1'b1"),
        "constants",
    ),
    Mutation(
        "a result withdrawn under stall",
        "rtl/stream_fifo.v",
        swap("(count != 0) && (!m_valid || m_ready)", "count != 0"),
    ),
    Mutation(
        "a beat repeated under stall",
        "rtl/stream_fifo.v",
        swap("else if (m_ready) m_valid <= 1'b0;", "else if (m_ready && count != 0) m_valid <= 1'b0;"),
    ),
    Mutation("a beat taken twice", "rtl/mac_array.v", swap("assign s_ready = en;", "assign s_ready = en && !m_valid;")),
    Mutation(
        "pixels given up too soon",
        "rtl/window_flow.v",
        swap("places <= START_PLACES[PLACES_W-1:0];", "places <= START_PLACES[PLACES_W-1:0] + IN_W + IN_W;"),
    ),
    Mutation(
        "an idle cycle per row",
        "rtl/window_flow.v",
        swap("there && rested;", "there && rested && !(freed && kind == 2'd1);"),
    ),
    Mutation("windows that keep no distance", "rtl/window_flow.v", swap("there && rested;", "there;")),
    Mutation("one of two beats taken alone", "rtl/stream_add.v", swap("{2{both && en}}", "{2{en}}"), "branches"),
    Mutation("a factor of a sum", "rtl/add.v", first_of(r"A_FACTOR\((\d+)\)", r"A_FACTOR(2\1)"), "branches"),
    Mutation("a turn that ends early", "rtl/stream_concat.v", swap("left == 1", "left <= 2"), "branches"),
    Mutation(
        "a FIFO that does not hold what waits for the other branch",
        "rtl/net.v",
        first_of(r"DEPTH\(\d+\)\) u_stem_to_add_fifo", "DEPTH(2)) u_stem_to_add_fifo"),
        "branches",
    ),
    Mutation(
        "a fork that forgets a taker",
        "rtl/net.v",
        first_of(r"(_ready = \w+_room) && \w+_room", r"\1"),
        "branches",
    ),
    Mutation("a bit of a table", "rom/act_table.hex", flip(3, 0), "moves"),
    Mutation("a code that did not come", "rtl/lookup.v", swap("+: BITS];", "+: BITS] ^ 1'b1;"), "moves"),
    Mutation("a pixel before it has come", "rtl/resample.v", swap("(loaded > need)", "(loaded >= need)"), "moves"),
    Mutation("a row given up too soon", "rtl/resample.v", swap("FIRST_ROOM_P;", "FIRST_ROOM_P + IN_W;"), "moves"),
    Mutation("channels in their old order", "rtl/stream_select.v", swap("s_data[FROM*", "s_data[lane*"), "moves"),
    Mutation("one factor taken alone", "rtl/stream_multiply.v", swap("{2{both && en}}", "{2{en}}"), "moves"),
    Mutation("tlast a beat early", "rtl/frame_check.v", swap("last = count == LAST", "last = count + 1'b1 == LAST")),
)


def bench(design: str, folder: Path) -> Bench:
    torch.set_num_threads(1)
    build, scheme, target = DESIGNS[design]
    model = randomised(build(), 3)
    if isinstance(model, nn.Sequential):
        with torch.no_grad():
            model[1].weight.mul_(20)  # so that the ReLU6 is reached
    images = images_for(SHAPE, 5, 8)
    options = Options(scheme=scheme, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2), target=target)
    return Bench(compile_graph(capture(model, SHAPE, "net"), options, images), images[:FRAMES], folder)


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bench]:
    """The designs as they are, which pass."""
    folder = tmp_path_factory.mktemp("designs")
    found = {design: bench(design, folder / design) for design in DESIGNS}
    for design, sound in found.items():
        assert sound.complaints(STALLS) == [], design
    return found


def test_there_are_enough() -> None:
    assert len({mutation.what for mutation in MUTATIONS}) == len(MUTATIONS) >= 12


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_mutation_is_caught(mutation: Mutation, projects: dict[str, Bench], tmp_path: Path) -> None:
    sound = projects[mutation.design]
    folder = tmp_path / "project"
    shutil.copytree(sound.folder, folder, ignore=shutil.ignore_patterns("build"))
    text = (folder / mutation.path).read_text()
    broken = mutation.edit(text)
    assert broken != text
    (folder / mutation.path).write_text(broken)
    assert sound.elsewhere(folder).complaints(STALLS), f"{mutation.what} passed"


def test_no_word_is_used_that_was_written_as_it_was_read(projects: dict[str, Bench], tmp_path: Path) -> None:
    """What the memories are built on: such a word may be the old one, the new one, or neither.

    The two other designs have the memories of these.
    """
    known, unknown = "mem[read_addr];", "(write && write_addr == read_addr) ? {WIDTH{1'bx}} : mem[read_addr];"
    for design in ("pow2", "backlog", "branches", "moves"):
        sound, folder = projects[design], tmp_path / design
        shutil.copytree(sound.folder, folder, ignore=shutil.ignore_patterns("build"))
        ram = folder / "rtl" / "simple_ram.v"
        assert known in ram.read_text()
        ram.write_text(ram.read_text().replace(known, unknown))
        assert sound.elsewhere(folder).complaints(STALLS) == [], design


def test_a_missing_rom_file_is_caught(projects: dict[str, Bench], tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(projects["pow2"].folder, folder, ignore=shutil.ignore_patterns("build"))
    (folder / "rom" / "layer_6_requant.hex").unlink()
    assert projects["pow2"].elsewhere(folder).complaints(())
