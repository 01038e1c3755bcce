"""Widths that are found: what a bit less costs, which bit goes first, and that the drop stays below its limit."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import inf
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest
import torch
from command_line import DIGITS, EXAMPLE, mistakes, succeed
from models import randomised
from torch import nn

from cnn2rtl import pipeline, store
from cnn2rtl.devices import find
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture, load_model
from cnn2rtl.graph import FloatGraph
from cnn2rtl.images import ImageSet
from cnn2rtl.options import Options
from cnn2rtl.passes import absorb_input, simplify
from cnn2rtl.pipeline import auto_widths, calibrated, compile_graph, simplified
from cnn2rtl.quantise.auto import Choice, Layers, Unfit, cheapest, cost, narrowing
from cnn2rtl.quantise.calibrate import measure
from cnn2rtl.quantise.integers import Recipe, Widths, quantise
from cnn2rtl.quantise.sensitivity import Knob, Part, sensitivities

SHAPE = (3, 12, 10)
WIDE = Recipe(16, 16, 16, "scale", scores=("output",))


def pixels(count: int, seed: int = 0) -> np.ndarray:
    """Noise, every image with a brightness and a colour of its own."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 100, (count, *SHAPE[1:], SHAPE[0]))
    return (noise + rng.integers(0, 156, (count, 1, 1, SHAPE[0]))).astype(np.uint8)


def captured() -> FloatGraph:
    torch.manual_seed(2)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6(), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 12, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5),
    )  # fmt: skip
    return capture(randomised(model, 3), SHAPE, "net")


def on_pixels() -> FloatGraph:
    return absorb_input(simplify(captured()), (0.0,), (1.0,))


def knobs_of(graph: FloatGraph, recipe: Recipe, images: np.ndarray) -> tuple[Knob, ...]:
    seen = measure(graph, images)
    return sensitivities(graph, quantise(graph, seen, recipe), seen, recipe, images)


def test_noise_is_that_of_the_integer_network_with_one_narrow_place() -> None:
    graph, images = on_pixels(), pixels(8)
    recipe = replace(WIDE, scores=graph.outputs)
    seen = measure(graph, images)
    exact = graph.forward(images.astype(np.float64))
    knobs = knobs_of(graph, recipe, images)
    # The pool passes codes on, the average has no weights, the scores have a width of their own.
    assert [(knob.layer, knob.part[0]) for knob in knobs] == [
        ("0", "w"), ("0", "a"), ("4", "w"), ("4", "a"), ("7", "w"), ("7", "a"), ("8", "a"), ("10", "w"),
    ]  # fmt: skip
    for knob in knobs:
        widths = Widths(weights=4) if knob.part == "weights" else Widths(activations=4)
        integers = quantise(graph, seen, replace(recipe, layers={knob.layer: widths}), images)
        found = integers[graph.output].out.reals(integers.run(images.astype(np.int32)))
        noise = np.square(found - exact).mean() / np.square(exact).mean()
        assert 0.4 < knob.noise[4] / noise < 2.5, knob
        assert knob.noise[3] > 4 * knob.noise[5] > 0, knob


def test_a_place_is_not_made_narrower_than_anything_survives() -> None:
    graph = on_pixels()
    for knob in knobs_of(graph, replace(WIDE, scores=graph.outputs), pixels(4)):
        *useful, last = sorted(knob.noise, reverse=True)
        assert max(knob.noise[bits] for bits in useful) <= 1.0
        assert last == 2 or knob.noise[last] > 1.0


def test_cost_is_memory_and_area() -> None:
    graph = on_pixels()
    recipe = Recipe(8, 6, 16, "pow2", scores=graph.outputs)
    weights = {"0": 3 * 9 * 8, "4": 9 * 8, "7": 8 * 12, "10": 12 * 5}
    macs = {"0": weights["0"] * 120, "4": weights["4"] * 30, "7": weights["7"] * 30, "10": weights["10"]}
    found = cost(graph, recipe, {})
    assert found.memory == 8 * sum(weights.values())
    assert found.area == 8 * (8 * macs["0"] + 6 * (macs["4"] + macs["7"] + macs["10"]))
    # What the first layer makes, the depthwise one reads, past the pool.
    narrow = cost(graph, recipe, {"0": Widths(activations=3), "4": Widths(weights=5)})
    assert narrow.memory == found.memory - 3 * weights["4"]
    assert narrow.area == found.area - (8 * 6 - 5 * 3) * macs["4"]


def test_every_step_takes_one_bit_and_the_cheapest_first() -> None:
    graph = on_pixels()
    own = {"7": Widths(weights=5), "8": Widths(3, 7)}
    recipe = Recipe(8, 8, 16, "pow2", own, scores=graph.outputs)
    knobs = knobs_of(graph, recipe, pixels(4))
    assert not {("7", "weights"), ("8", "activations")} & {(knob.layer, knob.part) for knob in knobs}
    path = narrowing(graph, recipe, knobs)
    costs = [cost(graph, recipe, layers) for layers in path]
    assert costs[0] == cost(graph, recipe, {}) and len(path) > 20
    for before, after in pairwise(path):
        changed = [name for name in after if after[name] != before[name]]
        assert len(changed) == 1
        (name,) = changed
        bits = [(widths.weights or 0) + (widths.activations or 0) for widths in (before[name], after[name])]
        assert bits[0] - bits[1] == 1
    assert all(layers["7"].weights == 5 and layers["8"] == own["8"] for layers in path)
    totals = [c.memory / costs[0].memory + c.area / costs[0].area for c in costs]
    assert totals == sorted(totals, reverse=True)
    quiet, loud = Knob("4", "weights", 8, {7: 1e-6}), Knob("10", "weights", 8, {7: 0.5})
    assert narrowing(graph, recipe, [loud, quiet])[1]["4"] == Widths(weights=7)


@pytest.mark.parametrize("limit", [0.0, 3.0, 10.0, 99.0])
def test_bisection_ends_at_the_limit(limit: float) -> None:
    graph = on_pixels()
    recipe = Recipe(8, 8, 16, "pow2", scores=graph.outputs)
    knobs = [Knob(name, "weights", 8, dict.fromkeys(range(2, 8), 0.1)) for name in ("0", "4", "7")]
    path = narrowing(graph, recipe, knobs)
    assert len(path) == 19
    asked: list[Layers] = []

    def drop(layers: Layers) -> float:
        asked.append(layers)
        return float(path.index(layers))

    choice = cheapest(graph, recipe, knobs, drop, limit)
    assert isinstance(choice, Choice)
    assert choice.drop == min(limit, len(path) - 1) and choice.layers == path[int(choice.drop)]
    assert choice.cost == cost(graph, recipe, choice.layers) and choice.widest == cost(graph, recipe, {})
    assert len(asked) <= 6
    with pytest.raises(
        UserError, match=r"`max_drop=0\.5`: already with 8-bit weights and 8-bit activations the drop is 2"
    ):
        cheapest(graph, recipe, knobs, lambda layers: 2.0, 0.5)


def test_what_is_found_fits() -> None:
    graph = on_pixels()
    recipe = Recipe(8, 8, 16, "pow2", scores=graph.outputs)
    parts: tuple[Part, ...] = ("weights", "activations")
    noise = {("7", "weights"): 0.5}
    knobs = [
        Knob(name, part, 8, dict.fromkeys(range(2, 8), noise.get((name, part), 0.1)))
        for name in ("0", "4", "7")
        for part in parts
    ]
    path = narrowing(graph, recipe, knobs)

    def bits(layers: Layers) -> int:
        return sum(8 - (getattr(own, part) or 8) for own in layers.values() for part in parts)

    def found(limit: float, fits: Callable[[Layers], bool]) -> Choice | Unfit:
        return cheapest(graph, recipe, knobs, lambda layers: float(bits(layers)), limit, fits=fits)

    # Each step is a bit, and loses a point.
    assert [bits(layers) for layers in path] == list(range(len(path)))
    assert found(9, lambda layers: True) == found(9, lambda layers: layers == path[9])
    # A wider one that fits will do,
    wider = found(9, lambda layers: bits(layers) <= 6)
    assert isinstance(wider, Choice) and wider.layers == path[5] and wider.drop == 5
    # and so will one that saves area alone, where that is what is short: activations then, which take no memory.
    least = cost(graph, recipe, path[9])
    saving = found(9, lambda layers: cost(graph, recipe, layers).area < least.area)
    assert isinstance(saving, Choice) and saving.drop == 9
    assert saving.cost.area < least.area and saving.cost.memory > least.memory
    # Of those that fit, what the best of them would lose is told.
    assert found(9, lambda layers: bits(layers) >= 12) == Unfit(ANY, 12.0)
    assert found(9, lambda layers: False) == Unfit(ANY, inf)


def test_a_device_decides_with_the_drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def small(rams: int) -> None:
        monkeypatch.setattr("cnn2rtl.cli.generate.find", lambda name: replace(find(name), rams=rams))

    options = ("generate", *DIGITS, "--calib", EXAMPLE / "images", "--device", "iCE40UP5K")
    small(14)
    (line,) = mistakes(*options, cwd=tmp_path)
    assert line.startswith("iCE40UP5K is too small: ")
    text = succeed(*options, "--auto-bits", "--max-drop", "2", cwd=tmp_path)
    assert " of 14 block RAMs on iCE40UP5K" in text
    # Nothing that loses so little fits; what would have to be lost is told, and does.
    small(12)
    (line,) = mistakes(*options, "--auto-bits", "--max-drop", "2", "-o", "less", cwd=tmp_path)
    assert line.startswith("--max-drop 2: of the widths that were tried, none that cost so little fit; ")
    assert ": iCE40UP5K is too small: " in line
    found = re.search(r"--max-drop ([\d.]+) would do", line)
    assert found is not None
    needed = found[1]
    text = succeed(*options, "--auto-bits", "--max-drop", needed, "-o", "less", cwd=tmp_path)
    assert f"drops by {float(needed):.2f} points" in text and " of 12 block RAMs on iCE40UP5K" in text
    # What no widths can make fit is told before anything is calibrated.
    small(2)
    monkeypatch.setattr(pipeline, "measure", None)
    (line,) = mistakes(*options, "--auto-bits", "-o", "never", cwd=tmp_path)
    assert line.startswith("--auto-bits: even the narrowest widths do not fit: iCE40UP5K is too small: ")


def test_the_drop_is_that_of_the_network_that_is_compiled() -> None:
    with np.load(EXAMPLE / "digits.npz") as data:
        images, labels, test = data["images"][..., None], data["labels"], data["test"]
    graph = capture(load_model(DIGITS[0], DIGITS[2]), (1, 8, 8), "digits")
    assert isinstance(graph, FloatGraph)
    images, check, truth = images[~test][:50], images[test], labels[test]
    exact = absorb_input(simplify(graph), (0.0,), (1.0,)).forward(check.astype(np.float64)).argmax(-1).ravel()
    memory = []
    for right, limit in ((None, 1.0), (None, 10.0), (truth, 1.0)):
        given = ImageSet(check, None if right is None else tuple(right.tolist()), (), ())
        narrow, choice = auto_widths(calibrated(simplified(graph, Options()), images), given, limit)
        compiled = compile_graph(graph, narrow.options, images)
        assert store.dump({"integer": compiled.graph}) == store.dump({"integer": narrow.integers})
        found = compiled.golden(check).argmax(-1).ravel()
        drop = np.mean(found != exact) if right is None else np.mean(exact == right) - np.mean(found == right)
        assert choice.drop == pytest.approx(100 * drop) and choice.drop <= limit
        memory.append(choice.cost.memory)
    assert memory[1] < memory[0] < choice.widest.memory
    # An answer that was wrong before may change without a loss.
    assert memory[2] <= memory[0]


def test_from_the_command_line_to_proof(tmp_path: Path) -> None:
    options = [*DIGITS, "--calib", EXAMPLE / "images"]
    text = succeed("generate", *options, "--auto-bits", "--max-drop", "2", "-o", "auto", cwd=tmp_path)
    assert "accuracy drops by " in text and " on 50 images (one is 2)" in text
    assert "but for layers with widths of their own" in text
    assert "PASS" in succeed("simulate", "auto", cwd=tmp_path)
    # The widths it tells make the same network; it was calibrated on every second image.
    found = [word for line in text.splitlines() if line.startswith("  --layer ") for word in shlex.split(line)]
    assert len(found) == 2 * 7
    (tmp_path / "half").mkdir()
    for file in sorted((EXAMPLE / "images").rglob("*.png"))[::2]:
        folder = tmp_path / "half" / file.parent.name
        folder.mkdir(exist_ok=True)
        (folder / file.name).write_bytes(file.read_bytes())
    succeed("generate", *DIGITS, "--calib", "half", *found, "-o", "again", cwd=tmp_path)
    roms = {file.name: file.read_bytes() for file in (tmp_path / "auto" / "rom").iterdir()}
    assert roms == {file.name: file.read_bytes() for file in (tmp_path / "again" / "rom").iterdir()}


def test_mistakes(tmp_path: Path) -> None:
    image = next((EXAMPLE / "images").rglob("*.png"))
    for options, start in {
        "--auto-bits": "--auto-bits: what narrower numbers cost is measured on images; say where, with --calib",
        f"--check {EXAMPLE / 'images'}": f"--check {EXAMPLE / 'images'}: these are images for --auto-bits; leave it",
        f"--auto-bits --calib {image}": f"--calib {image}: one image cannot both calibrate and check",
        f"--auto-bits --calib {EXAMPLE / 'calib'} --check none": "--check none: no such file or folder",
        "--auto-bits --max-drop -1": "--max-drop -1: input should be greater than or equal to 0",
    }.items():
        (error,) = mistakes("generate", *DIGITS, *options.split(), cwd=tmp_path)
        assert error.startswith(start), error
