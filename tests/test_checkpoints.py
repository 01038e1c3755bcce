"""Checkpoints as training scripts leave them: the weights are found among what else there is, or it is told why not."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import mistakes, succeed
from safetensors.torch import save
from torch import Tensor, nn

import cnn2rtl
from cnn2rtl.errors import Notice, UserError
from cnn2rtl.frontend import load_model

NET = """
import torch
from torch import nn

def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))

class Parts(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.head = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()), nn.Linear(144, 2)

    def forward(self, x):
        return self.head(self.features(x))

def compiled():
    return torch.compile(net())

def parallel():
    return nn.DataParallel(net())

one = nn.Conv2d(3, 4, 3)
"""

State = dict[str, Tensor]


def made(name: str = "net", seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    scope: dict[str, Any] = {}
    exec(NET, scope)
    model: nn.Module = scope[name]()
    return model


def state(name: str = "net", seed: int = 1) -> State:
    return dict(made(name, seed).state_dict())


def under(prefix: str, own: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in own.items()}


def inside(first: str, wrapper: str, own: State) -> State:
    """``wrapper`` around one part of the network."""
    return {name.replace(f"{first}.", f"{first}.{wrapper}.", 1): tensor for name, tensor in own.items()}


@pytest.fixture
def arch(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(NET)
    return f"{tmp_path / 'net.py'}:net"


def loaded(content: object, tmp_path: Path, arch: str, key: str = "") -> nn.Module:
    if isinstance(content, bytes):
        (tmp_path / "w.pt").write_bytes(content)
    else:
        torch.save(content, tmp_path / "w.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = load_model(f"{tmp_path / 'w.pt'}{key}", arch)
    assert isinstance(model, nn.Module)
    return model


def same(model: nn.Module, expected: State) -> bool:
    own = model.state_dict()
    return own.keys() == expected.keys() and all(torch.equal(own[name], tensor) for name, tensor in expected.items())


FOUND: dict[str, Callable[[State], object]] = {
    "net": lambda own: {"net": own, "epoch": 3},
    "params": lambda own: {"params": own},
    "model_ema": lambda own: {"model_ema": own, "acc": 91.2},
    "deep": lambda own: {
        "state": {"ema": {"net": own, "decay": 0.99}},
        "optimizer": {"state": {0: {"exp_avg": own["0.bias"]}}},
    },
    "DataParallel": lambda own: under("module.", own),
    "torch.compile": lambda own: under("_orig_mod.", own),
    "Lightning": lambda own: {"state_dict": under("model.", own), "epoch": 1},
    "a prefix of one's own": lambda own: under("my.net.", own),
    "both wrappers": lambda own: {"model": under("module._orig_mod.", own)},
    "compiled layers": lambda own: {"state_dict": under("model.", inside("0", "_orig_mod", own))},
    "a counter": lambda own: {**own, "steps": 3, "best": 0.5, "date": "today"},
    "a counting tensor": lambda own: {**own, "updates": torch.tensor(3)},
    "a profiler": lambda own: {**own, "total_ops": torch.zeros(1), "0.total_ops": torch.zeros(1)},
    "another head": lambda own: {
        **under("net.", own),
        "criterion.weight": torch.ones(2),
        "aux.fc.weight": torch.ones(2, 2),
    },
    "an average without names": lambda own: {"net": own, "ema": {"shadow_params": list(own.values()), "decay": 0.9}},
    "half": lambda own: {"net": {name: t.half() if t.is_floating_point() else t for name, t in own.items()}},
    "sixteen bits": lambda own: {name: t.bfloat16() if t.is_floating_point() else t for name, t in own.items()},
    "safetensors": lambda own: save({name: t.contiguous() for name, t in under("module.", own).items()}),
    "teacher of another kind": lambda own: {"teacher": state("Parts"), "student": own},
}


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str, tmp_path: Path, arch: str) -> None:
    own = {key: t.half().float() if t.is_floating_point() else t for key, t in state().items()}
    if name == "sixteen bits":
        own = {key: t.bfloat16().float() if t.is_floating_point() else t for key, t in own.items()}
    assert same(loaded(FOUND[name](own), tmp_path, arch), own)


@pytest.mark.parametrize("factory", ["compiled", "parallel"])
def test_a_network_that_is_wrapped_itself(factory: str, tmp_path: Path, arch: str) -> None:
    own = state()
    for content in (own, under("module.", own), under("_orig_mod.", own)):
        assert same(loaded(content, tmp_path, arch.replace(":net", f":{factory}")), own)


def test_a_wrapper_around_a_part(tmp_path: Path, arch: str) -> None:
    own = state("Parts")
    assert same(loaded(inside("features", "module", own), tmp_path, arch.replace(":net", ":Parts")), own)


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        (lambda a, b: {"net": a, "ema": b, "epoch": 1}, ("net", "ema")),
        (lambda a, b: {"run": {"student": a, "teacher": b}}, ("run.student", "run.teacher")),
        (
            lambda a, b: {**under("ema_model.", a), **under("online_model.", b), "step": torch.tensor(1)},
            ("ema_model", "online_model"),
        ),
    ],
)
def test_several_sets(
    content: Callable[[State, State], object], labels: tuple[str, str], tmp_path: Path, arch: str
) -> None:
    first, second = state(seed=1), state(seed=2)
    with pytest.raises(UserError) as caught:
        loaded(content(first, second), tmp_path, arch)
    assert f"several sets of weights that fit {arch}: `{labels[0]}`, `{labels[1]}`; say which, like" in str(
        caught.value
    )
    for label, own in zip(labels, (first, second), strict=True):
        assert same(loaded(content(first, second), tmp_path, arch, f":{label}"), own)
    with pytest.raises(UserError, match="holds no weights called `best`; it has `"):
        loaded(content(first, second), tmp_path, arch, ":best")


def test_what_is_passed_over_is_told(tmp_path: Path, arch: str) -> None:
    content = {"teacher": state("Parts"), "net": {**state(), "steps": 3, "aux.weight": torch.ones(2)}}
    torch.save(content, tmp_path / "w.pt")
    with pytest.warns(Notice) as told:
        load_model(tmp_path / "w.pt", arch)
    assert [str(each.message) for each in told] == [
        f"{tmp_path / 'w.pt'}: of `teacher`, `net`, the weights `net` are those that fit {arch}",
        f"{tmp_path / 'w.pt'}: what {arch} does not have is passed over: `aux.weight`, `steps`",
    ]


REFUSED: dict[str, tuple[Callable[[State], object], str]] = {
    "a bias that the network has not": (lambda own: {**own, "3.bias": torch.ones(2)}, "does not have: 3.bias"),
    "a mask without what it masks": (lambda own: {**own, "0.weight_mask": own["0.weight"]}, "have: 0.weight_mask"),
    "one layer more": (lambda own: {**own, "5.weight": torch.ones(2, 2)}, "does not have: 5.weight"),
    "a layer too few": (
        lambda own: {"net": {n: t for n, t in own.items() if n[0] != "4"}},
        "are missing: 4.weight, 4.bias",
    ),
    "another size": (lambda own: under("module.", {**own, "4.bias": torch.ones(9)}), "`4.bias` is 9, but"),
    "whole numbers": (
        lambda own: {**own, "0.weight": own["0.weight"].to(torch.uint8)},
        "`0.weight` holds whole numbers",
    ),
    "complex": (lambda own: {**own, "0.weight": own["0.weight"] + 0j}, "`0.weight` holds complex numbers"),
    "quantised": (
        lambda own: {**own, "0.weight": torch.quantize_per_tensor(own["0.weight"], 0.1, 0, torch.qint8)},
        "`0.weight` holds numbers that torch has quantised",
    ),
    "no weights": (lambda own: {"epoch": 3, "losses": [1.0]}, "holds a dict, neither an nn.Module nor a state_dict"),
    "a damaged file": (lambda own: save({"a": torch.ones(2)})[:-1], "truncated or damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path, arch: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(UserError) as caught:
        loaded(make(state()), tmp_path, arch)
    assert words in str(caught.value)


def test_whole_networks_in_a_checkpoint(tmp_path: Path, arch: str) -> None:
    torch.save({"model": made(), "epoch": 1}, tmp_path / "w.pt")
    model = load_model(tmp_path / "w.pt")
    assert isinstance(model, nn.Module) and same(model, state())
    torch.save({"model": made(), "ema": made(seed=2)}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"holds several networks; say which, like .*w\.pt:model"):
        load_model(tmp_path / "w.pt")
    model = load_model(f"{tmp_path / 'w.pt'}:ema")
    assert isinstance(model, nn.Module) and same(model, state(seed=2))


def test_a_network_of_the_zoo(tmp_path: Path) -> None:
    own = cnn2rtl.zoo.build("zoo:standard_cnn").state_dict()
    torch.save({"model": own}, tmp_path / "w.pt")
    model = load_model(tmp_path / "w.pt", "zoo:standard_cnn")
    assert isinstance(model, nn.Module) and same(model, own)
    lines = mistakes("inspect", tmp_path / "w.pt", "--arch", "zoo:standard", "--input", "3x32x32", cwd=tmp_path)
    assert lines == [f"zoo:standard: there is no such network in the zoo; it has {', '.join(sorted(cnn2rtl.zoo.ZOO))}"]


def test_the_command(tmp_path: Path, arch: str) -> None:
    (tmp_path / "w.safetensors").write_bytes(save(under("module.", state())))
    succeed("inspect", "w.safetensors", "--arch", arch, "--input", "3x8x8", cwd=tmp_path)
    torch.save({"net": state(), "ema": state(seed=2)}, tmp_path / "w.pt")
    succeed("generate", "w.pt:ema", "--arch", arch, "--input", "3x8x8", cwd=tmp_path)
    assert (tmp_path / "w_rtl" / "design.json").is_file()


def test_told_without_torch(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(save(state()))
    program = (
        "import sys, runpy\nsys.modules['torch'] = None\nsys.argv = ['cnn2rtl', 'inspect', 'w.safetensors', '--input', "
        "'3x8x8']\nrunpy.run_module('cnn2rtl', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: w.safetensors: holds weights without a network (a state_dict); say which network"
    )
