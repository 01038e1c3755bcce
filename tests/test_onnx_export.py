"""``cnn2rtl export --onnx``: onnxruntime gets the golden model's integers, and what is refused.

That every layer kind and 80 random networks give them is tested in ``rtl_tests/networks``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from command_line import DIGITS, EXAMPLE, mistakes, succeed
from models import randomised
from onnx import numpy_helper
from onnx_reference import onnx_tensors, run_onnx
from torch import nn

import cnn2rtl
from cnn2rtl.compiled import Compiled
from cnn2rtl.errors import UserError
from cnn2rtl.export import to_onnx
from cnn2rtl.graph import QuantGraph
from cnn2rtl.ops import Linear, Rescale
from cnn2rtl.project import open_project
from cnn2rtl.quant.layers import QuantLayer, QuantOptions
from cnn2rtl.quant.qformat import PIXEL, QFormat, Requant, Scheme
from cnn2rtl.tensors import Clamp

SHAPE = (3, 9, 8)
LAYERS = (
    nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU6(), nn.MaxPool2d(3, 2, 1),
    nn.Conv2d(6, 6, 3, 1, 1, groups=6), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 5),
)  # fmt: skip


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Frames of noise, black, white, and of a single white pixel, (n, h, w, c)."""
    c, h, w = SHAPE
    images = np.random.default_rng(1).integers(0, 256, (6, h, w, c), np.uint8)
    images[:3] = np.array([0, 255, 0], np.uint8)[:, None, None, None]
    images[2, 4, 4] = 255
    return images


def compiled(bits: int, scheme: Scheme, calibration: np.ndarray | None = None, class_index: bool = False) -> Compiled:
    model = randomised(nn.Sequential(*LAYERS), seed=bits)
    return cnn2rtl.compile(
        model, SHAPE, bits, scheme=scheme, calibration=calibration, mean=[0.5, 0.4, 0.3], std=0.25,
        class_index=class_index,
    )  # fmt: skip


@pytest.mark.parametrize("scheme", ["pow2", "scale"])
@pytest.mark.parametrize("bits", [2, 3, 7, 8, 9, 12, 16])
def test_every_integer_of_every_layer_at_every_width(bits: int, scheme: Scheme, noise: np.ndarray) -> None:
    design = compiled(bits, scheme, noise, class_index=bits == 8)
    golden, tensors = design.golden_tensors(noise), onnx_tensors(design.graph, noise)
    assert next(iter(tensors)) == design.graph.output and len(tensors) == len(golden) - 1
    for name, codes in tensors.items():
        np.testing.assert_array_equal(codes, golden[name], err_msg=name)


def test_a_scale_per_channel_is_there_to_be_tested(noise: np.ndarray) -> None:
    assert any(node.out.per_channel for node in compiled(8, "pow2", noise).graph.nodes)


def test_what_the_file_tells(noise: np.ndarray) -> None:
    design = compiled(8, "scale", noise)
    data = design.onnx()
    assert data == design.onnx()
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    (pixels,), (output,) = model.graph.input, model.graph.output
    dims = [[d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in (pixels, output)]
    assert dims == [["n", *SHAPE], ["n", 5, 1, 1]]
    assert pixels.name == next(iter(design.graph.inputs)) and output.name == design.graph.output
    formats = json.loads(next(entry.value for entry in model.metadata_props if entry.key == "formats"))
    for node in design.graph.nodes:
        stored = formats[node.name]
        scale = tuple(stored["scale"]) if isinstance(stored["scale"], list) else stored["scale"]
        assert QFormat(**{**stored, "scale": scale}) == node.out
    kinds = {node.op_type for node in model.graph.node}
    assert kinds == {"Add", "Cast", "Clip", "ConvInteger", "Div", "Identity", "MaxPool", "Mod", "Mul", "Pad", "Sub"}


def test_one_wrong_weight_is_noticed(noise: np.ndarray) -> None:
    """The highest bit of any weight of the last layer, but for those that only ever meet zeros."""
    design = compiled(8, "pow2", noise)
    tensors = design.golden_tensors(noise)
    (source,) = design.graph[design.graph.output].inputs
    model = onnx.load_from_string(design.onnx())
    weights = next(tensor for tensor in model.graph.initializer if list(tensor.dims) == [5, 4, 2, 2])
    right = numpy_helper.to_array(weights)
    noticed = np.zeros(right[0].shape, bool)
    for place in np.ndindex(noticed.shape):
        wrong = right.copy()
        wrong[0, *place] ^= 128
        weights.CopyFrom(numpy_helper.from_array(wrong, weights.name))
        (codes,) = run_onnx(model.SerializeToString(), noise).values()
        noticed[place] = (codes != tensors[design.graph.output]).any()
    met = np.asarray(tensors[source].any(0)).transpose(2, 0, 1)
    assert met.sum() > 8
    np.testing.assert_array_equal(noticed, met)


# ----------------------------------------------------------------------------------------------------------- limits


def single(op: Rescale | Linear, layer: QuantLayer, inputs: int) -> QuantGraph:
    """A network of one layer."""
    shape = (inputs, 1, 1)
    graph = cnn2rtl.compile(nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU()), (1, 1, 1)).graph
    node = replace(graph.layers[0], op=op, shape=op.out_shape([shape]), out=layer.out, layer=layer)
    return QuantGraph("single", (replace(graph.nodes[0], shape=shape), node), (node.name,))


@pytest.mark.parametrize("inputs", [30_000, 70_000])
def test_sums_of_more_products_than_int32_holds(inputs: int) -> None:
    op = Linear(np.full((1, inputs, 1, 1), 1.0), np.zeros(1))
    wish = QFormat.full(16, False, 2.0**12)
    graph = single(op, op.quantise([PIXEL], wish, Clamp(), QuantOptions(16, "pow2")), inputs)
    white = np.full((1, 1, 1, inputs), 255, np.uint8)
    golden = graph.run(white.astype(np.int32))
    assert golden.item() == (inputs * 255 + 2**11) // 2**12
    np.testing.assert_array_equal(onnx_tensors(graph, white)[graph.output], golden)


def test_what_int64_cannot_hold_is_refused() -> None:
    wide = Requant(np.array([1 << 40]), np.array([20]), 0, 255, 0)
    layer = QuantLayer(PIXEL, PIXEL, requant=wide, acc_lo=np.array([0]), acc_hi=np.array([1 << 30]))
    with pytest.raises(UserError, match=r"its requantisation takes 71 bits, and ONNX has 63"):
        to_onnx(single(Rescale(), layer, 1))


def test_a_kind_without_such_a_form_is_refused() -> None:
    class Strange(Rescale):
        kind = "strange"
        onnx = cnn2rtl.ops.Op.onnx

    with pytest.raises(UserError, match="layers of kind strange have no form in ONNX"):
        to_onnx(single(Strange(), QuantLayer(PIXEL, PIXEL), 1))


# ----------------------------------------------------------------------------------------------------- command line


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated") / "digits"
    succeed("generate", *DIGITS, "--calib", EXAMPLE / "calib", "-o", folder, cwd=folder.parent)
    return folder


def test_export(generated: Path, tmp_path: Path) -> None:
    text = succeed("export", generated, "--onnx", cwd=tmp_path)
    assert text == "digits.onnx: input, uint8 n x 1x8x8, to classifier, int64 n x 10x1x1\n"
    text = succeed("export", generated, "--onnx", "new/all.onnx", "--all", cwd=tmp_path)
    assert text.endswith(", and 8 other layers\n")
    graph = open_project(generated).graph
    images = np.random.default_rng(2).integers(0, 256, (5, 8, 8, 1), np.uint8)
    golden = graph.run(images.astype(np.int32))
    for file in ("digits.onnx", "new/all.onnx"):
        outputs = run_onnx((tmp_path / file).read_bytes(), images)
        np.testing.assert_array_equal(outputs[graph.output], golden)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["all.onnx", "digits.onnx", "new"]


def test_export_replaces_nothing_unasked(generated: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.onnx"
    file.write_text("mine")
    (line,) = mistakes("export", generated, "--onnx", "mine.onnx", cwd=tmp_path)
    assert line == "mine.onnx: exists; choose another name, or give --force to replace it"
    succeed("export", generated, "--onnx", "mine.onnx", "--force", cwd=tmp_path)
    assert onnx.load(str(file)).producer_name == "cnn2rtl"
    (tmp_path / "link.onnx").symlink_to(file)
    (tmp_path / "folder").mkdir()
    for name in ("link.onnx", "folder"):
        (line,) = mistakes("export", generated, "--onnx", name, "--force", cwd=tmp_path)
        assert line == f"{name}: exists and is no plain file; it stays as it is: choose another name"


def test_export_tells_all_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lines = mistakes("export", "nowhere", "file/x.onnx", cwd=tmp_path)
    assert lines[0] == "say what to write: --onnx"
    assert lines[1].startswith("nowhere: no cnn2rtl project")
    assert lines[2].startswith("file/x.onnx: ") and "is no folder" in lines[2]


def test_without_the_package(generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    (line,) = mistakes("export", generated, "--onnx", cwd=tmp_path)
    assert line == "ONNX needs the package onnx, which is not installed: pip install 'cnn2rtl[onnx]'"
