"""Accuracy is judged by what an output is: a class, a class per pixel, several labels, values; by hand, beside."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import mistakes, succeed
from torch import nn

import cnn2rtl
from cnn2rtl import Compiled, Notice
from cnn2rtl.cli.matrix import COLUMNS, matrix
from cnn2rtl.frontend import capture
from cnn2rtl.graph import FloatGraph
from cnn2rtl.images import ImageSet
from cnn2rtl.labels import Labels
from cnn2rtl.pipeline import Options, auto_widths, calibrated, simplified
from cnn2rtl.tasks import KINDS, choose
from cnn2rtl.tasks.figures import Confusion, Differences
from cnn2rtl.tensors import FloatArray

SHAPE = (1, 8, 10)
RAW = np.random.default_rng(0).integers(0, 256, (9, 8, 10, 1), dtype=np.uint8)


class ArgMax(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.argmax(1, keepdim=True)


class Two(nn.Module):
    """A class of the image, and a value."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.kind, self.age = nn.Linear(6, 3), nn.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.trunk(x)
        return self.kind(found), self.age(found)


def vector(*last: nn.Module, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, outputs), *last
    )


def maps(*last: nn.Module, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, outputs, 1), *last)


NETWORKS = {
    "classes": (vector(outputs=4), "classification"),
    "class index": (maps(nn.AdaptiveAvgPool2d(1), ArgMax(), outputs=4), "classification"),
    "yes or no": (vector(nn.Sigmoid(), outputs=1), "classification"),
    "labels": (vector(nn.Sigmoid(), outputs=4), "multilabel"),
    "age": (vector(outputs=1), "regression"),
    "steering": (vector(nn.Tanh(), outputs=2), "regression"),
    "segmentation": (maps(outputs=3), "segmentation"),
    "index map": (maps(ArgMax(), outputs=3), "segmentation"),
    "binary map": (maps(nn.Sigmoid(), outputs=1), "segmentation"),
    "overlapping maps": (maps(nn.Sigmoid(), outputs=3), "multilabel"),
    "heat map": (maps(outputs=1), "regression"),
    "autoencoder": (maps(nn.Hardtanh(0, 1), outputs=3), "regression"),
    "super-resolution": (maps(nn.PixelShuffle(2), outputs=12), "regression"),
    "detector": (nn.Sequential(nn.Conv2d(1, 6, (8, 2), (8, 2)), nn.ReLU(), nn.Conv2d(6, 7, 1)), "regression"),
}  # fmt: skip


def build(module: nn.Module, bits: int = 3, seed: int = 1) -> tuple[Compiled, nn.Module]:
    torch.manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, 0.0, 0.6)
    return cnn2rtl.compile(module.eval(), SHAPE, bits=bits, calibration=RAW), module


def exact(module: nn.Module) -> FloatArray:
    """What torch makes of the images, (n, h, w, c)."""
    with torch.no_grad():
        found = module(torch.from_numpy(RAW.transpose(0, 3, 1, 2) / np.float32(255)))
    array: FloatArray = found.double().numpy()
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array[:, None, None]


def reals(design: Compiled) -> FloatArray:
    """What the hardware says, in the output's units."""
    found: FloatArray = design.graph[design.graph.output].out.reals(design.golden(RAW))
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_the_kind_of_output_decides(name: str) -> None:
    module, kind = NETWORKS[name]
    graph = capture(module, SHAPE, "net")
    (choice,) = choose(graph)
    assert choice.task.kind == kind and choice.why.startswith("as the output is ")
    # Where its last layer does not tell, another task is named, which it can have.
    (other,) = re.findall("`task=([a-z]+)` if ", choice.doubt) or [""]
    assert bool(other) == (name in ("classes", "segmentation", "age", "heat map", "super-resolution", "detector"))
    if other:
        assert choose(graph, other)[0].task.kind == other != kind and not choose(graph, other)[0].doubt


def test_a_class_for_every_pixel() -> None:
    design, module = build(maps(outputs=3))
    floats, integers = exact(module).argmax(-1), reals(design).argmax(-1)
    found = cnn2rtl.evaluate(design, RAW)
    agreed = int((floats == integers).sum())
    # A figure of the mean of each map would be another.
    assert 0 < agreed < floats.size and found.agreement == agreed / floats.size
    truth = np.random.default_rng(1).integers(0, 3, floats.shape)
    truth[:, :2] = 255
    judged = truth != 255
    found = cnn2rtl.evaluate(design, RAW, truth)
    assert found.integer_accuracy == (integers == truth)[judged].mean()
    assert found.float_accuracy == (floats == truth)[judged].mean()
    (confusion,) = found.judgements[0].confusions
    for (row, column), count in confusion.counts.items():
        assert count == ((truth == row) & (integers == column)).sum()
    assert sum(confusion.counts.values()) == judged.sum()
    union = [((truth == c) | (integers == c) & judged).sum() for c in range(3)]
    both = [((truth == c) & (integers == c)).sum() for c in range(3)]
    assert confusion.mean_iou == pytest.approx(np.divide(both, union).mean())
    # Labels as fine as twice the map judge each answer four times.
    fine = cnn2rtl.evaluate(design, RAW, truth.repeat(2, 1).repeat(2, 2)[:, None])
    assert fine.integer_accuracy == found.integer_accuracy and fine.agreement == agreed / floats.size


@pytest.mark.parametrize(("last", "threshold"), [(nn.Sigmoid(), 0.5), (nn.Identity(), 0.0)])
def test_a_yes_or_no_for_every_pixel(last: nn.Module, threshold: float) -> None:
    design, module = build(maps(last, outputs=1))
    floats, integers = exact(module)[..., 0] > threshold, reals(design)[..., 0] > threshold
    task = None if threshold else "segmentation"
    assert 0.2 < floats.mean() < 0.95
    truth = np.random.default_rng(1).integers(0, 2, floats.shape)
    for labels in (truth, truth.astype(bool), truth.astype(np.uint8) * 255, truth[..., None].astype(np.float32)):
        found = cnn2rtl.evaluate(design, RAW, labels, task=task)
        assert found.agreement == (floats == integers).mean()
        assert found.integer_accuracy == (integers == truth).mean()


def test_values_have_errors_in_their_own_units() -> None:
    design, module = build(vector(outputs=3))
    floats, integers = exact(module), reals(design)
    found = cnn2rtl.evaluate(design, RAW, task="regression")
    (judgement,) = found.judgements
    assert found.agreement is None and found.integer_accuracy is None and judgement.score.valued is not None
    between, error = judgement.score.valued.between, integers - floats
    assert between.errors.mean == pytest.approx(np.abs(error).mean(), abs=1e-6)
    assert between.errors.rms == pytest.approx(np.sqrt(np.square(error).mean()), abs=1e-6)
    assert between.errors.largest == pytest.approx(np.abs(error).max(), abs=1e-6)
    assert between.sqnr == pytest.approx(10 * np.log10(np.square(floats).sum() / np.square(error).sum()), abs=1e-2)
    assert [own.rms for own in between.by_channel] == pytest.approx(np.sqrt(np.square(error).mean((0, 1, 2))), abs=1e-6)
    spread = floats.std((0, 1, 2))
    relative = np.sqrt(np.mean(np.square(error).mean((0, 1, 2)) / np.square(spread)))
    assert judgement.score.lost == pytest.approx(100 * relative, rel=1e-3)
    # Float labels of its shape are those of values: nobody has to say so.
    truth = floats[:, 0, 0] + np.array([0.5, 0.25, 0.0])
    labelled = cnn2rtl.evaluate(design, RAW, truth).judgements[0]
    assert labelled.kind == "regression" and labelled.choice.why == "as there are 3 as the label of an image"
    valued = labelled.score.valued
    assert valued is not None and valued.of_floats is not None and valued.of_integers is not None
    assert valued.of_floats.errors.mean == pytest.approx(0.25, abs=1e-6)
    assert valued.of_integers.errors.mean == pytest.approx(np.abs(integers[:, 0, 0] - truth).mean(), abs=1e-6)


@pytest.mark.parametrize("network", ["heat map", "super-resolution"])
def test_maps_of_values(network: str) -> None:
    design, module = build(NETWORKS[network][0])
    floats, integers = exact(module), reals(design)
    for truth in (floats + 1, (floats + 1).transpose(0, 3, 1, 2)):
        valued = cnn2rtl.evaluate(design, RAW, truth).judgements[0].score.valued
        assert valued is not None and valued.of_integers is not None and valued.of_floats is not None
        assert valued.of_floats.errors.rms == pytest.approx(1, abs=1e-6)
        assert valued.of_integers.errors.rms == pytest.approx(
            np.sqrt(np.square(integers - floats - 1).mean()), abs=1e-6
        )


def test_several_labels_of_an_image() -> None:
    design, module = build(vector(nn.Sigmoid(), outputs=4))
    floats, integers = exact(module)[:, 0, 0] > 0.5, reals(design)[:, 0, 0] > 0.5
    truth = np.random.default_rng(2).integers(0, 2, floats.shape)
    found = cnn2rtl.evaluate(design, RAW, truth)
    assert found.agreement == (floats == integers).mean() and found.integer_accuracy == (integers == truth).mean()
    judgement = found.judgements[0]
    assert len(judgement.confusions) == 4
    for channel, confusion in enumerate(judgement.confusions):
        right = (truth[:, channel] == 1) & integers[:, channel]
        assert confusion.counts.get((1, 1), 0) == right.sum()
    (f1,) = judgement.further
    by_hand = [
        2 * (truth[:, c] & integers[:, c]).sum() / max((truth[:, c] + integers[:, c]).sum(), 1) for c in range(4)
    ]
    assert f1.name == "mean F1" and f1.integers == pytest.approx(np.mean(by_hand))
    # Numbers of classes say that there is but one.
    assert cnn2rtl.evaluate(design, RAW, truth.argmax(1)).judgements[0].kind == "classification"


def test_an_index_in_the_network_is_a_class() -> None:
    design, _ = build(maps(ArgMax(), outputs=3))
    truth = design.golden(RAW)[..., 0]
    found = cnn2rtl.evaluate(design, RAW, truth)
    assert found.integer_accuracy == 1 and found.judgements[0].score.valued is None
    with pytest.raises(cnn2rtl.UserError, match="the output is the index of a class, which is no value"):
        cnn2rtl.evaluate(design, RAW, task="regression")


def test_every_output_is_judged() -> None:
    design, module = build(Two())
    with torch.no_grad():
        kinds, ages = module(torch.from_numpy(RAW.transpose(0, 3, 1, 2) / np.float32(255)))
    first, second = design.graph.outputs
    found = cnn2rtl.evaluate(design, RAW, {first: kinds.argmax(1).numpy(), second: ages.numpy() - 2})
    assert [judgement.kind for judgement in found.judgements] == ["classification", "regression"]
    assert found.float_accuracy == 1
    valued = found.judgements[1].score.valued
    assert valued is not None and valued.of_floats is not None
    assert valued.of_floats.errors.mean == pytest.approx(2, abs=1e-6)
    assert re.fullmatch(
        r"<Evaluation on 9 images: [\d.]+% top-1 agreement, .+ in floats; rms error .+, SQNR .+; from the labels .+>",
        repr(found),
    )
    both = cnn2rtl.evaluate(design, RAW, task={first: "regression"})
    assert [judgement.kind for judgement in both.judgements] == ["regression", "regression"]
    with pytest.raises(cnn2rtl.UserError) as caught:
        cnn2rtl.evaluate(design, RAW, task={"third": "regression", first: "detection"})
    assert caught.value.problems == (
        f"`task=third=regression`: no such output; there are {first}, {second}",
        f"`task={first}=detection`: one of classification, segmentation, multilabel, regression is expected",
    )


@pytest.mark.parametrize(
    ("network", "labels", "why"),
    [
        ("classes", np.full(9, 4), "label 4 is none of the network's outputs, 0 to 3"),
        ("classes", np.full(9, 0.5), "the labels are no whole numbers, as those of classes are"),
        ("classes", np.zeros((9, 7)), "the labels are 7 for each image, where the number of a class is expected"),
        ("age", np.full(9, np.nan), "the labels are no numbers everywhere: 9 of 9 values are NaN or infinite"),
        ("segmentation", np.zeros((9, 12, 10), int), "the labels are 12x10 for each image, where the number"),
        ("segmentation", np.full((9, 8, 10), 3), "label 3 is none of the network's outputs, 0 to 2"),
        ("heat map", np.zeros((9, 4, 5)), "the labels are 4x5 for each image, where 8x10x1 values are expected"),
    ],
)  # fmt: skip
def test_labels_that_fit_nothing_are_told(network: str, labels: np.ndarray, why: str) -> None:
    design, _ = build(NETWORKS[network][0])
    with pytest.warns(Notice, match=re.escape(why)):
        found = cnn2rtl.evaluate(design, RAW, labels)
    assert found.integer_accuracy is None


def test_labels_that_a_command_does_not_need_cannot_stop_it(tmp_path: Path) -> None:
    module = build(NETWORKS["age"][0])[1]
    torch.save(module, tmp_path / "age.pt")
    for name, labels in {"float": np.ones(9, np.float32), "few": np.arange(3), "text": np.array(["a"] * 9)}.items():
        np.savez(tmp_path / f"{name}.npz", images=RAW, labels=labels)
        given = ("age.pt", "--input", "1x8x10", "--calib", f"{name}.npz", "-o", name)
        assert "calibrated on 9 images" in succeed("generate", *given, cwd=tmp_path)
        assert "PASS" in succeed("simulate", name, "--images", f"{name}.npz", "--frames", "1", cwd=tmp_path)
    told = succeed("evaluate", "float", "--data", "float.npz", cwd=tmp_path)
    assert ": regression, as the output is one channel without a map" in told and "from the labels" in told
    assert "top-1" not in told and "100.0 %" not in told and "--task" not in told
    np.save(tmp_path / "x.npy", RAW)
    unlabelled = succeed("evaluate", "float", "--data", "x.npy", cwd=tmp_path)
    assert "without a map (--task classification if it is the score of a yes or no)" in unlabelled
    report = (tmp_path / "float" / "report.html").read_text()
    assert "regression, as the output is one channel without a map" in report and "top-1" not in report
    (line,) = mistakes("evaluate", "few", "--data", "few.npz", cwd=tmp_path)
    assert line == "few.npz: the labels are 3 of int64; one for each of the 9 images is expected"
    (line,) = mistakes("evaluate", "few", "--data", "float.npz", "--task", "ages", cwd=tmp_path)
    assert line.startswith("--task ages: one of classification, segmentation, multilabel, regression is expected")


def test_the_report_has_the_matrix(tmp_path: Path) -> None:
    design, _ = build(maps(outputs=3))
    design.write(tmp_path / "out")
    np.savez(tmp_path / "data.npz", x=RAW, y=np.random.default_rng(1).integers(0, 3, RAW.shape[:3]))
    told = succeed("evaluate", "out", "--data", "data.npz", cwd=tmp_path)
    integers = reals(design).argmax(-1)
    truth = np.load(tmp_path / "data.npz")["y"]
    rows = [[int(((truth == row) & (integers == column)).sum()) for column in range(3)] for row in range(3)]
    for number, row in enumerate(rows):
        assert re.search(rf"^{number} +{' +'.join(f'{n}' if n else '[.]' for n in row)}$", told, re.MULTILINE)
    assert max(map(len, told.splitlines())) <= COLUMNS
    about = json.loads((tmp_path / "out" / "design.json").read_text())
    (output,) = about["results"]["accuracy"]["outputs"]
    counts = {(row, column): count for row, column, count in output["decisions"]["confusions"][0]["counts"]}
    assert counts == {(i, j): rows[i][j] for i in range(3) for j in range(3) if rows[i][j]}
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"<td>{rows[0][1]}</td>" in page and "Rows: label; columns: hardware" in page


def test_a_matrix_keeps_within_80_columns() -> None:
    many = {(i, j): 10_000_000 + i for i in range(10) for j in range(10)}
    table = matrix(Confusion(many, 10), ["a very long name of a class"] * 10, "label")
    assert [str(column.header) for column in table.columns][:2] == ["label \\ hardware %", "0"]
    assert list(table.columns[1].cells) == ["10.0"] * 10
    widths = [max(map(len, [str(c.header), *map(str, c.cells)])) for c in table.columns]
    assert sum(widths) + 2 * (len(widths) - 1) <= COLUMNS


def test_sums_of_batches_are_those_of_all() -> None:
    rng = np.random.default_rng(3)
    found, truth = rng.normal(size=(2, 12, 3, 4, 5))
    whole, parts = Differences.of(found, truth), [Differences.of(found[i::3], truth[i::3]) for i in range(3)]
    both = parts[0] + parts[1] + parts[2]
    assert both.errors.rms == pytest.approx(whole.errors.rms) and both.relative == pytest.approx(whole.relative)
    assert both.errors.largest == whole.errors.largest and both.sqnr == pytest.approx(whole.sqnr)
    # A channel that never varies, and one that is nothing but 0, have no spread to be measured by.
    still = np.zeros((4, 1, 1, 2))
    still[..., 0] = 3
    assert Differences.of(still + 0.3, still).spread.tolist() == [3, 3]


@pytest.mark.parametrize("network", ["segmentation", "age", "labels", "super-resolution"])
@pytest.mark.parametrize("labelled", [False, True])
def test_widths_are_found_by_the_same_measure(network: str, labelled: bool) -> None:
    untrained, kind = NETWORKS[network]
    module = build(untrained)[1]
    captured = capture(module, SHAPE, "net")
    assert isinstance(captured, FloatGraph)
    floats = exact(module)
    labels: dict[str, Any] = {
        "segmentation": floats.argmax(-1), "age": floats.ravel(), "labels": (floats[:, 0, 0] > 0.5).astype(int),
        "super-resolution": floats,
    }  # fmt: skip
    targets = {"labels": Labels(labels[network])} if labelled else {}
    check = ImageSet(RAW, None, (), tuple(map(str, range(9))), targets)
    narrow, choice = auto_widths(calibrated(simplified(captured, Options()), RAW), check, 8.0)
    found = cnn2rtl.accuracy.compare(
        narrow.graph, narrow.integers, RAW, choose(narrow.graph, labels=check.labels_of(narrow.graph.outputs))
    )
    assert found.judgements[0].kind == kind
    assert choice.drop == pytest.approx(found.judgements[0].score.lost) and choice.drop <= 8
    assert choice.cost.memory < choice.widest.memory


def test_widths_for_several_outputs_keep_the_worst(tmp_path: Path) -> None:
    _, module = build(Two())
    torch.save(module, tmp_path / "two.pt")
    np.save(tmp_path / "x.npy", RAW)
    given = ("two.pt", "--input", "1x8x10", "--calib", "x.npy", "--auto-bits", "--max-drop", "30", "-o", "out")
    text = succeed("generate", *given, "--trust-pickle", cwd=tmp_path)
    assert "is judged by classification, as the output is 3 channels without a map (--task regression if the" in text
    assert re.search(
        r"the worst of 2 outputs \(\S+ by classification, \S+ by regression\) drops by [\d.]+ points", text
    )
    (line,) = mistakes("generate", "two.pt", "--input", "1x8x10", "--task", "regression", cwd=tmp_path)
    assert line == "--task regression: says what --auto-bits measures; leave it out, or give that too"


def test_every_kind_has_its_page() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "accuracy.md").read_text()
    for kind in KINDS:
        assert f"`{kind}`" in page, kind
