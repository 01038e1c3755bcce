"""The schedule: optima that are known, DSP blocks left to layers that keep them busy, devices full or too small."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache

import pytest
import torch
from models import ResNet8, StudentNet, randomised
from torch import nn

from cnn2rtl.devices import find
from cnn2rtl.estimation import FAMILIES, unit
from cnn2rtl.frontend import capture
from cnn2rtl.graph import FloatGraph, QuantGraph
from cnn2rtl.hardware.unit import Place, Style
from cnn2rtl.passes import absorb_input, simplify
from cnn2rtl.quantise.calibrate import Seen
from cnn2rtl.quantise.integers import Recipe, quantise
from cnn2rtl.schedule import (
    Choice,
    Refusal,
    Resource,
    Schedule,
    Target,
    schedule,
    search,
    takes_of,
    with_nearest,
)
from cnn2rtl.schedule.budget import CELL_ROOM, ROOM, Budget
from cnn2rtl.schedule.styles import fewest_tables

WIDTHS = {"dense": StudentNet.WIDTHS, "pruned": (16, 32, 64, 99, 198, 198, 198, 256)}
# Multipliers and cycles per frame: the exact optimum of one rectangular array per layer, 3x128x128, 8 bits.
OPTIMA = {
    "dense": {32: 1_409_024, 64: 524_288, 128: 262_144, 156: 203_648, 220: 147_456, 312: 98_304, 440: 73_728},
    "pruned": {32: 1_081_344, 64: 442_368, 128: 202_752, 156: 168_960, 220: 114_688, 312: 81_920, 440: 61_440},
}


@cache
def student(widths: str, bits: int = 8) -> QuantGraph:
    torch.manual_seed(0)
    captured = capture(randomised(StudentNet(WIDTHS[widths])), (3, 128, 128), "student")
    return integers(captured, bits)


def integers(captured: FloatGraph, bits: int = 8) -> QuantGraph:
    graph = absorb_input(simplify(captured), (0.0,), (1.0,))
    seen = {node.name: Seen.between(-1.0, 1.0) for node in graph.nodes}
    return quantise(graph, seen, Recipe(bits, bits, 16, "pow2"))


def found(graph: QuantGraph, target: Target) -> Choice:
    choice = search(graph, target)
    assert isinstance(choice, Choice)
    return choice


def interval(choice: Choice) -> int:
    return max(folding.cycles for folding in choice.foldings.values())


def busy(graph: QuantGraph, choice: Choice) -> float:
    """The share of the cycles of multipliers in DSP blocks that are used."""
    blocks = sum(folding.blocks for folding in choice.foldings.values())
    macs = sum(node.op.macs(graph.shapes(node)) for node in graph.layers if choice.foldings[node.name].blocks)
    return macs / (interval(choice) * blocks) if blocks else 1.0


@pytest.mark.parametrize("widths", OPTIMA)
def test_every_budget_gives_the_known_optimum(widths: str) -> None:
    for multipliers, cycles in OPTIMA[widths].items():
        choice = found(student(widths), Target(multipliers=multipliers))
        assert sum(folding.multipliers for folding in choice.foldings.values()) <= multipliers
        assert interval(choice) <= cycles, multipliers


@pytest.mark.parametrize("widths", OPTIMA)
def test_dsp_blocks_go_to_the_layers_that_keep_them_busy(widths: str) -> None:
    graph = student(widths)
    for multipliers in (128, 156, 220, 312, 440):
        shares = [
            busy(graph, found(graph, Target(multipliers=multipliers, dsps=n))) for n in range(multipliers, 40, -24)
        ]
        # Fewer blocks only ever make those that are left busier, until they are nearly always busy.
        assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(shares))
        assert max(shares) >= 0.97


def test_no_dsp_block_at_all() -> None:
    choice = found(student("dense"), Target(multipliers=64, dsps=0))
    assert {f.style for f in choice.foldings.values() if f.multiplies} == {Style.LOGIC}


def small(seed: int) -> QuantGraph:
    """A pointwise, a depthwise and a standard convolution; the weights depend on the seed."""
    torch.manual_seed(seed)
    layers = (nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU(), nn.Conv2d(8, 4, 3, 2))
    return integers(capture(nn.Sequential(*layers).eval(), (3, 9, 9), "small"))


def styles(choice: Choice) -> list[Style]:
    return [folding.style for folding in choice.foldings.values()]


def test_weights_that_never_change_are_constants_where_blocks_are_missing() -> None:
    graph = small(0)
    free = found(graph, Target(multipliers=10_000))
    assert styles(free) == [Style.BLOCK] * 3
    none = found(graph, Target(multipliers=10_000, dsps=0))
    assert interval(none) == interval(free)
    # The last one has time to use its weights in turn.
    assert styles(none) == [Style.CONSTANT, Style.CONSTANT, Style.LOGIC]
    assert sum(folding.blocks for folding in none.foldings.values()) == 0
    assert [f.multipliers for f in none.foldings.values()] == [f.multipliers for f in free.foldings.values()]
    # As many blocks as two of the three need: the idlest layer gives up its own.
    some = found(graph, Target(multipliers=10_000, dsps=sum(f.multipliers for f in free.foldings.values()) - 1))
    assert sorted(styles(some))[:2] == [Style.BLOCK] * 2 and styles(some) != styles(free)


def test_a_search_looks_at_no_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits before calibration, with other weights, must fit afterwards; and graphs of additions take time."""
    monkeypatch.setattr("cnn2rtl.hardware.constants.shift_adds", None)
    target = Target(device=replace(find("LFE5U-25F"), dsps=0))
    choices = [found(small(seed), target) for seed in (1, 2)]
    assert choices[0].foldings == choices[1].foldings
    assert Style.CONSTANT in styles(choices[0])


@pytest.mark.parametrize(
    ("widths", "bits", "device"), [("pruned", 8, "xc7a35t"), ("dense", 6, "xc7a35t"), ("dense", 8, "LFE5U-85F")]
)
def test_a_design_for_a_device_fits_and_a_faster_one_does_not(widths: str, bits: int, device: str) -> None:
    graph, target = student(widths, bits), Target(device=find(device))
    choice = found(graph, target)
    budget = Budget(graph, target.device)
    fit = budget.fit(budget.priced(choice.foldings))
    assert not fit.shortfalls
    assert fit.places == choice.places
    fps = 1e8 / interval(choice)
    assert interval(found(graph, replace(target, fps=fps))) <= interval(choice) + 1
    refusal = search(graph, replace(target, fps=2 * fps))
    assert isinstance(refusal, Refusal)
    assert refusal.shortfalls and all(short.needed > short.there for short in refusal.shortfalls)


def test_memories_lie_where_there_is_room() -> None:
    # Half of the block RAMs are left: for ROMs that would be hundreds of tables each, and for no other memory.
    roomy = found(student("dense"), Target(multipliers=32, device=find("xc7a100t"))).places
    assert set(roomy.values()) == {Place.BLOCK}
    assert {("cnn.7.0", "requantise"), ("cnn.7.3", "requantise"), ("cnn.3.0", "mac")} <= set(roomy)
    assert {role for _, role in roomy} == {"requantise", "mac"}
    # The weights take nearly all of them: other memories have to leave.
    full = found(student("pruned"), Target(device=find("xc7a35t"))).places
    assert list(full.values()).count(Place.TABLES) >= 3


def test_what_falls_short_is_told_in_numbers() -> None:
    graph = student("dense")
    refusal = search(graph, Target(device=find("xc7a35t")))
    assert isinstance(refusal, Refusal) and refusal.smallest and refusal.moved is not None
    (short,) = refusal.shortfalls
    # Block RAM is what is short, for 2 Mbit of weights; look-up tables only if they have to stand in for it.
    assert short.resource is Resource.BLOCK_RAMS and short.there == 50 and 70 < short.needed < 80
    assert refusal.weight_bits == 8 * sum(node.op.weights for node in graph.layers) > find("xc7a35t").memory_bits
    assert refusal.moved.resource is Resource.LUTS and refusal.moved.needed > 3 * refusal.moved.there
    # Where look-up tables cannot be memories, nothing is moved, and nothing said of it.
    small = replace(find("10M50"), luts=9000, rams=150)
    refusal = search(student("pruned"), Target(device=small))
    assert isinstance(refusal, Refusal) and refusal.moved is None
    assert [short.resource for short in refusal.shortfalls] == [Resource.BLOCK_RAMS, Resource.LUTS]


def test_what_can_never_fit_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnn2rtl.schedule.budget.estimate_unit", None)  # nothing is estimated for it
    refusal = search(student("dense"), Target(device=find("iCE40UP5K")))
    assert isinstance(refusal, Refusal)
    assert [short.resource for short in refusal.shortfalls] == [Resource.MEMORY]


def test_what_would_fit_is_computed() -> None:
    graph, target = student("dense"), Target(device=find("xc7a35t"))
    refusal = search(graph, target)
    assert isinstance(refusal, Refusal)
    near = with_nearest(refusal, graph, 8, lambda bits: student("dense", bits)).nearest
    assert near is not None
    assert near.bits is not None and near.device is not None and near.share is not None and near.fps is None
    assert isinstance(schedule(student("dense", near.bits), target, before=True), Schedule)
    assert isinstance(schedule(student("dense", near.bits + 1), target, before=True), Refusal)
    assert isinstance(schedule(graph, Target(device=find(near.device)), before=True), Schedule)
    # The pruned network, 170,000 of 252,000 weights, fits: the share is no less than that by much, nor far more.
    assert 0.6 < near.share < 0.85


@pytest.mark.parametrize(
    ("network", "bits", "device"),
    [
        ("dense", 4, "LFE5U-85F"), ("dense", 8, "5CSEBA6"), ("pruned", 8, "xc7a35t"), ("skips", 8, "LFE5U-25F"),
        ("skips", 8, "GW2AR-18"), ("skips", 4, "xc7a35t"),
    ],
)  # fmt: skip
def test_no_design_takes_more_than_there_is(network: str, bits: int, device: str) -> None:
    """Of the whole design, with the buffers that its timetable asks for: skips wait in deep FIFOs."""
    graph, fpga = resnet(bits) if network == "skips" else student(network, bits), find(device)
    plan = schedule(graph, Target(device=fpga))
    assert isinstance(plan, Schedule)
    total, family = takes_of(graph, plan, fpga.family).total, FAMILIES[fpga.family]
    assert total.block_rams <= fpga.rams * family.ram_units
    assert total.dsps <= fpga.dsps * family.dsp_units
    assert total.luts <= ROOM * fpga.luts and total.flip_flops <= fpga.flip_flops
    assert total.cells <= CELL_ROOM * fpga.luts
    # What is short is logic: DSP blocks do not stay idle then.
    assert total.dsps >= 0.9 * fpga.dsps * family.dsp_units or total.luts < 0.9 * ROOM * fpga.luts


def test_blocks_save_the_most_tables() -> None:
    """Held against every possibility."""
    options = [[(4, 10.0), (0, 30.0)], [(3, 5.0), (2, 6.0), (0, 40.0)], [(5, 1.0), (0, 33.0)]]
    for blocks in range(14):
        chosen = fewest_tables(options, blocks)
        every = [(sum(b for b, _ in ways), sum(luts for _, luts in ways)) for ways in itertools.product(*options)]
        best = min(luts for taken, luts in every if taken <= blocks)
        ways = [row[number] for row, number in zip(options, chosen, strict=True)]
        assert sum(b for b, _ in ways) <= blocks and sum(luts for _, luts in ways) == best
    assert fewest_tables([[(4, 10.0), (2, 30.0)]], 1) == [1]


def stem(stride: int) -> QuantGraph:
    """The first layer of a network for raw sound: 80 taps."""
    torch.manual_seed(0)
    return integers(capture(nn.Sequential(nn.Conv1d(1, 16, 80, stride=stride)).eval(), (1, 800), "stem"))


def test_speed_is_not_bought_with_many_times_the_logic() -> None:
    """80 taps side by side lie in 80 memories, and any of them may be the first: 39,000 look-up tables for 1,300."""
    graph = stem(15)
    for target in (Target(), Target(fps=20_000), Target(multipliers=64), Target(device=find("xc7a35t"))):
        plan = schedule(graph, target)
        assert isinstance(plan, Schedule) and plan.interval == 3920
        assert takes_of(graph, plan, "xc7").total.luts < 2000
    plan = schedule(graph, Target(fps=100_000))  # who asks for it gets it
    assert isinstance(plan, Schedule) and plan.interval <= 1000


def test_taps_side_by_side_are_cheap_where_windows_begin_in_few_memories() -> None:
    """With a stride of 16 it is one of five: Yosys 0.70 counts 2,624 look-up tables of the window buffer on xc7."""
    graph = stem(16)
    for target in (Target(), Target(multipliers=64), Target(device=find("xc7a35t"))):
        plan = schedule(graph, target)
        assert isinstance(plan, Schedule) and plan.interval < 1000
        assert takes_of(graph, plan, "xc7").total.luts < 6000
        buffer = plan.blocks[0].instances[0]
        found = unit(buffer.module, buffer.facts, "xc7")
        assert found is not None and found.luts == pytest.approx(2624, rel=0.15)
    slower = schedule(graph, Target(fps=20_000))
    assert isinstance(slower, Schedule) and slower.interval == 3680


def resnet(bits: int) -> QuantGraph:
    """ResNet-8 of MLPerf Tiny."""
    torch.manual_seed(0)
    return integers(capture(randomised(ResNet8()), (3, 32, 32), "resnet8"), bits)
