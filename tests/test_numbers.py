"""Inputs that are no pictures: integers of any width and sign, and what a code of them is worth."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from command_line import mistakes, succeed
from onnx_reference import onnx_tensors
from torch import nn
from torch_reference import integer_tensors

import cnn2rtl
from cnn2rtl.compiled import Compiled
from cnn2rtl.errors import Notice, UserError
from cnn2rtl.images import given_images, load_images
from cnn2rtl.quant.inputs import InputFormat, input_formats
from cnn2rtl.quant.qformat import QFormat
from cnn2rtl.samples import codes_of
from cnn2rtl.tensors import part

SHAPE = (3, 64)
G = 1 / 4096
"""What a code of an accelerometer is worth, in g."""


def imu() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(3, 8, 5, padding=2), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 4)
    ).eval()


def readings(count: int = 8) -> np.ndarray:
    """Codes (n, 3, 64) of 16 bits, up to about 8 g."""
    reals = np.random.default_rng(0).normal(0, 2, (count, *SHAPE))
    return np.clip(np.rint(reals / G), -32768, 32767).astype(np.int16)


def compiled(**options: Any) -> Compiled:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        return cnn2rtl.compile(imu(), SHAPE, **options)


def refused(**options: Any) -> str:
    with pytest.raises(UserError) as caught:
        cnn2rtl.compile(imu(), SHAPE, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "bits", "signed"),
    [("u8", 8, False), ("u1", 1, False), ("s2", 2, True), ("S16", 16, True), (" u12 ", 12, False)],
)
def test_formats_as_they_are_written(text: str, bits: int, signed: bool) -> None:
    assert input_formats([text], [2.5]) == (InputFormat(bits, signed, 2.5),)
    assert str(InputFormat(bits, signed)) == text.strip().lower()


@pytest.mark.parametrize("text", ["u0", "u17", "s1", "s17", "i8", "8", "", "u08", "uint8", "s16.2", "float"])
def test_what_is_no_format(text: str) -> None:
    with pytest.raises(UserError, match=r"u1 to u16, or s2 to s16"):
        input_formats([text], [None])


def test_a_scale_may_be_a_fraction() -> None:
    assert input_formats(["s16"], ["1/4096"]) == (InputFormat(16, True, 1 / 4096),)


@pytest.mark.parametrize("scale", ["1/0", "1/2/3", "/2", 0, -1.0, float("nan"), float("inf"), "x", "", "AUTO"])
def test_what_is_no_scale(scale: Any) -> None:
    with pytest.raises(UserError, match="a number greater than 0, or auto"):
        input_formats(["s16"], [scale])


def test_pictures_alone_need_no_format() -> None:
    assert input_formats(["u8"], [None]) == () == input_formats(["u8", "u8"], [None])
    assert input_formats(["u8", "s12"], [None, "auto"]) == (InputFormat(), InputFormat(12, True, "auto"))
    with pytest.raises(UserError, match="2 formats and `input_scale=` 3"):
        input_formats(["u8", "s12"], [1, 2, 3])


def test_a_design_for_pictures_is_the_same_whether_it_says_so_or_not() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 1, 64, 3), np.uint8)
    said = compiled(calibration=images, mean=0.5, std=0.2, input_format="u8")
    unsaid = compiled(calibration=images, mean=0.5, std=0.2)
    assert said.files == unsaid.files
    assert said.about["inputs"][0]["stream"] == "pixels" and "inputs" not in said.about["options"]


# What clearly is no picture is refused, and the way out is named.
@pytest.mark.parametrize(
    ("values", "told"),
    [
        (readings() * np.float32(G), "the values go from -7"),
        (readings(), "the values go from -3"),
        ((readings() >> 8).astype(np.int8), "of type int8"),
        (np.abs(readings() >> 8).astype(np.int8), "of type int8"),
    ],
    ids=["floats", "int16", "int8", "int8 above 0"],
)
def test_numbers_are_no_pictures(values: np.ndarray, told: str) -> None:
    found = refused(calibration=torch.from_numpy(values))
    assert told in found and '`input_format="s16"`' in found and '`input_scale="auto"`' in found


def test_integers_are_codes_and_floats_what_these_are_worth() -> None:
    codes = torch.from_numpy(readings())
    given = compiled(input_format="s16", input_scale=G, calibration=codes)
    assert given.files == compiled(input_format="s16", input_scale=G, calibration=codes.double() * G).files
    wide = codes.to(torch.int64)
    assert given.files == compiled(input_format="s16", input_scale=str(G), calibration=wide).files
    assert given.vector_images.dtype == np.int16
    (found,) = given.design.inputs
    assert (str(found.format), found.name, found.bits) == ("s16.12", "samples", 16 * found.lanes)


@pytest.mark.parametrize("scheme", ["pow2", "scale"])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), ((0.1, 0.2, 1.0), (2.0, 2.5, 3.0))])
@pytest.mark.parametrize(
    ("form", "scale"), [("s16", G), ("u16", 3e-4), ("u12", 1.0), ("s8", 0.07), ("s2", 4.0), ("u1", 1.0), ("u8", 1.0)]
)
def test_the_network_is_the_one_that_was_trained(form: str, scale: float, mean: Any, std: Any, scheme: Any) -> None:
    ((wanted,),) = [input_formats([form], [scale])]
    numbers = wanted.numbers
    assert numbers is not None
    codes = np.random.default_rng(1).integers(numbers.lo, numbers.hi + 1, (16, 1, 64, 3))
    codes[0], codes[1] = numbers.lo, numbers.hi
    net = compiled(input_format=form, input_scale=scale, calibration=codes, mean=mean, std=std, scheme=scheme, bits=12)
    reals = (torch.from_numpy(codes[:, 0]).double() * scale - torch.tensor(mean)) / torch.tensor(std)
    with torch.no_grad():
        exact = imu().double()(reals.permute(0, 2, 1)).numpy()
    bordered = np.any(np.asarray(mean) != 0)
    if not bordered:
        np.testing.assert_allclose(net.float_graph.forward(codes)[:, 0, 0], exact, rtol=1e-6, atol=1e-6)
    golden = net.golden(codes)[:, 0, 0]
    # The border stands for the mean, which is seldom a code: of few bits it is far off.
    if not bordered or numbers.bits >= 8:
        assert np.abs(net.graph[net.graph.output].out.reals(golden) - exact).max() < 0.02 * np.ptp(exact)
    for other in (integer_tensors, onnx_tensors):
        tensors = net.golden_tensors(codes)
        for name, found in other(net.graph, codes).items():
            np.testing.assert_array_equal(tensors[name], found, err_msg=f"{name}: {other.__name__}")


def test_the_border_is_the_mean_as_a_code() -> None:
    codes = readings().transpose(0, 2, 1)[:, None]
    (note,) = compiled(input_format="s16", input_scale=0.001, calibration=codes, mean=0.1004).about["notes"]
    assert (
        note == "0: the border stands for the mean (0.1004); rounded to codes of s16*0.001 it is off by up to 0.0004."
    )
    (note,) = compiled(input_format="s16", input_scale=0.001, calibration=codes, mean=0.1).about["notes"]
    assert note.endswith("(0.1); it is exact.")
    # What no code reaches is told with all that it is off.
    (note,) = compiled(input_format="s16", input_scale=0.001, calibration=codes, mean=40.0).about["notes"]
    assert note.endswith("off by up to 7.23.")


@pytest.mark.parametrize(("scheme", "scale"), [("pow2", 2.0**-12), ("scale", 7.9 / 32768)])
def test_a_scale_is_found(scheme: Any, scale: float) -> None:
    reals = np.clip(np.random.default_rng(0).normal(0, 2, (8, 1, 64, 3)), -7.8, 7.8)
    reals[0, 0, 0, 0] = -7.9
    net = compiled(input_format="s16", input_scale="auto", calibration=reals, scheme=scheme)
    (found,) = net.graph.numbers.values()
    assert found == QFormat.full(16, True, scale) and found.codes(reals).min() == round(-7.9 / scale)
    assert net.about["options"]["inputs"] == [{"bits": 16, "signed": True, "scale": scale}]
    assert f"input: a code of {found} is worth {scale:.10g}, found on the calibration data." in net.about["notes"]
    unsigned = compiled(input_format="u16", input_scale="auto", calibration=np.abs(reals), scheme="scale")
    assert unsigned.graph.numbers["input"].scale == 7.9 / 65535


def test_scales_that_cannot_be_found() -> None:
    reals = torch.randn(4, *SHAPE)
    assert "give some: `calibration=`" in refused(input_format="s16", input_scale="auto")
    assert "go down to -" in refused(input_format="u12", input_scale="auto", calibration=reals)
    assert "use s12" in refused(input_format="u12", input_scale="auto", calibration=reals)
    ints = reals.to(torch.int32)
    assert "int32, which are codes already" in refused(input_format="s16", input_scale="auto", calibration=ints)
    assert "NaN" in refused(input_format="s16", input_scale="auto", calibration=reals * torch.nan)


def test_integers_that_are_no_codes(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", readings())
    told = refused(input_format="s8", calibration=tmp_path / "a.npy")
    assert "codes from -128 to 127" in told and '`input_format="s16"`' in told
    assert "codes from 0 to 65535" in refused(input_format="u16", calibration=tmp_path / "a.npy")
    image = np.zeros((1, 1, 64, 3))
    assert "of type complex128" in refused(input_format="s8", calibration=image.astype(complex))


def test_floats_of_which_nobody_said_what_a_code_is_worth() -> None:
    reals = torch.from_numpy(readings() * np.float32(G))
    told = refused(input_format="s16", calibration=reals)
    assert "no whole numbers, -7" in told and "`input_scale=auto`" in told
    # Whole ones are codes.
    whole = torch.from_numpy(readings())
    assert (
        compiled(input_format="s16", calibration=whole).files
        == compiled(input_format="s16", calibration=whole.double()).files
    )


def test_floats_that_the_codes_do_not_hold() -> None:
    reals = np.random.default_rng(0).normal(0, 2, (8, 1, 64, 3))
    fine, coarse = QFormat.full(8, True, 2.0**-8), QFormat.full(8, True, 2.0)
    with pytest.raises(UserError, match=r"-0\.5 to 0\.496094; 81.1 % of the values lie beyond.*`input_scale=auto`"):
        codes_of("x", reals, fine)
    with pytest.raises(UserError, match=r"in steps of 2, which leave little"):
        codes_of("x", reals, coarse)
    # A bit is meant to leave little.
    assert set(np.unique(codes_of("x", np.abs(reals) / 8, QFormat.full(1, False, 1.0)))) == {0, 1}
    with pytest.warns(Notice, match=r"in steps of 0\.75, whose rounding is but 19 dB below the values"):
        codes_of("x", reals, replace(coarse, scale=0.75))
    with pytest.warns(Notice, match=r"from -5\.12 to 5\.08; 1\d of 1,536 values lie beyond and take the last one"):
        found = codes_of("x", reals, QFormat.full(8, True, 0.04))
    assert found.dtype == np.int8 and found.min() == -128 and found.max() == 127
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Half a step beyond the last code is still the nearest to it; nothing is lost of what does not vary.
        ends = np.array([-128.5, 127.49, 0.0, 0.5]).reshape(1, 1, 4, 1)
        assert codes_of("x", ends, QFormat.full(8, True, 1.0)).ravel().tolist() == [-128, 127, 0, 1]
        assert codes_of("x", np.full((1, 1, 1, 4), 0.3), QFormat.full(8, True, 1.0)).tolist() == [[[[0] * 4]]]


def test_golden_takes_codes_alone() -> None:
    net = compiled(input_format="s12", input_scale=G)
    with pytest.raises(ValueError, match=r"integers from -2048 to 2047: the hardware takes s12\.12"):
        net.golden(np.full((1, 1, 64, 3), 2048))
    with pytest.raises(ValueError, match="integers from -2048"):
        net.golden(np.full((1, 1, 64, 3), 0.5))
    assert net.golden(np.full((1, 1, 64, 3), -2048, np.int64)).shape == (1, 1, 1, 4)


class Two(nn.Module):
    """A picture and a row of readings."""

    def __init__(self) -> None:
        super().__init__()
        self.see, self.feel, self.last = nn.Conv2d(3, 4, 3), nn.Conv1d(3, 4, 5), nn.Linear(8, 3)

    def forward(self, picture: torch.Tensor, imu: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.see(picture).mean((2, 3)), self.feel(imu).mean(2)], 1)
        out: torch.Tensor = self.last(torch.relu(x))
        return out


def test_each_of_several_inputs_has_its_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, rng = Two().eval(), np.random.default_rng(0)
    data = {"picture": rng.integers(0, 256, (4, 8, 8, 3), np.uint8), "imu": rng.normal(0, 2, (4, 1, 64, 3))}
    made = cnn2rtl.compile(
        net, ((3, 8, 8), SHAPE), input_format=["u8", "s16"], input_scale=[None, "auto"], calibration=data
    )
    assert {s.node: str(s.format) for s in made.design.inputs} == {"picture": "u8.0", "imu": "s16.12"}
    codes = {**data, "imu": made.graph.numbers["imu"].codes(data["imu"])}
    images = given_images("x", data, made.graph.inputs, numbers=made.graph.numbers)
    assert images is not None and part(images.images, "imu").dtype == np.int16
    np.testing.assert_array_equal(part(images.images, "imu"), codes["imu"])
    tensors = made.golden_tensors(codes)
    for name, found in integer_tensors(made.graph, images.images).items():
        np.testing.assert_array_equal(tensors[name], found, err_msg=name)
    np.savez(tmp_path / "both.npz", **data)
    torch.export.save(torch.export.export(net, (torch.rand(1, 3, 8, 8), torch.rand(1, *SHAPE))), tmp_path / "two.pt2")
    succeed(
        "generate", "two.pt2", "--input-format", "u8,s16", "--input-scale", ",auto", "--calib", "both.npz", cwd=tmp_path
    )
    told = "\n".join(mistakes("generate", "two.pt2", "--input-format", "u8,s16,s2", "-o", "no", cwd=tmp_path))
    assert "3 are given, and the network's inputs are picture, imu" in told


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the network, readings, and a project."""
    folder = tmp_path_factory.mktemp("imu")
    torch.export.save(torch.export.export(imu(), (torch.rand(1, *SHAPE),)), folder / "imu.pt2")
    np.save(folder / "floats.npy", readings() * np.float32(G))
    np.save(folder / "codes.npy", readings())
    told = succeed(
        "generate", "imu.pt2", "--calib", "floats.npy", "--input-format", "s16", "--input-scale", "auto", "-o", "out",
        cwd=folder,
    )  # fmt: skip
    assert "a code of s16.12 is worth 0.000244140625" in told
    return folder


def test_the_command_line_refuses_in_its_own_words(project: Path) -> None:
    for data in ("floats", "codes"):
        told = "\n".join(mistakes("generate", "imu.pt2", "--calib", f"{data}.npy", "-o", "no", cwd=project))
        assert "--input-format s16" in told and "--input-scale auto" in told and not (project / "no").exists()
    told = "\n".join(mistakes("generate", "imu.pt2", "--input-format", "s17", "--input-scale", "0", cwd=project))
    assert "--input-format s17: u1 to u16" in told and "--input-scale 0: a number" in told


def test_a_project_takes_what_its_network_takes(project: Path) -> None:
    assert "100.0 %" in succeed("evaluate", "out", "--data", "floats.npy", cwd=project)
    assert "PASS" in succeed("simulate", "out", "--images", "codes.npy", "--frames", "3", cwd=project)
    assert "PASS" in succeed("simulate", "out", "--stall", "30", cwd=project)
    np.save(project / "beyond.npy", np.full((1, *SHAPE), 40000))
    assert "codes from -32768 to 32767" in "\n".join(mistakes("evaluate", "out", "--data", "beyond.npy", cwd=project))
    assert "int16 n x 3x1x64" in succeed("export", "out", "--onnx", cwd=project)
    model = onnx.load(project / "out.onnx")
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.INT16
    (formats,) = (entry.value for entry in model.metadata_props if entry.key == "formats")
    assert json.loads(formats)["input"] == {
        "bits": 16,
        "signed": True,
        "scale": 2.0**-12,
        "lo": -32768,
        "hi": 32767,
        "zero": 0,
    }


def test_only_pictures_are_made_of_pixels(project: Path) -> None:
    out = project / "out"
    head = (out / "rtl" / "imu.v").read_text().partition("module")[0]
    assert "s16.12 each" in head and "ixels" not in head
    for file in ("README.md", "sim/testbench.v", "sim/test_design.py"):
        assert "ixels" not in (out / file).read_text()
    assert "3 x 1 x 64 integers, format s16.12" in (out / "README.md").read_text()
    assert "3x1x64 s16.12 in" in " ".join((out / "report.html").read_text().split())


def test_image_files_hold_pixels(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    for source in (tmp_path, tmp_path / "a.png"):
        with pytest.raises(UserError, match=r"hold 8-bit pixels, and the network's input takes numbers, u12\.0"):
            load_images(source, (1, 8, 8), numbers=QFormat.full(12, False, 1.0))
    # Those are codes of 8 bits without a sign, whatever these are worth.
    assert load_images(tmp_path, (1, 8, 8), numbers=QFormat.full(8, False, 0.5)).images.shape == (1, 8, 8, 1)


def test_integers_are_trained_on_numbers(project: Path) -> None:
    labels = np.arange(8) % 4
    np.savez(project / "labelled.npz", x=readings() * np.float32(G), y=labels)
    shared = ("imu.pt2", "--data", "labelled.npz", "--bits", "4", "--epochs", "2")
    told = succeed("compress", "qat", *shared, "--input-format", "s16", "--input-scale", "auto", cwd=project)
    assert "epoch 2 of 2" in told
    succeed("generate", "imu_qat.npz", "-o", "trained", cwd=project)
    about = cnn2rtl.open(project / "trained").about
    assert about.inputs[0].format.name == "s16.12" and about.options.inputs[0].scale == G
    assert "PASS" in succeed("simulate", "trained", "--images", "codes.npy", "--frames", "2", cwd=project)
    # Further, as the file says.
    assert "epoch 1 of 1" in succeed(
        "compress", "qat", "imu_qat.npz", "--data", "labelled.npz", "--epochs", "1", "-o", "more.npz", cwd=project
    )
    told = "\n".join(mistakes("compress", "qat", *shared, "-o", "no.npz", cwd=project))
    assert "--input-format s16" in told


def test_commands_that_train_on_pictures_alone_say_so(tmp_path: Path) -> None:
    torch.save(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)), tmp_path / "n.pt"
    )
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).normal(0, 2, (8, 8, 8, 3)), y=np.arange(8) % 2)
    (told,) = mistakes(
        "compress", "train", "n.pt", "--input", "3x8x8", "--data", "a.npz", "--val-share", "0.5", cwd=tmp_path
    )
    assert "takes pictures alone" in told and "cnn2rtl compress qat" in told and "--input-format" not in told


class Whole(nn.Module):
    """A network that declares integers, and makes numbers of them itself."""

    def __init__(self) -> None:
        super().__init__()
        self.net = imu()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.net(x.float() / 100)
        return out


@pytest.mark.parametrize(("dtype", "form"), [(torch.int8, "s8"), (torch.int16, "s16"), (torch.int16, "s9")])
def test_a_model_that_declares_integers_takes_codes(dtype: torch.dtype, form: str) -> None:
    x = torch.from_numpy(np.random.default_rng(0).integers(-128, 128, (8, *SHAPE))).to(dtype)
    net = Whole().eval()
    made = cnn2rtl.compile(torch.export.export(net, (x[:1],)), input_format=form, calibration=x, bits=12)
    assert str(made.design.inputs[0].format) == f"{form}.0"
    found = made.graph[made.graph.output].out.reals(made.golden(x.numpy().transpose(0, 2, 1)[:, None]))
    with torch.no_grad():
        np.testing.assert_allclose(found[:, 0, 0], net(x).numpy(), atol=1e-3)
    # Without a format it would be pixels.
    with pytest.raises(UserError):
        cnn2rtl.compile(torch.export.export(net, (x[:1],)), calibration=x)


def test_widths_are_found_on_numbers(project: Path) -> None:
    told = succeed(
        "generate", "imu.pt2", "--calib", "codes.npy", "--input-format", "s16", "--input-scale", "1/4096",
        "--auto-bits", "--max-drop", "50", "-o", "narrow", cwd=project,
    )  # fmt: skip
    assert "less memory for weights" in told
    assert "PASS" in succeed("simulate", "narrow", "--images", "codes.npy", "--frames", "2", cwd=project)
