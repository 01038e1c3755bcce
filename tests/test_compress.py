"""``cnn2rtl compress qat``: the file that it leaves, what generate makes of it, and what it refuses."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import DIGITS, EXAMPLE, contents, mistakes, run, succeed

from cnn2rtl import store
from cnn2rtl.compress import qat
from cnn2rtl.compress.network import Network
from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph, Node, QuantGraph, QuantNode
from cnn2rtl.ops import Input, Rescale
from cnn2rtl.project import open_project
from cnn2rtl.quant.layers import QuantLayer
from cnn2rtl.quant.qformat import PIXEL
from cnn2rtl.trained import load, save

CALIB = EXAMPLE / "calib"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("qat")
    text = succeed("compress", "qat", *DIGITS, "--data", CALIB, "--epochs", "2", "--weight-bits", "3", cwd=folder)
    lines = text.splitlines()
    assert lines[0] == "digits: 50 images of calib, their labels, classification, seed 0"
    assert lines[2].startswith("epoch 2 of 2: loss ") and lines[2].endswith(" right")
    assert lines[3] == "digits_qat.npz: next, cnn2rtl generate digits_qat.npz"
    assert list(contents(folder)) == ["digits_qat.npz"]
    return folder / "digits_qat.npz"


def test_generate_keeps_the_integers(trained: Path, tmp_path: Path) -> None:
    text = succeed("generate", trained, "-o", "out", cwd=tmp_path)
    origin = "50 of 50 images of calib, then trained on 50 images of calib (2 epochs)"
    assert f"3-bit weights, 4-bit activations, calibrated on {origin};" in text
    before, after = load(trained).integers, open_project(tmp_path / "out").graph
    assert store.dump({"": before}) == store.dump({"": after})
    assert "PASS" in succeed("simulate", "out", cwd=tmp_path)
    assert "% integer, the same in hardware" in succeed("evaluate", "out", "--data", EXAMPLE / "images", cwd=tmp_path)
    assert "depthwise_conv2d" in succeed("inspect", trained, cwd=tmp_path)
    succeed("generate", trained, "--class-index", "-o", "index", cwd=tmp_path)
    assert open_project(tmp_path / "index").graph.classes == 10


def test_training_goes_on_from_the_integers(trained: Path, tmp_path: Path) -> None:
    succeed(
        "compress", "qat", trained, "--data", CALIB, "--teacher", "--epochs", "1", "--rate", "1e-9", "-o", "on.npz",
        cwd=tmp_path,
    )  # fmt: skip
    before, after = load(trained), load(tmp_path / "on.npz")
    assert store.dump({"": before.integers}) == store.dump({"": after.integers})
    assert after.origin == f"{before.origin}, then trained on 50 images of calib (1 epochs)"


def test_interrupted_after_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    confirm = qat._confirm
    calls: list[int] = []

    def second_time(*arguments: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        confirm(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(qat, "_confirm", second_time)
    result = run("compress", "qat", *DIGITS, "--data", CALIB, "-o", "a.npz", cwd=tmp_path)
    assert result.code == 130 and result.err == "interrupted: a.npz holds the last whole epoch\n"
    assert load(tmp_path / "a.npz").origin.endswith("(1 epochs)")
    calls = [1]
    result = run("compress", "qat", *DIGITS, "--data", CALIB, "-o", "b.npz", cwd=tmp_path)
    assert result.err == "interrupted: no epoch was whole, nothing is written\n"
    assert list(contents(tmp_path)) == ["a.npz"]


def test_mistakes(trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained, tmp_path / "own.npz")
    (tmp_path / "bad.npz").write_bytes(trained.read_bytes()[:-2000])
    for label in "abc":
        shutil.copytree(CALIB / "1", tmp_path / "three" / label)
    given = ("--bits", "8", "--data", tmp_path / "three", "-o", "own.npz")
    assert mistakes("compress", "qat", *DIGITS, *given, cwd=tmp_path) == [
        "own.npz: exists; choose another name, or give --force to replace it"
    ]
    assert mistakes("compress", "qat", *DIGITS, *given[:-1], "new.npz", cwd=tmp_path) == [
        (
            f"--data {tmp_path}/three: 3 class folders, but the network has 10 outputs: folder names cannot be "
            "matched to outputs; give others, or --teacher to learn from the float network instead"
        ),
    ]
    assert mistakes("generate", "own.npz", "--bits", "8", "--calib", CALIB, "--fps", "-1", cwd=tmp_path) == [
        "--fps -1.0: a number greater than 0 is expected",
        "--bits: own.npz is quantised already and keeps its numbers; leave it out",
        "--calib: own.npz is quantised already and keeps its numbers; leave it out",
    ]
    (wrong,) = mistakes("generate", "bad.npz", cwd=tmp_path)
    assert wrong.startswith("bad.npz: is no network that cnn2rtl has trained, or a damaged one (")
    assert mistakes("generate", "none.npz", cwd=tmp_path) == ["none.npz: no such file"]
    assert mistakes("compress", "qat", *DIGITS, "--data", CALIB, "-o", "x.pt", cwd=tmp_path) == [
        "-o x.pt: a name that ends with .npz is expected"
    ]


def test_a_file_that_does_not_fit_itself(trained: Path, tmp_path: Path) -> None:
    whole = load(trained)
    node = whole.integers.layers[-1]
    assert node.layer is not None and node.layer.weight is not None
    fewer = replace(node.layer, weight=node.layer.weight[:4])
    graph = QuantGraph("digits", (*whole.integers.nodes[:-1], replace(node, layer=fewer)), (node.name,))
    save(replace(whole, integers=graph), tmp_path / "x.npz")
    with pytest.raises(UserError, match=r"x\.npz: is no network that cnn2rtl has trained"):
        load(tmp_path / "x.npz")


def test_a_kind_that_cannot_be_trained_is_named() -> None:
    class Foreign(Rescale):
        kind = "foreign"

    class Stranger(Input):
        kind = "stranger"

    layer = QuantLayer(PIXEL, PIXEL)
    nodes = (QuantNode("in", Input((1, 2, 2)), (), (1, 2, 2), PIXEL),)
    known = QuantNode("known", Foreign(), ("in",), (1, 2, 2), PIXEL, layer)
    strange = QuantNode("odd", Stranger((1, 2, 2)), ("known",), (1, 2, 2), PIXEL, layer)
    exact = FloatGraph("g", tuple(Node(n.name, n.op, n.inputs, n.shape) for n in (*nodes, known, strange)), ("odd",))
    with pytest.raises(UserError, match="`odd`: quantisation-aware training knows no gradient of a stranger layer"):
        Network(exact, QuantGraph("g", (*nodes, known, strange), ("odd",)))


def test_the_file_replaces_another_whole(trained: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.npz"
    target.write_text("old")
    save(load(trained), target)
    assert np.array_equal(load(target).frames, load(trained).frames)
    assert list(contents(tmp_path)) == ["x.npz"]
