"""What torch says reaches nobody as the reason: every failure is told by what the network does, and where."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from command_line import run
from test_capture import Lambda
from torch import Tensor, nn

from cnn2rtl.errors import UserError
from cnn2rtl.foreign import DEBUG, said
from cnn2rtl.frontend import capture

SHAPE = (4, 8, 8)


@dataclasses.dataclass
class Scores:
    values: Tensor


class Layered(nn.Module):
    """``function`` of a layer and of the input."""

    def __init__(self, layer: nn.Module, function: Callable[[nn.Module, Tensor], object]) -> None:
        super().__init__()
        self.layer, self.function = layer, function

    def forward(self, x: Tensor) -> object:
        return self.function(self.layer, x)


class Picky(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != 3:
            raise ValueError("colour pictures, please\nand nothing else")
        return x


class TwoThings(nn.Module):
    def forward(self, x: Tensor, *, scale: float) -> Tensor:
        return x * scale


class Headless(nn.Module):
    pass


class Endless(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self(x)
        return made


class Looping(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        while x.mean() > 0.1:
            x = x / 2
        return x


class Locked(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(4, 2, 1)
        self.lock = threading.Lock()


def series(x: Tensor) -> Tensor:
    """(n, steps, channels)"""
    return x.flatten(2).transpose(1, 2)


def of(layer: nn.Module, function: Callable[[nn.Module, Tensor], object]) -> Callable[[], nn.Module]:
    return lambda: Layered(layer, function)


def computing(function: Callable[[Tensor], object]) -> Callable[[], nn.Module]:
    return lambda: Lambda(function)  # type: ignore[arg-type]


ATTENTION = "`layer` (MultiheadAttention): is not supported; attention is a product of two maps over"
FORWARD = "does not run on a 4x8x8 input: its forward() "
CAPTURED = "cannot be captured: its forward() "

REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "attention": (of(nn.MultiheadAttention(4, 2, batch_first=True), lambda m, x: m(*[series(x)] * 3)[0]), ATTENTION),
    "attention, then a mean": (
        of(nn.MultiheadAttention(4, 2, batch_first=True), lambda m, x: m(*[series(x)] * 3)[0].mean(1)),
        ATTENTION,
    ),
    "attention, steps first": (of(nn.MultiheadAttention(4, 2), lambda m, x: m(*[series(x)] * 3)[0]), ATTENTION),
    "a Transformer": (
        of(nn.Transformer(4, 2, 1, 1, 8, batch_first=True), lambda m, x: m(series(x), series(x))),
        "`layer` (Transformer): is not supported",
    ),
    "a Transformer's layer": (
        of(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), lambda m, x: m(series(x))),
        "`layer` (TransformerEncoderLayer): is not supported",
    ),
    "an LSTM": (
        of(nn.LSTM(4, 5, batch_first=True), lambda m, x: m(series(x))[0]),
        "`layer` (LSTM): is not supported; recurrent layers keep a state",
    ),
    "an LSTM of other width": (
        of(nn.LSTM(3, 5, batch_first=True), lambda m, x: m(series(x))[0]),
        "layer `layer` takes 3 values per step, but gets 4",
    ),
    "an embedding": (
        of(nn.Embedding(256, 3), lambda m, x: m((x[:, 0] * 255).long())),
        "`layer` (Embedding): is not supported; what is looked up by whole numbers",
    ),
    "an embedding of pixels": (of(nn.Embedding(256, 3), lambda m, x: m(x)), "layer `layer` looks up values by whole"),
    "if": (computing(lambda x: x * 2 if x.sum() > 0 else x), f"{CAPTURED}depends on the values of a tensor"),
    "while": (Looping, f"{CAPTURED}depends on the values of a tensor in what it does (test_foreign.py, line "),
    "float()": (computing(lambda x: x * float(x.mean())), f"{CAPTURED}depends on the values of a tensor"),
    "cond": (computing(lambda x: torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,))), "depends on the values of a"),
    "item()": (computing(lambda x: x * x.max().item()), "`item` (item): is not supported; hardware does the same"),
    "numpy": (computing(lambda x: torch.from_numpy(x.numpy() * 2)), f"{CAPTURED}leaves torch for numpy"),
    "a dataclass": (computing(Scores), f"{CAPTURED}returns an object of class `Scores`; let it return a tensor"),
    "nothing": (computing(lambda x: None), "the model's output does not depend on its input"),
    "no forward": (Headless, f"{FORWARD}is missing; give the network that it is a part of"),
    "a list of layers": (lambda: nn.ModuleList([nn.ReLU()]), f"{FORWARD}is missing"),
    "more than an input": (TwoThings, f"{FORWARD}needs 'scale' besides the input"),
    "endless": (Endless, "calls itself without an end (test_foreign.py, line "),
    "its own words": (Picky, f"{FORWARD}raises ValueError: colour pictures, please (test_foreign.py, line "),
    "other channels": (lambda: nn.Sequential(nn.Conv2d(5, 4, 3)), "layer `0` takes 5 channels, but gets 4; is the"),
    "other channels, transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(5, 4, 3)), "layer `0` takes 5 channels"),
    "another vector": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(9, 2)),
        "layer `1` takes 9 values, but gets 256; is the input's size the one that the model was made for?",
    ),
    "another BatchNorm": (lambda: nn.Sequential(nn.BatchNorm2d(5)), "layer `0` takes 5 channels, but gets 4"),
    "a BatchNorm of series": (
        lambda: nn.Sequential(nn.BatchNorm1d(4)),
        "layer `0` takes a tensor of 2D or 3 dimensions",
    ),
    "another LayerNorm": (lambda: nn.Sequential(nn.LayerNorm(9)), "layer `0` normalises tensors that end in (9), but"),
    "too large a window": (lambda: nn.Sequential(nn.Conv2d(4, 4, 11)), "`0` has a window of 11 x 11, for which there"),
    "nothing left": (lambda: nn.Sequential(nn.MaxPool2d(16)), "layer `0` leaves nothing of a map of 4x8x8"),
    "too wide a mirror": (lambda: nn.Sequential(nn.ReflectionPad2d(9)), "`0` has a mirrored border wider than its map"),
    "a join": (computing(lambda x: torch.cat([x, x[:, :, 1:]], 1)), f"{FORWARD}joins maps of different sizes along"),
    "a sum": (computing(lambda x: x + x[:, :, 1:]), f"{FORWARD}combines tensors of different sizes: 8 meets 7 in"),
    "a view": (computing(lambda x: x.view(1, 7)), f"{FORWARD}views 256 values as (1, 7), which do not go together"),
    "a shuffle": (lambda: nn.Sequential(nn.PixelShuffle(3)), "layer `0` moves pixels and channels of a map whose size"),
    "an index": (computing(lambda x: x[:, 9]), f"{FORWARD}takes what is not there out of a tensor"),
    "another series": (lambda: nn.Sequential(nn.Conv3d(4, 4, 1), nn.Conv1d(4, 4, 1)), "layer `0` takes"),
    "halves": (of(nn.Conv2d(4, 2, 1), lambda m, x: m(x.half())), "layer `layer` mixes types of numbers ("),
    "complex weights": (computing(lambda x: F.relu(x * 1j)), "computes with complex numbers"),
    "a spectrum": (computing(lambda x: torch.fft.rfft(x).abs()), "`fft_rfft` (fft_rfft): is not supported; there are"),
    "einsum of maps": (computing(lambda x: torch.einsum("nchw,nchv->ncwv", x, x)), "`einsum` (einsum): is not"),
    "einsum of other sizes": (computing(lambda x: torch.einsum("nchw,hv->ncwv", x, torch.ones(3, 3))), "its equation"),
    "another device": (computing(lambda x: x.to("cuda")), f"{FORWARD}asks for another device than the CPU"),
    "no numbers": (lambda: nn.Sequential(nn.Conv2d(4, 2, 1)).to("meta"), "`0`: has no weights yet (it is on the meta"),
    "no weights": (lambda: nn.Sequential(nn.LazyConv2d(4, 1)), "`0`: has no weights yet (it is lazy); run the model"),
    "a lock": (Locked, "cannot be copied: it has a lock in it; keep what is no part of the network"),
    "TorchScript": (lambda: torch.jit.script(nn.Sequential(nn.ReLU())), "is TorchScript, whose layers cannot be"),
    "quantised": (
        lambda: torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Flatten(), nn.Linear(256, 3)), {nn.Linear}),
        "is quantised by torch itself; give the network in floats",
    ),
    "what has no words here": (computing(lambda x: torch.linalg.cholesky(-x[0])), f"{FORWARD}fails (test_foreign.py"),
}

FOREIGN = re.compile(
    r"RuntimeError|mat1|non-singleton|Expected size|torch\.Size|0x[0-9a-f]{6}|http|Traceback|functorch|\bSym"
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_our_words(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    make, words = REFUSED[name]
    model = make().eval()
    with pytest.raises(UserError) as caught:
        capture(model, SHAPE, "net")
    assert words in str(caught.value)
    assert not FOREIGN.search(str(caught.value)), caught.value
    assert capfd.readouterr() == ("", "")


TAKEN: dict[str, Callable[[], nn.Module]] = {
    "frozen in forward": of(nn.Conv2d(4, 2, 1), lambda m, x: torch.no_grad()(m)(x)),
    "the input changed in place": computing(lambda x: x.add_(1)),
    "a dict": of(nn.Conv2d(4, 2, 1), lambda m, x: {"scores": m(x)}),
    "an autograd function": computing(lambda x: Square.apply(x)),
}


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:  # type: ignore[override]
        return x * x


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str) -> None:
    model = TAKEN[name]().eval()
    image = torch.rand(1, *SHAPE)
    with torch.no_grad():
        made = model(image.clone())
    exact = made["scores"] if isinstance(made, dict) else made
    found = capture(model, SHAPE, "net").forward(image.double().permute(0, 2, 3, 1).numpy()).transpose(0, 3, 1, 2)
    torch.testing.assert_close(torch.from_numpy(found).float(), exact)


def test_an_assertion_without_words(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        assert x.shape[1] == 4\n"
    )
    assert run("inspect", "net.py:Net", "--input", "3x8x8", cwd=tmp_path).err == (
        "error: the model does not run on a 3x8x8 input: its forward() demands what is not so: assert x.shape[1] == 4 "
        "(net.py, line 4)\n"
    )


def test_who_looks_for_a_fault_is_shown_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n"
        "        return torch.linalg.cholesky(-x[0])\n"
    )
    arguments = ("inspect", "net.py:Net", "--input", "3x8x8")
    quiet = run(*arguments, cwd=tmp_path)
    assert quiet.code == 2 and quiet.err == (
        "error: the model does not run on a 3x8x8 input: its forward() fails (net.py, line 5); --debug shows in whose "
        "words\n"
    )
    assert "linalg.cholesky: (Batch element 0)" in run(*arguments, "--debug", cwd=tmp_path).err
    monkeypatch.setenv(DEBUG, "1")
    assert "linalg.cholesky: (Batch element 0)" in run(*arguments, cwd=tmp_path).err
    assert said(RuntimeError("of its own\nand more")) == "fails (RuntimeError: of its own)"
