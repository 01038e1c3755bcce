"""What somebody may have meant: files of other tools, names of networks, sizes in another order."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch
from command_line import EXAMPLE, mistakes
from torch import nn

from cnn2rtl.errors import UserError
from cnn2rtl.frontend.content import content_of, read_file

KERAS = "as ONNX with tf2onnx"


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return buffer.getvalue()


OTHERS: dict[str, tuple[str, bytes, str]] = {
    "Keras, old": (
        "model.pt",
        b"\x89HDF\r\n\x1a\n" + bytes(9),
        "is HDF5, as Keras writes (.h5); export the network " + KERAS,
    ),
    "Keras": ("m.keras", zipped("metadata.json", "config.json", "model.weights.h5"), "is a Keras file"),
    "TensorFlow Lite": ("model.bin", b"\x1c\0\0\0TFL3" + bytes(9), "is TensorFlow Lite; "),
    "TensorFlow": ("model.pb", b"\x08\x01\x12" + bytes(9), "is TensorFlow; export"),
    "Core ML": ("model.mlmodel", b"\x08\x04\x12" + bytes(9), "is Core ML; give"),
    "ONNX by another name": ("model.bin", b"\x08\x08\x12\x07pytorch" + bytes(9), "looks like ONNX; call it model.onnx"),
    "TorchScript": (
        "m.pt",
        zipped("m/data.pkl", "m/constants.pkl", "m/code/x.py"),
        "holds TorchScript, which is not read",
    ),
    "a pointer": ("m.pt", b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
    "a web page": ("m.pt", b"<!DOCTYPE html><html>", "is a web page"),
    "Python": ("net.py", b"class _Base: ...\nclass Net: ...\ndef make(): ...\n", "say which network in it, like "),
}


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_other_tools(name: str, tmp_path: Path) -> None:
    file, data, words = OTHERS[name]
    with pytest.raises(UserError) as caught:
        content_of(tmp_path / file, data)
    assert words.removeprefix("is ") in str(caught.value)


def test_python_tells_its_networks(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("raise SystemExit\nclass _Base: ...\nclass Net: ...\n")
    assert mistakes("inspect", "net.py", "--input", "3x8x8", cwd=tmp_path) == [
        "net.py: is Python; say which network in it, like net.py:Net; it defines Net"
    ]


def test_a_folder_of_another_tool(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(UserError, match="is a SavedModel of TensorFlow's"):
        read_file(tmp_path)


def test_names_of_networks(tmp_path: Path) -> None:
    (said,) = mistakes("inspect", "resnet18", "--input", "3x8x8", cwd=tmp_path)
    assert said == (
        "resnet18: no such file; to bring a network that Python knows, write a file net.py with the line "
        "`from torchvision.models import resnet18`, and give net.py:resnet18, or weights of it with "
        "--arch net.py:resnet18"
    )
    (said,) = mistakes("inspect", "student_net", "--input", "3x8x8", cwd=tmp_path)
    assert said == "student_net: no such file; the network of the zoo is zoo:student_net"


def test_channels_last(tmp_path: Path) -> None:
    torch.save(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)), tmp_path / "m.pt")
    (said,) = mistakes("inspect", "m.pt", "--input", "32x32x3", cwd=tmp_path)
    assert said.endswith("It runs on --input 3x32x32: channels come first")
    (said,) = mistakes("inspect", "m.pt", "--input", "4x32x32", cwd=tmp_path)
    assert "It runs on" not in said


@pytest.mark.parametrize("name", ["out.pt2", "out.onnx", "out.PT"])
def test_a_folder_is_not_a_model(name: str, tmp_path: Path) -> None:
    said = mistakes("generate", EXAMPLE / "digits.pt", "-o", name, cwd=tmp_path)
    assert said[0] == f"-o {name}: is to be a folder, not a model file; give another name, like out"


def test_candidates_of_a_file(tmp_path: Path) -> None:
    """Networks and what is called without arguments; nothing that needs some, and private ones last."""
    (tmp_path / "net.py").write_text(
        "from torch import nn\nclass _Block(nn.Module): ...\nclass Config: ...\nclass Wide(nn.Module):\n"
        "    def __init__(self, width): super().__init__()\ndef small(): return nn.ReLU()\ndef number(): return 3\n"
        "def build(width): return nn.ReLU()\nready = nn.ReLU()\n"
    )
    torch.save(nn.Conv2d(3, 2, 1).state_dict(), tmp_path / "w.pt")
    for name in ("Missing", "Wide", "build", "number"):
        (said,) = mistakes("inspect", "w.pt", "--arch", f"net.py:{name}", "--input", "3x8x8", cwd=tmp_path)
        others = [each for each in ("small", "number", "ready", "_Block") if each != name]
        assert said.endswith(f"; it defines {', '.join(others)}")
