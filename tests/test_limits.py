"""What is too large is refused by its size and the limit, before anything of that size is made."""

from __future__ import annotations

import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from command_line import DIGITS, contents, mistakes, succeed
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

from cnn2rtl import UserError, image_files, limits, pictures, store
from cnn2rtl.cli.console import parse_shape, parse_sizes
from cnn2rtl.frontend import capture
from cnn2rtl.frontend.onnx_file import read_onnx
from cnn2rtl.frontend.onnx_float import capture_onnx
from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.hardware.window import Window
from cnn2rtl.images import load_images
from cnn2rtl.limits import MOST_VALUES, check_zip, too_large, too_many
from cnn2rtl.ops import AvgPool2d, Conv2d, Input, MaxPool2d
from cnn2rtl.quantise.calibrate import measure, seen_by_statistics

ROOM = 3 << 30
"""Bytes of address space beyond those in use: what is refused must not have been made."""


@pytest.fixture(autouse=True)
def little_memory() -> Any:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def refused(make: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        make()
    return str(caught.value)


def test_the_limit_itself_is_allowed() -> None:
    assert too_large((1 << 5, 1 << 10, 1 << 10)) == ""
    assert too_large((33, 1 << 10, 1 << 10)) == "33x1024x1024 are 34,603,008 values, and 33,554,432 are the most"


@pytest.mark.parametrize("text", ["3x60000x60000", "40,3x60000x60000", "99999999999"])
def test_options(text: str) -> None:
    assert refused(lambda: parse_sizes(text)).startswith(f"--input {text}: ")
    assert "3,240,000,000" not in refused(lambda: parse_shape("3x60000x60000"))
    assert "3x60000x60000 are 10,800,000,000 values, and 33,554,432 are the most" in refused(
        lambda: parse_shape("3x60000x60000")
    )


class Grown(nn.Module):
    """Makes a tensor of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.zeros(1, 1, 60000, 60000).mean()


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (nn.Conv2d(1, 8, 3, padding=3000), "layer `1`: 1x8x6006x6006 are 288,576,288 values, and 33,554,432"),
        (nn.Upsample(scale_factor=100000), "layer `1`: 1x1x800000x800000 are 640,000,000,000 values"),
        (nn.ConstantPad2d(30000, 0.0), "layer `1`: 1x1x60008x60008 are "),
        (nn.ConvTranspose2d(1, 1, 2, stride=3000), "layer `1`: 1x1x21002x21002 are "),
        (nn.AdaptiveAvgPool2d(20000), "layer `1`: 1x1x20000x20000 are 400,000,000 values"),
        (Grown(), "layer `1`: 1x1x60000x60000 are 3,600,000,000 values"),
    ],
)
def test_modules(layer: nn.Module, said: str) -> None:
    assert said in refused(lambda: capture(nn.Sequential(nn.Identity(), layer), (1, 8, 8), "net"))


def test_a_window_that_would_run_on_and_on() -> None:
    pool = nn.AvgPool2d(2001, 1, 1000)
    assert "takes 1,441,440,360,000 values for every frame, and 137,438,953,472 are the most" in refused(
        lambda: capture(pool, (1, 600, 600), "net")
    )


def test_inputs_of_modules_and_archives() -> None:
    net = nn.Conv2d(3, 4, 3)
    said = "the model's input: 3x60000x60000 are 10,800,000,000 values"
    assert said in refused(lambda: capture(net, (3, 60000, 60000), "net"))
    with torch.device("meta"):
        example = torch.zeros(1, 3, 60000, 60000)
    program = torch.export.export(nn.Conv2d(3, 4, 3, device="meta"), (example,))
    assert "makes too large a tensor: 1x4x59998x59998" in refused(lambda: capture(program, None, "net"))


def onnx_file(
    folder: Path, nodes: list[onnx.NodeProto], *constants: onnx.TensorProto, size: tuple[int, ...] = (3, 8, 8)
) -> Path:
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)], constants,
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), folder / "n.onnx")
    return folder / "n.onnx"


def weights(*shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones(shape, np.float32), "w")


def numbers(name: str, *values: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def test_onnx_inputs(tmp_path: Path) -> None:
    file = onnx_file(tmp_path, [helper.make_node("Relu", ["x"], ["y"])], size=(3, 60000, 60000))
    said = "its input is too large: 3x60000x60000 are 10,800,000,000 values, and 33,554,432 are the most"
    assert said in refused(lambda: read_onnx(file))
    (problem,) = mistakes("generate", file, "-o", "out", cwd=tmp_path)
    assert said in problem


@pytest.mark.parametrize(
    ("nodes", "constants", "said"),
    [
        (
            [helper.make_node("Conv", ["x", "w"], ["y"], "c", pads=[3000] * 4)], [weights(4, 3, 3, 3)],
            "`c` (Conv): 1x4x6006x6006 are 144,288,144 values",
        ),
        (
            [helper.make_node("Pad", ["x", "p"], ["y"], "p")], [numbers("p", 0, 0, 0, 0, 0, 0, 10**6, 10**6)],
            "`p` (Pad): 1x3x1000008x1000008 are ",
        ),
        (
            [helper.make_node("Expand", ["x", "s"], ["y"], "e")], [numbers("s", 1, 3, 8, 8 * 10**8)],
            "`e` (Expand): ",
        ),
        (
            [helper.make_node("ConstantOfShape", ["s"], ["c"], "k"), helper.make_node("Add", ["x", "c"], ["y"])],
            [numbers("s", 1, 3, 10**5, 10**5)],
            "`k` (ConstantOfShape): makes a constant that is too large: 1x3x100000x100000 are ",
        ),
        (
            [
                helper.make_node("Range", ["a", "b", "d"], ["r"], "r"), helper.make_node("Cast", ["r"], ["c"], to=1),
                helper.make_node("Add", ["x", "c"], ["y"]),
            ],
            [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in (("a", 0), ("b", 10**12), ("d", 1))],
            "`r` (Range): makes a constant that is too large: 1000000000000 are ",
        ),
        (
            [helper.make_node("MatMul", ["a", "b"], ["c"], "m"), helper.make_node("Add", ["x", "c"], ["y"])],
            [numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in (("a", (9000, 1)), ("b", (1, 9000)))],
            "`m` (MatMul): makes a constant that is too large: 9000x9000 are 81,000,000 values",
        ),
        (
            [helper.make_node("Mul", ["a", "b"], ["c"], "m"), helper.make_node("Add", ["x", "c"], ["y"])],
            [numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in (("a", (9000, 1)), ("b", (1, 9000)))],
            "`m` (Mul): makes a constant that is too large: 9000x9000 are 81,000,000 values",
        ),
    ],
)  # fmt: skip
def test_onnx_operators(
    tmp_path: Path, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto], said: str
) -> None:
    file = onnx_file(tmp_path, nodes, *constants)
    assert said in refused(lambda: capture_onnx(read_onnx(file), "net"))


def node(op: Any, shape: tuple[int, int, int]) -> Node:
    return Node("layer", op, ("input",), shape)


@pytest.mark.parametrize(
    ("op", "source", "said"),
    [
        (
            Conv2d(np.ones((4, 1, 3, 3)), np.zeros(4), Window((3, 3), (1, 1), (3000,) * 4)), (1, 8, 8),
            "`layer`: 4x6006x6006 are 144,288,144 values",
        ),
        # What is large is the padding alone.
        (MaxPool2d(Window((3, 3), (5000, 5000), (9000,) * 4)), (1, 8, 8), "`layer`: 1x18008x18008 are "),
        (AvgPool2d(Window((999, 999), (1, 1), (499,) * 4)), (1, 999, 999), "`layer`: takes 996,005,996,001 values"),
    ],
)  # fmt: skip
def test_no_graph_has_such_layers(op: Any, source: tuple[int, int, int], said: str) -> None:
    """Whoever makes it, quantised files and projects among them."""
    shape = op.out_shape([source])
    made = Node("input", Input(source), (), source)
    assert said in refused(lambda: FloatGraph("net", (made, node(op, shape)), ("layer",)))


def test_large_maps_are_calibrated_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found stays the same."""
    net = capture(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), (1, 8, 8), "net")
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    together = measure(net, images)
    monkeypatch.setattr("cnn2rtl.quantise.calibrate.AT_ONCE", 1)
    for name, alone in measure(net, images).items():
        assert (alone.low == together[name].low).all() and (alone.high == together[name].high).all()
        assert np.allclose(alone.power, together[name].power, rtol=1e-12)
    assert seen_by_statistics(net).keys() == together.keys()


def test_large_convolutions_are_computed_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    op = Conv2d(rng.normal(size=(4, 3, 3, 2)), rng.normal(size=4), Window((3, 2), (2, 1), (1, 0, 1, 1), (1, 2)), 2)
    x = rng.normal(size=(2, 9, 8, 6))
    whole = op.forward([x])
    for most in (1, 400, 700):
        monkeypatch.setattr("cnn2rtl.ops.conv2d.AT_ONCE", most)
        np.testing.assert_allclose(op.forward([x]), whole, rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------------------------------------------------- files


def bomb(file: Path, member: str, shape: tuple[int, ...]) -> Path:
    """An array of zeros, a thousand times as large as the file."""
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(member, "w", force_zip64=True) as out,
    ):
        np.lib.format.write_array_header_1_0(
            out,
            {"descr": "|u1", "fortran_order": False, "shape": shape},  # type: ignore[arg-type]
        )
        left = int(np.prod(shape, dtype=np.int64))
        while left:
            left -= out.write(bytes(min(left, 1 << 24)))
    return file


def test_zip_bombs(tmp_path: Path) -> None:
    images = bomb(tmp_path / "images.npz", "images.npy", (300, 1024, 1024, 1))
    assert images.stat().st_size < 1 << 20
    said = refused(lambda: load_images(images, (1, 1024, 1024)))
    assert "`images.npy` would grow from " in said and " to 314,572,928 bytes, and 200 times is the most" in said
    with pytest.raises(ValueError, match=r"not a stored network: ValueError: `images\.npy` would grow from"):
        store.load(images.read_bytes())
    archive = bomb(tmp_path / "model.pt", "m/data.pkl", (1 << 29,))
    (problem,) = mistakes("generate", archive, "--input", "1x8x8", "-o", "out", cwd=tmp_path)
    assert "`m/data.pkl` would grow from" in problem


def test_what_shrinks_for_a_reason_is_read(tmp_path: Path) -> None:
    """Black pictures, and files that are no zip files, are nothing to refuse."""
    np.savez_compressed(tmp_path / "black.npz", images=np.zeros((64, 256, 256, 3), np.uint8))
    assert len(load_images(tmp_path / "black.npz", (3, 256, 256))) == 64
    check_zip(b"PK\x03\x04 no more")
    check_zip(tmp_path / "none.npz")


def test_more_images_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "most_image_bytes", lambda: 1000)
    assert too_many(10, (10, 10)) == "" and "11 images of 10x10 take 0.0 GB, and half of" in too_many(11, (10, 10))
    Image.new("L", (40, 40)).save(tmp_path / "a.png")
    assert "1 images of 40x40x1 take" in refused(lambda: load_images(tmp_path / "a.png", (1, 40, 40)))
    np.save(tmp_path / "a.npy", np.zeros((9, 12, 12, 1), np.float32))
    assert "9 images of 12x12x1 take" in refused(lambda: load_images(tmp_path / "a.npy", (1, 12, 12)))


def test_frames_to_simulate(tmp_path: Path) -> None:
    succeed("generate", *DIGITS, "-o", "out", cwd=tmp_path)
    (problem,) = mistakes("simulate", "out", "--frames", "100000000000", cwd=tmp_path)
    assert problem.startswith("--frames 100000000000: 100,000,000,000 images of 64 take 6,400.0 GB, and half of this")


# -------------------------------------------------------------------------------------------------------- pictures


def test_pictures_that_are_too_large(tmp_path: Path) -> None:
    """Pillow's own words name a Python constant."""
    (tmp_path / "calib").mkdir()
    header = Image.new("1", (20000, 20000))
    header.save(tmp_path / "calib" / "a.png")
    said = refused(lambda: load_images(tmp_path / "calib", (3, 8, 8), "resize"))
    assert (
        said == f"{tmp_path}/calib/a.png: has more than 178,956,970 pixels, the most that are decoded; make it smaller"
    )


PEAK = """
import resource, sys
from pathlib import Path
from cnn2rtl.images import load_images
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = load_images(Path(sys.argv[1]), (3, 64, 64), sys.argv[2])
print(len(found), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.parametrize(("fit", "kind", "megabytes"), [("resize", "jpeg", 60), ("crop", "png", 450)])
def test_large_pictures_are_decoded_one_at_a_time(tmp_path: Path, fit: str, kind: str, megabytes: int) -> None:
    """Three of 81 million pixels: 324 MB each in Pillow's memory, and a JPEG no larger than it has to be."""
    large = Image.new("RGB", (9000, 9000), (9, 100, 200))
    for number in range(3):
        large.paste((200, 9, 50 * number), (0, 0, 3000 * (number + 1), 4500))
        large.save(tmp_path / f"{number}.{kind}")
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-W", "error", "-W", "ignore:`fit=", "-c", PEAK, tmp_path, fit]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.stderr == ""
    count, peak = map(int, done.stdout.split())
    assert count == 3 and peak < megabytes, done.stdout


def picture(height: int = 90, width: int = 120) -> Image.Image:
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
    return smooth.resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp"])
def test_large_pictures_look_as_before(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit, but for a JPEG that is scaled down: that is scaled partly in decoding."""
    picture(900, 1200).save(tmp_path / f"a.{kind}")
    found: dict[str, list[np.ndarray]] = {"crop": [], "resize": []}
    for large in (1 << 25, 0):
        for module in (image_files, pictures):
            monkeypatch.setattr(module, "LARGE_PICTURE", large)
        for fit, images in found.items():
            images.append(load_images(tmp_path / f"a.{kind}", (3, 32, 32), fit).images)  # type: ignore[arg-type]
    assert (found["crop"][0] == found["crop"][1]).all()
    off = np.abs(np.subtract(*found["resize"], dtype=np.int64)).max()
    assert 0 < off < 16 if kind == "jpeg" else off == 0, off


@pytest.mark.parametrize("mode", ["P", "L", "RGBA", "CMYK", "1", "LA"])
def test_a_crop_is_converted_as_the_whole_is(tmp_path: Path, mode: str) -> None:
    kind = "tiff" if mode == "CMYK" else "png"
    picture().convert(mode).save(tmp_path / f"a.{kind}")
    with Image.open(tmp_path / f"a.{kind}") as opened:
        whole = np.asarray(opened.convert("RGB"))
    assert (load_images(tmp_path / f"a.{kind}", (3, 32, 40)).images[0] == whole[29:61, 40:80]).all()


def test_nothing_is_written(tmp_path: Path) -> None:
    torch.save(nn.Conv2d(1, 1, 3, padding=30000), tmp_path / "net.pt")
    before = contents(tmp_path)
    (problem,) = mistakes("generate", "net.pt", "--input", "1x8x8", "-o", "out", cwd=tmp_path)
    assert "1x1x60006x60006 are" in problem and contents(tmp_path) == before
    assert MOST_VALUES == 1 << 25
