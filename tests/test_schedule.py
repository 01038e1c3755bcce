"""The schedule: optima that are known, DSP blocks left to layers that keep them busy, devices full or too small."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache

import pytest
import torch
from models import StudentNet, randomised
from torch import nn

from cnn2rtl.devices import find
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture
from cnn2rtl.graph import QuantGraph
from cnn2rtl.hardware.unit import Place, Style
from cnn2rtl.passes import absorb_input, simplify
from cnn2rtl.quantise.calibrate import Seen
from cnn2rtl.quantise.integers import Recipe, quantise
from cnn2rtl.schedule import Target, search
from cnn2rtl.schedule.budget import Budget
from cnn2rtl.schedule.search import Choice

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
    graph = absorb_input(simplify(captured), (0.0,), (1.0,))
    seen = {node.name: Seen.between(-1.0, 1.0) for node in graph.nodes}
    return quantise(graph, seen, Recipe(bits, bits, 16, "pow2"))


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
        choice = search(student(widths), Target(multipliers=multipliers))
        assert sum(folding.multipliers for folding in choice.foldings.values()) <= multipliers
        assert interval(choice) <= cycles, multipliers


@pytest.mark.parametrize("widths", OPTIMA)
def test_dsp_blocks_go_to_the_layers_that_keep_them_busy(widths: str) -> None:
    graph = student(widths)
    for multipliers in (128, 156, 220, 312, 440):
        shares = [
            busy(graph, search(graph, Target(multipliers=multipliers, dsps=n))) for n in range(multipliers, 40, -24)
        ]
        # Fewer blocks only ever make those that are left busier, until they are nearly always busy.
        assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(shares))
        assert max(shares) >= 0.97


def test_no_dsp_block_at_all() -> None:
    choice = search(student("dense"), Target(multipliers=64, dsps=0))
    assert {f.style for f in choice.foldings.values() if f.multiplies} == {Style.LOGIC}


def small(seed: int) -> QuantGraph:
    """A pointwise, a depthwise and a standard convolution; the weights depend on the seed."""
    torch.manual_seed(seed)
    layers = (nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU(), nn.Conv2d(8, 4, 3, 2))
    graph = absorb_input(simplify(capture(nn.Sequential(*layers).eval(), (3, 9, 9), "small")), (0.0,), (1.0,))
    seen = {node.name: Seen.between(-1.0, 1.0) for node in graph.nodes}
    return quantise(graph, seen, Recipe(8, 8, 16, "pow2"))


def styles(choice: Choice) -> list[Style]:
    return [folding.style for folding in choice.foldings.values()]


def test_weights_that_never_change_are_constants_where_blocks_are_missing() -> None:
    graph = small(0)
    free = search(graph, Target(multipliers=10_000))
    assert styles(free) == [Style.BLOCK] * 3
    none = search(graph, Target(multipliers=10_000, dsps=0))
    assert interval(none) == interval(free)
    # The last one has time to use its weights in turn.
    assert styles(none) == [Style.CONSTANT, Style.CONSTANT, Style.LOGIC]
    assert sum(folding.blocks for folding in none.foldings.values()) == 0
    assert [f.multipliers for f in none.foldings.values()] == [f.multipliers for f in free.foldings.values()]
    # As many blocks as two of the three need: the idlest layer gives up its own.
    some = search(graph, Target(multipliers=10_000, dsps=sum(f.multipliers for f in free.foldings.values()) - 1))
    assert sorted(styles(some))[:2] == [Style.BLOCK] * 2 and styles(some) != styles(free)


def test_a_search_looks_at_no_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits before calibration, with other weights, must fit afterwards; and graphs of additions take time."""
    monkeypatch.setattr("cnn2rtl.hardware.constants.shift_adds", None)
    target = Target(device=replace(find("LFE5U-25F"), dsps=0))
    choices = [search(small(seed), target) for seed in (1, 2)]
    assert choices[0].foldings == choices[1].foldings
    assert Style.CONSTANT in styles(choices[0])


@pytest.mark.parametrize(
    ("widths", "bits", "device"), [("pruned", 8, "xc7a35t"), ("dense", 6, "xc7a35t"), ("dense", 8, "LFE5U-85F")]
)
def test_a_design_for_a_device_fits_and_a_faster_one_does_not(widths: str, bits: int, device: str) -> None:
    graph, target = student(widths, bits), Target(device=find(device))
    choice = search(graph, target)
    fit = Budget(graph, target.device).fit(choice.foldings)
    assert not fit.excess
    assert fit.places == choice.places
    assert sum(folding.blocks for folding in choice.foldings.values()) <= find(device).dsps
    fps = 1e8 / interval(choice)
    assert interval(search(graph, replace(target, fps=fps))) <= interval(choice) + 1
    with pytest.raises(UserError, match=rf"more than the [\d,]+ of {device}; lower --fps"):
        search(graph, replace(target, fps=2 * fps))


def test_memories_lie_where_there_is_room() -> None:
    # Half of the block RAMs are left: for ROMs that would be hundreds of tables each, and for no other memory.
    roomy = search(student("dense"), Target(multipliers=32, device=find("xc7a100t"))).places
    assert set(roomy.values()) == {Place.BLOCK}
    assert {("cnn.7.0", "requantise"), ("cnn.7.3", "requantise"), ("cnn.3.0", "mac")} <= set(roomy)
    assert {role for _, role in roomy} == {"requantise", "mac"}
    # The weights take nearly all of them: other memories have to leave.
    full = search(student("pruned"), Target(device=find("xc7a35t"))).places
    assert list(full.values()).count(Place.TABLES) >= 3


def test_what_falls_short_is_named() -> None:
    with pytest.raises(UserError) as caught:
        search(student("dense"), Target(device=find("iCE40UP5K")))
    assert {"DSP", "block", "look-up"} >= {line.split(" takes about ")[1].split()[1] for line in caught.value.problems}
    assert any("block RAMs" in line and "choose a larger device" in line for line in caught.value.problems)
