"""Networks with several inputs and outputs, as their user meets them; their hardware is tested in rtl_tests."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from command_line import mistakes, succeed
from models import randomised
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import Tensor, nn

import cnn2rtl
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture
from cnn2rtl.frontend.onnx_file import read_onnx
from cnn2rtl.frontend.onnx_float import capture_onnx
from cnn2rtl.frontend.qdq import read_qdq
from cnn2rtl.images import images_for
from cnn2rtl.options import Options
from cnn2rtl.pipeline import implemented
from cnn2rtl.project import open_project
from cnn2rtl.quantised import from_given
from cnn2rtl.synthesis.nextpnr import Nextpnr
from cnn2rtl.synthesis.yosys import wrapper
from cnn2rtl.tensors import noise

EXAMPLE = Path(__file__).parents[1] / "examples" / "networks" / "fusion.py"
MODEL = (f"{EXAMPLE}:Fusion", "--input", "3x32x32,8")


class Net(nn.Module):
    """The same in small."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.spots = nn.Conv2d(4, 2, 1)
        self.fc = nn.Linear(4 + 5, 3)

    def forward(self, image: Tensor, facts: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv(image).relu()
        return self.fc(torch.cat([x.mean((2, 3)), facts], 1)), self.spots(x)


SHAPES = {"image": (3, 8, 6), "facts": (5, 1, 1)}


def arrays(height: int = 8, width: int = 6, facts: int = 5, count: int = 6) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (count, height, width, 3), np.uint8),
        "facts": rng.integers(0, 256, (count, facts), np.uint8),
        "labels": rng.integers(0, 3, count),
    }


def test_from_model_to_verdict(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **arrays(32, 32, 8))
    made = succeed("generate", *MODEL, "--calib", "data.npz", "--multipliers", "48", "-o", "out", cwd=tmp_path)
    assert "calibrated on 6 images of data.npz" in made
    about = json.loads((tmp_path / "out" / "design.json").read_text())
    assert [stream["node"] for stream in about["inputs"]] == ["image", "facts"] and about["outputs"] == [
        "scores",
        "spots",
    ]
    top = (tmp_path / "out" / "rtl" / f"{about['name']}.v").read_text()
    for port in ("s0_axis_tdata", "s1_axis_tdata", "m0_axis_tdata", "m1_axis_tdata"):
        assert port in top
    for script in ("vivado/build.tcl", "quartus/build.tcl", "yosys/synth.ys"):
        text = (tmp_path / "out" / "syn" / script).read_text()
        assert " s_axis_" not in text and " m_axis_" not in text
    for options in ([], ["--images", "data.npz", "--frames", "7"], ["--stall", "40"]):
        assert "PASS" in succeed("simulate", "out", *options, cwd=tmp_path)
    found = succeed("evaluate", "out", "--data", "data.npz", "--limit", "4", cwd=tmp_path)
    assert "scores: classification" in found and "of 4 images" in found and "accuracy" in found
    assert "spots: segmentation" in found and " of 256 pixels" in found
    assert "image, uint8 n x 3x32x32, and facts, uint8 n x 8x1x1, to scores, int64" in " ".join(
        succeed("export", "out", "--onnx", cwd=tmp_path).split()
    )
    (tmp_path / "pins.v").write_text(wrapper(open_project(tmp_path / "out")))
    sources = [str(tmp_path / "pins.v"), *map(str, sorted((tmp_path / "out" / "rtl").glob("*.v")))]
    done = subprocess.run(
        ["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-t", "null", "-s", Nextpnr.TOP, *sources],
        cwd=tmp_path / "out" / "rom", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count(">input</text>") == 4 and page.count(">output</text>") == 4  # in two pictures


def test_mistakes(tmp_path: Path) -> None:
    data = arrays(32, 32, 8)
    np.savez(tmp_path / "lacking.npz", image=data["image"])
    np.savez(tmp_path / "uneven.npz", image=data["image"], facts=data["facts"][1:])
    np.savez(tmp_path / "odd.npz", image=data["image"][:, 1:], facts=data["facts"])
    (tmp_path / "folder").mkdir()

    def refused(*options: str) -> str:
        return " ".join(mistakes("generate", *MODEL, *options, cwd=tmp_path))

    assert "lacking.npz: holds image; the network's inputs facts are missing" in refused("--calib", "lacking.npz")
    assert "6 for image, 5 for facts; as many images for every input" in refused("--calib", "uneven.npz")
    assert "odd.npz, image: the images are 6x31x32x3" in refused("--calib", "odd.npz")
    assert "2 inputs (image, facts); an .npz file with an array for each" in refused("--calib", "folder")
    assert "--class-index: the network has 2 outputs" in refused("--class-index")
    np.savez(tmp_path / "data.npz", **data)
    assert "mean 0.1, 0.2: one value, or one for each of the input's 11 channels" in refused("--mean", ".1,.2")
    short = " ".join(mistakes("generate", MODEL[0], "--input", "3x32x32", cwd=tmp_path))
    assert "takes 2 inputs (image, facts), but the size of 1 is given" in short
    long = " ".join(mistakes("generate", MODEL[0], "--input", "3x32x32,8,7", cwd=tmp_path))
    assert "takes 2 inputs (image, facts), but the size of 3 is given" in long
    trained = " ".join(mistakes("compress", "qat", *MODEL, "--data", "data.npz", cwd=tmp_path))
    assert "the network has 2 inputs and 2 outputs; training knows one image and its class" in trained
    assert "--input 3x8x6,q" in " ".join(mistakes("generate", MODEL[0], "--input", "3x8x6,q", cwd=tmp_path))


class Idle(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + 1


def test_an_input_that_nothing_depends_on() -> None:
    with pytest.raises(UserError, match="does nothing with its input `y`; leave it out"):
        capture(Idle(), ((3, 4, 4), (3, 4, 4)), "net")


def test_inputs_of_different_batches() -> None:
    program = torch.export.export(Net().eval(), (torch.zeros(1, 3, 8, 6), torch.zeros(1, 5)))
    assert dict(capture(program, None, "net").inputs) == SHAPES

    class Outer(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x * y

    uneven = torch.export.export(Outer(), (torch.zeros(2, 3), torch.zeros(1, 3)))
    with pytest.raises(UserError, match=r"the model's inputs are .2, 3. and .1, 3.; all must have the same number"):
        capture(uneven, None, "net")


def test_from_python() -> None:
    data = arrays()
    images = {"image": data["image"], "facts": data["facts"]}
    model = randomised(Net())
    compiled = cnn2rtl.compile(model, ((3, 8, 6), (5,)), calibration=images)
    assert dict(compiled.graph.inputs) == SHAPES
    maps = {"image": data["image"], "facts": data["facts"].reshape(-1, 1, 1, 5)}
    scores, spots = compiled.golden_outputs(maps)
    np.testing.assert_array_equal(scores, compiled.golden(maps))
    with torch.no_grad():
        exact = model(
            torch.from_numpy(data["image"]).permute(0, 3, 1, 2) / 255.0, torch.from_numpy(data["facts"]) / 255.0
        )
    for codes, name, wanted in zip((scores, spots), compiled.graph.outputs, exact, strict=True):
        reals = compiled.graph[name].out.reals(codes).transpose(0, 3, 1, 2).reshape(wanted.shape)
        assert np.abs(reals - wanted.numpy()).max() < 0.05 * float(wanted.abs().max())
    tensors = {"image": torch.from_numpy(data["image"]).permute(0, 3, 1, 2), "facts": torch.from_numpy(data["facts"])}
    same = cnn2rtl.compile(model, (torch.zeros(1, 3, 8, 6), torch.zeros(1, 5)), calibration=tensors)
    np.testing.assert_array_equal(same.golden(maps), scores)
    with pytest.raises(UserError, match="a mapping is expected, with an array for each of the network's inputs: image"):
        cnn2rtl.compile(model, ((3, 8, 6), (5,)), calibration=data["image"])
    for wrong, why in (
        ({"image": maps["image"]}, "inputs are image, facts"),
        ({"image": maps["image"], "facts": maps["facts"][1:]}, "5 and 6 images"),
        ({"image": maps["image"][:, 1:], "facts": maps["facts"]}, "is expected"),
    ):
        with pytest.raises(ValueError, match=why):
            compiled.golden(wrong)


def test_normalisation_of_every_input() -> None:
    """The first input's values come first; what is true of the numbers is true of pixels."""
    model = randomised(Net())
    mean, std = np.linspace(0.1, 0.8, 8), np.linspace(0.3, 1.0, 8)
    compiled = cnn2rtl.compile(model, ((3, 8, 6), (5,)), mean=mean, std=std)
    pixels = noise(compiled.graph.inputs, 3)
    found = compiled.float_graph.forward(pixels)
    xs = []
    for name, part in (("image", slice(0, 3)), ("facts", slice(3, 8))):
        x = (pixels[name] / 255 - mean[part]) / std[part]
        xs.append(torch.from_numpy(x.transpose(0, 3, 1, 2)))
    with torch.no_grad():
        wanted = model.double()(xs[0], xs[1][:, :, 0, 0])[0].numpy()
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=1e-6)


def test_arrays_of_either_order(tmp_path: Path) -> None:
    data = arrays()
    np.savez(tmp_path / "a.npz", image=data["image"].transpose(0, 3, 1, 2), facts=data["facts"], y=data["labels"])
    torch.save({name: torch.from_numpy(values) for name, values in data.items()}, tmp_path / "b.pt")
    for file in ("a.npz", "b.pt"):
        found = images_for(tmp_path / file, SHAPES, limit=4)
        assert len(found) == 4 and found.labels is not None
        numbers = [int(name.split("[")[1][:-1]) for name in found.names]
        pixels: Any = found.images
        np.testing.assert_array_equal(pixels["image"], data["image"][numbers])
        np.testing.assert_array_equal(pixels["facts"][:, 0, 0], data["facts"][numbers])
        assert list(found.labels) == data["labels"][numbers].tolist()


def float_file(file: Path) -> None:
    rng = np.random.default_rng(1)
    constants = [
        numpy_helper.from_array(rng.standard_normal((4, 3, 3, 3)).astype(np.float32), "w"),
        numpy_helper.from_array(rng.standard_normal((2, 4, 1, 1)).astype(np.float32), "v"),
    ]
    nodes = [
        helper.make_node("Conv", ["left", "w"], ["a"], "a", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "b"),
        helper.make_node("Conv", ["right", "w"], ["c"], "c", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["b", "c"], ["d"], "d"),
        helper.make_node("Conv", ["d", "v"], ["e"], "e"),
    ]
    maps = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 6, 7]) for name in ("left", "right")]
    results = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", c, 6, 7]) for name, c in (("e", 2), ("d", 4))
    ]
    graph = helper.make_graph(nodes, "g", maps, results, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)


def test_float_onnx(tmp_path: Path) -> None:
    float_file(tmp_path / "m.onnx")
    graph = capture_onnx(read_onnx(tmp_path / "m.onnx"), "m")
    assert dict(graph.inputs) == {"left": (3, 6, 7), "right": (3, 6, 7)} and len(graph.outputs) == 2
    images = noise(graph.inputs, 2)
    tensors: dict[str, np.ndarray] = {}
    graph.forward(images, lambda node, x: tensors.update({node.name: x}))
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    given = {name: images[name].transpose(0, 3, 1, 2).astype(np.float32) for name in graph.inputs}
    for name, wanted in zip(graph.outputs, session.run(None, given), strict=True):
        np.testing.assert_allclose(tensors[name].transpose(0, 3, 1, 2), wanted, rtol=1e-4, atol=1e-3)
    assert "PASS" in succeed("generate", "m.onnx", cwd=tmp_path) + succeed("simulate", "m_rtl", cwd=tmp_path)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: list[dict[str, np.ndarray]]) -> None:
        self.batches = iter(batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.batches, None)


def test_quantised_onnx(tmp_path: Path) -> None:
    float_file(tmp_path / "m.onnx")
    images = noise({"left": (3, 6, 7), "right": (3, 6, 7)}, 4)
    given = {name: images[name].transpose(0, 3, 1, 2).astype(np.float32) / 255 for name in ("left", "right")}
    quantize_static(
        tmp_path / "m.onnx", tmp_path / "q.onnx", _Reader([given]), QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    compiled = implemented(from_given(read_qdq(tmp_path / "q.onnx", "q", (0.0,), (1.0,))), Options())
    assert list(compiled.graph.inputs) == ["left", "right"] and len(compiled.graph.outputs) == 2
    session = onnxruntime.InferenceSession(tmp_path / "q.onnx", providers=["CPUExecutionProvider"])
    outputs = compiled.golden_outputs(images)
    for name, codes, wanted in zip(compiled.graph.outputs, outputs, session.run(None, given), strict=True):
        out = compiled.graph[name].out
        steps = np.abs(out.reals(codes).transpose(0, 3, 1, 2) - wanted) / out.coarsest
        assert steps.max() < 2.5 and (steps > 0.5).mean() < 0.05
    succeed("generate", "q.onnx", cwd=tmp_path)
    assert "PASS" in succeed("simulate", "q_rtl", cwd=tmp_path)
