"""``cnn2rtl.compile`` as its docstring promises it, and the file that networks are stored in."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import DIGITS, EXAMPLE, contents, run
from torch import nn

import cnn2rtl
from cnn2rtl import Compiled, UserError, store
from cnn2rtl.finite import REMEDY
from cnn2rtl.frontend import load_model

SHAPE = (1, 8, 8)
RAW = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 3, 3)).eval()


def problems(*arguments: Any, **options: Any) -> tuple[str, ...]:
    with pytest.raises(UserError) as caught:
        cnn2rtl.compile(*arguments, **options)
    return caught.value.problems


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return cnn2rtl.compile(net(), SHAPE, calibration=RAW)


# What it gives


def test_import_is_light() -> None:
    code = "import sys, cnn2rtl; print(sorted({'torch', 'numpy', 'typer', 'jinja2'} & set(sys.modules)))"
    root = Path(__file__).resolve().parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True).stdout == "[]\n"
    assert set(cnn2rtl.__all__) >= {"compile", "UserError", "Compiled"}
    with pytest.raises(AttributeError, match="no attribute 'compiler'"):
        cnn2rtl.compiler  # noqa: B018


def test_golden_is_the_last_of_the_golden_tensors(compiled: Compiled) -> None:
    tensors = compiled.golden_tensors(RAW)
    assert list(tensors) == ["input", "0", "3", "4"]
    np.testing.assert_array_equal(tensors["input"], RAW)
    np.testing.assert_array_equal(tensors["4"], compiled.golden(RAW))
    assert {name: tensor.shape for name, tensor in tensors.items() if name != "input"} == {
        "0": (5, 6, 6, 4), "3": (5, 3, 3, 4), "4": (5, 1, 1, 3),
    }  # fmt: skip
    for name, tensor in tensors.items():
        layer = compiled.graph[name].out
        assert tensor.dtype == np.int64 and tensor.min() >= layer.lo and tensor.max() <= layer.hi
    # One image at a time is the same, and so is another type of integer.
    np.testing.assert_array_equal(np.concatenate([compiled.golden(RAW[i : i + 1]) for i in range(5)]), tensors["4"])
    np.testing.assert_array_equal(compiled.golden(RAW.astype(np.int32)), tensors["4"])


def test_golden_is_near_the_model(compiled: Compiled) -> None:
    with torch.no_grad():
        wanted = net()(torch.from_numpy(RAW / np.float32(255)).permute(0, 3, 1, 2)).numpy()[:, :, 0, 0]
    given = compiled.graph["4"].out.reals(compiled.golden(RAW))[:, 0, 0]
    assert abs(given - wanted).max() < 0.05 * abs(wanted).max()


def test_golden_refuses_what_no_pixels_are(compiled: Compiled) -> None:
    wrong = (RAW[0], RAW[:, :7], RAW.transpose(0, 3, 1, 2), RAW[:0, :, :4], RAW.repeat(3, 3))
    for images in wrong:
        with pytest.raises(ValueError, match=r"images of shape .*: \(n, 8, 8, 1\) is expected"):
            compiled.golden(images)
    for images in (RAW / 255, RAW.astype(np.int16) - 1, RAW.astype(np.int16) + 1, RAW > 3):
        with pytest.raises(ValueError, match="must be integers from 0 to 255"):
            compiled.golden_tensors(images)


def test_calibration_of_every_kind(tmp_path: Path, compiled: Compiled) -> None:
    first = RAW.transpose(0, 3, 1, 2)
    np.savez(tmp_path / "calib.npz", images=RAW)
    kinds: dict[str, Any] = {
        "tensor": torch.from_numpy(first.copy()),
        "tensor of floats": (torch.from_numpy(first / np.float32(255))).requires_grad_(),
        "array of floats": RAW / 255,
        "path": tmp_path / "calib.npz",
        "text": str(tmp_path / "calib.npz"),
    }
    for kind, images in kinds.items():
        assert cnn2rtl.compile(net(), SHAPE, calibration=images).files == compiled.files, kind
    assert "calibrated on 5 images" in f"calibrated on {compiled.about['calibration']}"
    bare = cnn2rtl.compile(net(), SHAPE)
    assert bare.files != compiled.files and "BatchNorm statistics" in bare.about["calibration"]


def test_examples_of_every_kind(compiled: Compiled) -> None:
    program = torch.export.export(net(), (torch.zeros(1, *SHAPE),))
    for model, example in (
        (net(), torch.zeros(7, *SHAPE)), (net(), np.zeros((1, *SHAPE))), (net(), list(SHAPE)),
        (net(), torch.Size(SHAPE)), (program, None), (program, SHAPE),
    ):  # fmt: skip
        assert cnn2rtl.compile(model, example, calibration=RAW, name="Sequential").graph.inputs["input"] == SHAPE
    for wrong in (None, (1, 1, 8, 8), torch.zeros(8), "1x8x8", (1, 8, 0), (1.0, 8, 8), 5):
        (line,) = problems(net(), wrong)
        assert line.startswith("example: ") and line.endswith("or a shape (c, h, w), is expected")


def test_options_are_passed_on() -> None:
    design = cnn2rtl.compile(
        net(), SHAPE, 6, weight_bits=4, output_bits=12, scheme="scale", mean=[0.5], std=np.float32(0.25),
        class_index=True, multipliers=7, name="two words", ranges="mse", effort="best", fit="squash",
        channels="rgb",
    )  # fmt: skip
    expected = {
        "weight_bits": 4, "activation_bits": 6, "output_bits": 12, "scheme": "scale", "layers": {}, "ranges": "mse",
        "effort": "best", "mean": [0.5], "std": [0.25], "class_index": True, "fit": "squash", "channels": "rgb",
    }  # fmt: skip
    assert design.about["options"] == expected and design.about["multipliers"] <= 7
    assert design.about["name"] == "two_words" and "rtl/two_words.v" in design.files
    assert design.graph["0"].layer is not None and design.graph["0"].layer.weight_bits == 4
    assert set(np.unique(design.golden(RAW))) <= {0, 1, 2}
    fast = cnn2rtl.compile(net(), SHAPE, fps=1e6, clock_mhz=100)
    assert fast.about["interval"] <= 100 < cnn2rtl.compile(net(), SHAPE, fps=1e4).about["interval"]


def test_the_model_is_left_as_it_was() -> None:
    model = net().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    cnn2rtl.compile(model, SHAPE)
    assert model.training and all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_command_line_makes_the_same(tmp_path: Path) -> None:
    model = load_model(DIGITS[0], DIGITS[2])
    assert isinstance(model, nn.Module)
    cnn2rtl.compile(model, SHAPE, calibration=EXAMPLE / "calib", name="digits").write(tmp_path / "api")
    assert run("generate", *DIGITS, "--calib", EXAMPLE / "calib", "-o", "cli", cwd=tmp_path).code == 0
    api, cli = contents(tmp_path / "api"), contents(tmp_path / "cli")
    # The command line knows the images' folder, and says so.
    told = {path for path in cli if api[path] != cli[path]}
    assert api.keys() == cli.keys() and told <= {"design.json", "manifest.json", "report.html", "README.md"}


# Mistakes


def test_all_mistakes_at_once() -> None:
    given = problems(
        net(), SHAPE, 1, output_bits=17, mean="x", std=(0.1, 0.2), scheme="log", calibration="none", clock_mhz=0,
        multipliers=2.5,
    )  # fmt: skip
    expected = (
        "mean 'x': a number", "scheme 'log': one of pow2, scale is expected", "width 1 of weights and activations",
        "width 17 of outputs",
        "`clock_mhz=0`", "`multipliers=2.5`", "`calibration=none`: no such file or folder",
    )  # fmt: skip
    assert len(given) == len(expected)
    # What takes the network to tell comes after.
    (std,) = problems(net(), SHAPE, std=(0.1, 0.2))
    assert std.startswith("std 0.1, 0.2: one value, or one for each of the input's 1 channels")
    assert all(any(line.startswith(start) for line in given) for start in expected), given


def test_each_mistake() -> None:
    infinite = net()
    with torch.no_grad():
        infinite[4].weight[0, 0, 0] = float("inf")
    assert problems(infinite, SHAPE) == (
        "`4` (conv2d): has a `weight` that is not finite: 3 of 108 values are NaN or infinite; " + REMEDY,
    )
    unsupported = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2), nn.LayerNorm(6), nn.ReLU())
    assert [line.split(":")[0] for line in problems(unsupported, SHAPE)] == ["`1` (group_norm)", "`2` (layer_norm)"]
    assert problems("net.pt", SHAPE) == ("net.pt: no such file",)
    assert problems(3, SHAPE) == ("model: a int, where a file, an nn.Module or an ExportedProgram is expected",)
    for options, expected in (
        ({"bits": "8"}, "width '8' of weights and activations"),
        ({"fps": "fast"}, "`fps=fast`: a number greater than 0"),
        ({"fps": 1e12}, "frames/s at 100 MHz leave 0 cycles per frame"),
        ({"multipliers": 1}, "1 multipliers are too few"),
        ({"calibration": [1, 2]}, "calibration: holds a list where an array of images is expected"),
        ({"calibration": RAW[:, :7]}, "calibration: the images are 5x7x8x1; n x 8x8x1 or n x 1x8x8 expected"),
        ({"calibration": RAW - 100.0}, "calibration: the values go from -100 to"),
        ({"calibration": RAW[:0]}, "calibration: holds no images"),
    ):
        (line,) = problems(net(), SHAPE, **options)
        assert expected in line, line


# The file


def graphs(compiled: Compiled) -> dict[str, object]:
    return {"float": compiled.float_graph, "integer": compiled.graph}


def equal(one: Any, other: Any) -> bool:
    """Whether two stored things are the same, to the types and shapes of their arrays."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if dataclasses.is_dataclass(one):
        return all(equal(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def test_stored_graphs_come_back_as_they_were(compiled: Compiled) -> None:
    data = store.dump(graphs(compiled))
    assert store.dump(graphs(compiled)) == data == compiled.files["model.npz"]
    loaded = store.load(data)
    assert equal(loaded["float"], compiled.float_graph) and equal(loaded["integer"], compiled.graph)
    assert equal(store.load(store.dump(loaded))["integer"], compiled.graph)
    np.testing.assert_array_equal(loaded["integer"].run(RAW.astype(np.int64)), compiled.golden(RAW))


def rewritten(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """``data`` with its JSON changed."""
    with np.load(io.BytesIO(data)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    text = json.loads(arrays["graphs"].tobytes())
    change(text)
    arrays["graphs"] = np.frombuffer(json.dumps(text).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return exec, (f"open({str(self.marker)!r}, 'w').close()",)


def test_hostile_files(compiled: Compiled, tmp_path: Path) -> None:
    data = store.dump(graphs(compiled))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, graphs=np.array([Evil(tmp_path / "marker")], object))
    plain = io.BytesIO()
    np.save(plain, np.array([Evil(tmp_path / "marker")], object), allow_pickle=True)
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("graphs.npy", b"nonsense")
    bomb = b'{"a":' * 100_000
    deep = io.BytesIO()
    np.savez(deep, graphs=np.frombuffer(bomb, np.uint8))
    hostile = {
        "pickle in a member": buffer.getvalue(),
        "pickle": plain.getvalue(),
        "member that is no array": other.getvalue(),
        "deep JSON": deep.getvalue(),
        "empty": b"",
        "no archive": b"nonsense",
        "foreign class": rewritten(data, lambda text: text["float"].update({"class": "Popen"})),
        "class by its path": rewritten(data, lambda text: text["float"].update({"class": "os.system"})),
        "wrong fields": rewritten(data, lambda text: text["float"]["fields"].update({"more": 1})),
        "no fields": rewritten(data, lambda text: text["float"].pop("fields")),
        "no such array": rewritten(data, lambda text: text.update({"float": {"array": "a99", "dtype": "int64"}})),
        "no such type": rewritten(data, lambda text: text.update({"float": {"array": "a0", "dtype": "exec"}})),
        **{f"cut at {size}": data[:size] for size in (1, 100, len(data) // 2, len(data) - 1)},
    }
    for kind, content in hostile.items():
        with pytest.raises(ValueError, match="not a stored network: "):
            print(kind, store.load(content))
    assert not (tmp_path / "marker").exists()
    # Else the pickles prove nothing.
    np.load(io.BytesIO(plain.getvalue()), allow_pickle=True)
    assert (tmp_path / "marker").exists()


def test_damaged_bytes_never_get_through(compiled: Compiled) -> None:
    data = store.dump(graphs(compiled))
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 4):
            damaged[place] ^= int(rng.integers(1, 256))
        try:
            loaded = store.load(bytes(damaged))
        except ValueError:
            refused += 1
        else:
            # Bytes of the zip file that say nothing of its contents, like a date.
            assert equal(loaded["integer"], compiled.graph)
    assert refused > 40
