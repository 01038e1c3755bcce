"""What a network ends in: what is left out or away there, and how the model's own outputs come of what is delivered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from own_outputs import assert_own
from torch import Tensor, nn

import cnn2rtl
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture
from cnn2rtl.restoring import ModelOutput

SHAPE = (3, 6, 5)


class Ending(nn.Module):
    """A convolution, and what comes behind it."""

    def __init__(self, end: Callable[[Tensor], Tensor], channels: int = 4, kernel: int | tuple[int, int] = 1) -> None:
        super().__init__()
        self.conv, self.end = nn.Conv2d(3, channels, kernel), end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.conv(x))


NOTE = "is left out: the outputs are scores, whose order is that of the probabilities."

# What comes behind a convolution of 4 channels, and how large its kernel is.
LEFT_OUT: dict[str, tuple[Callable[[Tensor], Tensor], int | tuple[int, int]]] = {
    "over classes": (lambda x: x.softmax(1), 1),
    "from the end": (lambda x: x.softmax(-3), 1),
    "logarithms": (lambda x: x.log_softmax(1), 1),
    "then flat": (lambda x: x.softmax(1).flatten(1), (6, 5)),
    "flat, then": (lambda x: x.flatten(1).softmax(-1), (6, 5)),
    "classes last": (lambda x: x.permute(0, 2, 3, 1).softmax(-1).permute(0, 3, 1, 2), 1),
    "a row of pixels": (lambda x: x.flatten(2).softmax(1).unflatten(2, (6, 5)).clone(), 1),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_softmax_over_the_classes_is_left_out(name: str) -> None:
    end, kernel = LEFT_OUT[name]
    model = Ending(end, kernel=kernel).eval()
    graph = capture(model, SHAPE, "net")
    assert [note.split("` ")[1] for note in graph.notes] == [NOTE]
    x = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model.conv(x).numpy().transpose(0, 2, 3, 1)
        ranks = model(x).numpy().reshape(2, 4, -1).argsort(1)
    found = graph.forward(x.numpy().transpose(0, 2, 3, 1))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.transpose(0, 3, 1, 2).reshape(2, 4, -1).argsort(1), ranks)


def test_the_largest_probability_is_the_largest_score() -> None:
    graph = capture(Ending(lambda x: x.softmax(1).argmax(1)).eval(), SHAPE, "net")
    assert [node.op.kind for node in graph.nodes] == ["input", "conv2d", "argmax"]
    assert not graph.notes  # the index is the model's own


REFUSED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "columns": (lambda x: x.softmax(3), "goes over dim=3, that is, over several pixels of a 4x6x5 map"),
    "rows, as logarithms": (lambda x: x.log_softmax(2), "goes over dim=2, that is, over several pixels"),
    "rows of classes last": (lambda x: x.permute(0, 2, 3, 1).softmax(1), "over several pixels"),
    "channels, counted as pixels": (lambda x: x.permute(0, 2, 3, 1).softmax(-2), "over several pixels"),
    "all values": (lambda x: x.flatten(1).softmax(1), "over several pixels"),
    "the batch": (lambda x: x.softmax(0), "goes over the images of a batch"),
    "one value": (lambda x: x[:, :1].softmax(1), "goes over dim=1, which has one value alone"),
    "one value of a mean": (lambda x: x.mean(1, keepdim=True).softmax(1), "has one value alone"),
    "padded channels": (lambda x: nn.functional.pad(x, (0, 0, 0, 0, 0, 1)).softmax(1), "over several pixels"),
    "in the middle": (lambda x: x.softmax(1) * 2, "is supported at the end of the network alone"),
    "one class of it": (lambda x: x.softmax(1)[:, 1:2], "is supported at the end of the network alone"),
    "a mean of it": (lambda x: x.softmax(1).mean((2, 3)), "is supported at the end of the network alone"),
    "shown and used": (lambda x: cast(Tensor, (x.softmax(1), x.softmax(1).relu())), "is supported at the end"),
    "anchors, then the class": (
        lambda x: x.view(-1, 2, 2, 6, 5).softmax(2).flatten(1, 2).argmax(1),
        "is supported at the end of the network alone",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_softmax_is_refused(name: str) -> None:
    end, why = REFUSED[name]
    with pytest.raises(UserError) as caught:
        capture(Ending(end).eval(), SHAPE, "net")
    (problem,) = caught.value.problems
    assert why in problem and "softmax" in problem


class Detector(nn.Module):
    """Two maps of 14 channels, 6x8 and 3x4, and what is made of them."""

    def __init__(self, head: Callable[[Tensor, Tensor], object]) -> None:
        super().__init__()
        self.stem, self.down = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.fine, self.coarse, self.head = nn.Conv2d(8, 14, 1), nn.Conv2d(8, 14, 1), head

    def forward(self, x: Tensor) -> object:
        x = self.stem(x).relu()
        return self.head(self.fine(x), self.coarse(self.down(x).relu()))


def anchors_last(x: Tensor) -> Tensor:
    """As YOLO has it: (n, anchors, h, w, values)."""
    return x.view(-1, 2, 7, *x.shape[2:]).permute(0, 1, 3, 4, 2)


def boxes(x: Tensor) -> Tensor:
    """As SSD has it: (n, boxes, values)."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, 7)


# The head, the outputs of the hardware, and the model's own outputs in numpy.
FINE, COARSE = "fine", "coarse"
HEADS: dict[str, tuple[Callable[[Tensor, Tensor], object], list[str], list[str]]] = {
    "two maps": (lambda p, q: (p, q), [FINE, COARSE], []),
    "yolo": (
        lambda p, q: anchors_last(p),
        [FINE],
        ["y.reshape(-1, 48, 2, 7).transpose(0, 2, 1, 3).reshape(-1, 2, 6, 8, 7)"],
    ),
    "both of them": (
        lambda p, q: (anchors_last(p), anchors_last(q)),
        [FINE, COARSE],
        [
            "y.reshape(-1, 48, 2, 7).transpose(0, 2, 1, 3).reshape(-1, 2, 6, 8, 7)",
            "y.reshape(-1, 12, 2, 7).transpose(0, 2, 1, 3).reshape(-1, 2, 3, 4, 7)",
        ],
    ),
    "ssd": (
        lambda p, q: torch.cat([boxes(p), boxes(q)], 1),
        [FINE, COARSE],
        ["np.concatenate([y0.reshape(-1, 96, 7), y1.reshape(-1, 24, 7)], 1)"],
    ),
    "coarse ones first": (
        lambda p, q: torch.cat([boxes(q), boxes(p)], 1),
        [COARSE, FINE],
        ["np.concatenate([y0.reshape(-1, 24, 7), y1.reshape(-1, 96, 7)], 1)"],
    ),
    "values first": (
        lambda p, q: torch.cat([p.flatten(2), q.flatten(2)], 2),
        [FINE, COARSE],
        ["np.concatenate([y0.reshape(-1, 48, 14).transpose(0, 2, 1), y1.reshape(-1, 12, 14).transpose(0, 2, 1)], 2)"],
    ),
    "activated behind": (
        lambda p, q: torch.cat([boxes(p), boxes(q)], 1).sigmoid(),
        ["sigmoid", "sigmoid_2"],
        ["np.concatenate([y0.reshape(-1, 96, 7), y1.reshape(-1, 24, 7)], 1)"],
    ),
    "scaled behind": (
        lambda p, q: torch.cat([anchors_last(p).flatten(1, 3), anchors_last(q).flatten(1, 3)], 1) * 0.5 + 1,
        ["add", "add_2"],
        [
            (
                "np.concatenate([y0.reshape(-1, 48, 2, 7).transpose(0, 2, 1, 3).reshape(-1, 96, 7), "
                "y1.reshape(-1, 12, 2, 7).transpose(0, 2, 1, 3).reshape(-1, 24, 7)], 1)"
            )
        ],
    ),
    "boxes and classes": (lambda p, q: torch.cat([boxes(p), boxes(q)], 1).split([4, 3], 2), [FINE, COARSE], ["", ""]),
    "one of them": (lambda p, q: torch.cat([boxes(p), boxes(q)], 1)[:, :96], [FINE], ["y.reshape(-1, 96, 7)"]),
    "joined twice": (
        lambda p, q: torch.cat([torch.cat([boxes(p), boxes(q)], 1), boxes(q)], 1),
        [FINE, COARSE],
        [""],
    ),
    "maps and all": (
        lambda p, q: (p, torch.cat([boxes(p), boxes(q)], 1)),
        [FINE, COARSE],
        ["np.concatenate([y0.reshape(-1, 96, 7), y1.reshape(-1, 24, 7)], 1)"],
    ),
    "classes last": (lambda p, q: p.permute(0, 2, 3, 1), [FINE], ["y"]),
    "flat": (lambda p, q: p.flatten(1), [FINE], ["y.reshape(-1, 48, 14).transpose(0, 2, 1).reshape(-1, 672)"]),
    "columns first": (lambda p, q: p.transpose(2, 3), [FINE], ["y.transpose(0, 3, 2, 1)"]),
    "a sequence": (
        lambda p, q: p.permute(0, 3, 1, 2).flatten(2),
        [FINE],
        ["y.reshape(-1, 6, 112).transpose(0, 2, 1).reshape(-1, 8, 84)"],
    ),
    "some anchors": (lambda p, q: anchors_last(p)[:, :1, ..., 1:], [FINE], [""]),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_moves_at_the_end_are_left_away(name: str) -> None:
    head, outputs, recipes = HEADS[name]
    model = Detector(head).eval()
    graph = capture(model, (3, 12, 16), "net")
    assert [*graph.outputs] == outputs
    moving = {"select", "resample", "concat", "depth_to_space"}
    assert not moving & {node.op.kind for node in graph.nodes}
    assert_own(graph, model, (3, 12, 16))
    notes = graph.restoring
    assert [note.partition(" it is ")[2].removesuffix(".") for note in notes] == recipes
    assert all("`restore` does it" in note for note in notes)


def test_what_numpy_is_told_to_do_is_right() -> None:
    rng = np.random.default_rng(0)
    for head, outputs, recipes in HEADS.values():
        graph = capture(Detector(head).eval(), (3, 12, 16), "net")
        shapes = [graph[name].shape for name in outputs]
        maps = [rng.normal(size=(2, h, w, c)) for c, h, w in shapes]
        arrays = {f"y{number}": array for number, array in enumerate(maps)}
        moved = [output for output in graph.restored if output.moved(shapes)]
        for output, recipe in zip(moved, recipes, strict=True):
            assert output.recipe(shapes) == recipe
            if recipe:
                found = eval(recipe, {"np": np, "y": maps[output.sources[0]], **arrays})
                np.testing.assert_array_equal(found, output.of(maps))


KEPT: dict[str, tuple[Callable[[Tensor, Tensor], object], str]] = {
    "pixels of channels": (lambda p, q: nn.functional.pixel_shuffle(p[:, :12], 2), "depth_to_space"),
    "a shuffle": (lambda p, q: p.view(-1, 2, 7, 6, 8).transpose(1, 2).flatten(1, 2), "select"),
    "a mirror": (lambda p, q: p.flip(3), "resample"),
    "a corner": (lambda p, q: p[:, :, 1:, 2:], "resample"),
    "some classes": (lambda p, q: p[:, 3:7], "select"),
    "channels of both": (lambda p, q: torch.cat([p[:, :, :3, :4], q], 1), "concat"),
}


@pytest.mark.parametrize("name", KEPT)
def test_moves_that_make_another_map_stay_layers(name: str) -> None:
    head, kind = KEPT[name]
    model = Detector(head).eval()
    graph = capture(model, (3, 12, 16), "net")
    assert graph[graph.output].op.kind == kind and not graph.restoring
    assert_own(graph, model, (3, 12, 16))


def test_maps_of_several_can_be_outputs_alone() -> None:
    model = Detector(lambda p, q: torch.cat([boxes(p), boxes(q)], 1).mean(2))
    with pytest.raises(UserError, match=r"`head.cat`|`cat`"):
        capture(model.eval(), (3, 12, 16), "net")


def test_the_hardware_s_outputs_become_the_model_s_own() -> None:
    model = Detector(lambda p, q: (torch.cat([boxes(p), boxes(q)], 1), anchors_last(q))).eval()
    images = np.random.default_rng(0).integers(0, 256, (4, 12, 16, 3), np.uint8)
    design = cnn2rtl.compile(model, (3, 12, 16), calibration=images, bits=12)
    found = design.restore(design.golden_outputs(images))
    with torch.no_grad():
        expected = model(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    assert isinstance(expected, tuple)
    for own, wanted in zip(found, expected, strict=True):
        assert own.shape == tuple(wanted.shape)
        assert np.abs(own - wanted.numpy()).max() < 0.01 * float(wanted.abs().max())
    # What the codes stand for may be given as well.
    reals = [
        design.graph[name].out.reals(codes)
        for name, codes in zip(design.graph.outputs, design.golden_outputs(images), strict=True)
    ]
    np.testing.assert_array_equal(design.restore(reals)[0], found[0])
    assert sum("`restore` does it" in note for note in design.about["notes"]) == 2
    with pytest.raises(ValueError, match="1 outputs are given; the hardware has 2"):
        design.restore(design.golden(images))
    with pytest.raises(ValueError, match=r"output 1 is given as \(4, 6, 8, 14\); \(n, 3, 4, 14\) is expected"):
        design.restore([design.golden(images)] * 2)


def test_a_project_restores_too(tmp_path: Path) -> None:
    model = Detector(lambda p, q: torch.cat([boxes(p), boxes(q)], 1)).eval()
    design = cnn2rtl.compile(model, (3, 12, 16))
    design.write(tmp_path / "out")
    outputs = design.golden_outputs(np.full((2, 12, 16, 3), 7, np.uint8))
    project = cnn2rtl.open(tmp_path / "out")
    np.testing.assert_array_equal(project.restore(outputs)[0], design.restore(outputs)[0])


def test_a_class_index_is_an_output_of_its_own() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, (6, 5)), nn.Flatten()).eval()
    design = cnn2rtl.compile(model, SHAPE, class_index=True)
    index = design.golden(np.zeros((2, *SHAPE[1:], 3), np.uint8))
    np.testing.assert_array_equal(design.restore(index)[0], index.transpose(0, 3, 1, 2))


def test_constants_among_what_is_left_away() -> None:
    output = ModelOutput((2, 3), (0,), np.array([[0, 1, -1], [2, 3, -1]]), 0.5)
    maps = [np.arange(4.0).reshape(1, 2, 2, 1)]
    np.testing.assert_array_equal(output.of(maps), [[[0, 1, 0.5], [2, 3, 0.5]]])
    assert output.recipe([(1, 2, 2)]) == ""
