"""Model files: every kind is read for what it holds, none runs code, and every fault is one clear message."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from models import need_data, randomised
from torch import nn
from torch.export import ExportedProgram

from cnn2rtl.errors import UserError
from cnn2rtl.finite import REMEDY
from cnn2rtl.frontend import capture, load_model

ARCH = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())

def factory():
    return Net()

def needs(width):
    return nn.Conv2d(3, width, 1)

def broken():
    raise RuntimeError("no such luck")

def number():
    return 3

made = Net()
CONSTANT = 7
"""


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return randomised(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()))


def exported(model: nn.Module | None = None, **kwargs: Any) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(model or small(), (torch.randn(2, 3, 6, 6),), **kwargs), buffer)
    return buffer.getvalue()


@pytest.fixture
def arch(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(ARCH)
    return str(tmp_path / "net.py")


def refusal(path: Path, arch: str | None = None, trust_pickle: bool = False) -> str:
    with pytest.raises(UserError) as caught:
        load_model(path, arch, trust_pickle)
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


def same_weights(model: object, expected: nn.Module) -> bool:
    state = model.state_dict if isinstance(model, ExportedProgram) else model.state_dict()  # type: ignore[attr-defined]
    return all(torch.equal(state[name], value) for name, value in expected.state_dict().items())


# What is read


@pytest.mark.parametrize("suffix", [".pt2", ".pt", ".bin"])
def test_export_archive_under_any_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(exported())
    program = load_model(path)
    assert isinstance(program, ExportedProgram) and same_weights(program, small())
    assert capture(program, (3, 6, 6), "net").output == "2"


def test_pickled_module(tmp_path: Path) -> None:
    model = nn.Sequential(OrderedDict(first=small(), flatten=nn.Flatten(), fc=nn.Linear(64, 2), drop=nn.Dropout()))
    torch.save(model, tmp_path / "model.pt2")
    loaded = load_model(tmp_path / "model.pt2")
    assert isinstance(loaded, nn.Sequential) and same_weights(loaded, model)


def test_pickled_module_in_the_old_format_needs_trust(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(saved(small(), legacy=True))
    assert "a whole nn.Module in the format that torch wrote before 1.6" in refusal(tmp_path / "model.pt")
    assert same_weights(load_model(tmp_path / "model.pt", trust_pickle=True), small())


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", ["Net", "factory", "made"])
def test_state_dict(tmp_path: Path, arch: str, name: str, legacy: bool) -> None:
    torch.save(small().state_dict(), tmp_path / "w.bin", _use_new_zipfile_serialization=not legacy)
    model = load_model(tmp_path / "w.bin", f"{arch}:{name}")
    assert type(model).__name__ == "Net" and same_weights(model, small())


@pytest.mark.parametrize("wrap", ["state_dict", "model_state_dict", "model", "DataParallel"])
def test_checkpoints(tmp_path: Path, arch: str, wrap: str) -> None:
    state = dict(small().state_dict())
    content: dict[str, Any] = {"epoch": 3, wrap: state, "optimizer": {"lr": 0.1}}
    if wrap == "DataParallel":
        content = {f"module.{name}": value for name, value in state.items()}
    torch.save(content, tmp_path / "w.pt")
    assert same_weights(load_model(tmp_path / "w.pt", f"{arch}:Net"), small())


def test_state_dict_without_batch_counters(tmp_path: Path, arch: str) -> None:
    state = {name: value for name, value in small().state_dict().items() if "num_batches" not in name}
    torch.save(state, tmp_path / "w.pt")
    load_model(tmp_path / "w.pt", f"{arch}:Net")


def test_archives_of_ordinary_kinds_pass_the_checks(tmp_path: Path) -> None:
    class Net(nn.Module):
        mean: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.net = small()
            self.register_buffer("mean", torch.rand(1, 3, 1, 1), persistent=False)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            y = self.net((x - self.mean) / torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1))
            return {"out": y.view(x.shape[0], 4, -1)}

    dynamic = ({0: torch.export.Dim("batch")},)
    for i, (content, nodes) in enumerate(
        [
            (exported(Net().eval()), 6),
            (exported(Net().eval(), dynamic_shapes=dynamic), 6),
            (exported(nn.Conv2d(3, 2, (2, 3), padding="same")), 2),
        ]
    ):
        (tmp_path / f"{i}.pt2").write_bytes(content)
        assert len(capture(load_model(tmp_path / f"{i}.pt2"), None, "net").nodes) == nodes


def test_shared_student(tmp_path: Path) -> None:
    path = need_data("studentnet/student_custom_small.bin")
    source = Path(__file__).with_name("models.py")
    model = load_model(path, f"{source}:StudentNet")
    assert isinstance(model, nn.Module) and sum(p.numel() for p in model.parameters()) == 256_779
    assert "holds weights without a network (a state_dict)" in refusal(path)
    graph = capture(model, (3, 128, 128), "student")
    with torch.no_grad():
        x = torch.rand(1, 3, 128, 128)
        expected = model.eval()(x).numpy()
    actual = graph.forward(x.double().numpy().transpose(0, 2, 3, 1))[:, 0, 0]
    assert abs(actual - expected).max() <= 1e-4 * abs(expected).max()


# What never runs


class Evil:
    """Unpickling it writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return exec, (f"open({str(self.marker)!r}, 'w').close()",)


def rewritten(archive: bytes, records: dict[str, bytes]) -> bytes:
    """The zip ``archive`` with records (named without its top folder) replaced or added."""
    source, target = zipfile.ZipFile(io.BytesIO(archive)), io.BytesIO()
    top = source.namelist()[0].partition("/")[0]
    contents = {name: source.read(name) for name in source.namelist()}
    contents.update({f"{top}/{name}": content for name, content in records.items()})
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as out:
        for name, content in contents.items():
            out.writestr(name, content)
    return target.getvalue()


def saved(value: object, legacy: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".pt", ".pt2", ".bin"])
@pytest.mark.parametrize("kind", ["zip", "legacy", "plain", "in a module", "in a state_dict"])
def test_malicious_pickle_never_runs(tmp_path: Path, kind: str, suffix: str) -> None:
    evil = Evil(tmp_path / "marker")
    module = nn.Sequential(nn.ReLU())
    module.payload = evil  # type: ignore[assignment]
    path = tmp_path / f"model{suffix}"
    path.write_bytes(
        {
            "zip": lambda: saved(evil),
            "legacy": lambda: saved(evil, legacy=True),
            "plain": lambda: pickle.dumps(evil),
            "in a module": lambda: saved(module),
            "in a state_dict": lambda: saved({"weight": torch.zeros(1), "x": evil}),
        }[kind]()
    )
    message = refusal(path)
    assert not (tmp_path / "marker").exists()
    if kind == "plain":
        assert "a Python pickle that torch.save did not write" in message
    else:
        assert "exec`" in message and '`arch="FILE.py:NAME"`' in message
        assert "torch.export.save" in message and "`trust_pickle=True`" in message


class Custom(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_layers_that_are_refused_anyway_are_told_at_once(tmp_path: Path) -> None:
    torch.save(nn.Sequential(Custom(), nn.LSTM(4, 5), nn.ReLU()), tmp_path / "model.pt")
    pickled, layers = refusal(tmp_path / "model.pt").splitlines()
    assert f"`{Custom.__module__}.Custom`" in pickled
    assert "its `LSTM` is not supported in any file: recurrent layers keep a state" in layers


def test_foreign_classes_are_named_and_trust_is_explicit(tmp_path: Path) -> None:
    torch.save(nn.Sequential(Custom(), nn.ReLU()), tmp_path / "model.pt")
    assert f"`{Custom.__module__}.Custom`" in refusal(tmp_path / "model.pt")
    assert isinstance(load_model(tmp_path / "model.pt", trust_pickle=True), nn.Sequential)
    torch.save(Custom(), tmp_path / "model.pt")
    content = (tmp_path / "model.pt").read_bytes().replace(b"Custom", b"Absent")
    (tmp_path / "model.pt").write_bytes(content)
    assert "the network's own Python code is not at hand" in refusal(tmp_path / "model.pt", trust_pickle=True)


def program_of(archive: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        (name,) = (name for name in source.namelist() if name.endswith("models/model.json"))
        content: dict[str, Any] = json.loads(source.read(name))
    return content


def with_program(archive: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    program = program_of(archive)
    change(program)
    return rewritten(archive, {"models/model.json": json.dumps(program).encode()})


def pickled_weight(archive: bytes, payload: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        (name,) = (name for name in source.namelist() if name.endswith("model_weights_config.json"))
        config = json.loads(source.read(name))
    next(iter(config["config"].values()))["use_pickle"] = True
    records = {"data/weights/model_weights_config.json": json.dumps(config).encode(), "data/weights/weight_0": payload}
    return rewritten(archive, records)


def attacks(marker: Path) -> dict[str, tuple[bytes, str, bool]]:
    """Archives, what the refusal says, and whether ``torch.export.load`` itself falls for them."""
    archive = exported()
    evil = saved(Evil(marker))
    code = f"open({str(marker)!r}, 'w').close()"

    def size(program: dict[str, Any]) -> None:
        graph = program["graph_module"]["graph"]
        graph["tensor_values"]["conv2d"]["sizes"][0] = {"as_expr": {"expr_str": code, "hint": None}}

    def hidden_size(program: dict[str, Any]) -> None:
        # Under a name that is free text elsewhere.
        graph = program["graph_module"]["graph"]
        graph["tensor_values"]["metadata"] = graph["tensor_values"].pop("conv2d")
        graph["tensor_values"]["metadata"]["sizes"][0] = {"as_expr": {"expr_str": code, "hint": None}}
        graph["nodes"][0]["name"] = graph["nodes"][0]["outputs"][0]["as_tensor"]["name"] = "metadata"
        graph["nodes"][1]["inputs"][0]["arg"]["as_tensor"]["name"] = "metadata"

    def source_code(program: dict[str, Any]) -> None:
        graph, bad = program["graph_module"]["graph"], f"input={code}"
        graph["inputs"][-1]["as_tensor"]["name"] = bad
        graph["tensor_values"][bad] = graph["tensor_values"].pop("input")
        graph["nodes"][0]["inputs"][0]["arg"]["as_tensor"]["name"] = bad
        program["graph_module"]["signature"]["input_specs"][-1]["user_input"]["arg"]["as_tensor"]["name"] = bad

    def target(name: str) -> Callable[[dict[str, Any]], None]:
        return lambda program: program["graph_module"]["graph"]["nodes"][0].update(target=name)

    def tree(context: str, kind: str) -> Callable[[dict[str, Any]], None]:
        spec = json.dumps([1, {"type": kind, "context": context, "children_spec": []}])
        return lambda program: program["graph_module"]["module_call_graph"][0]["signature"].update(in_spec=spec)

    def nested(program: dict[str, Any]) -> None:
        argument = {"name": "", "arg": {"as_graph": {"name": "g", "graph": {}}}, "kind": 1}
        program["graph_module"]["graph"]["nodes"][0]["inputs"].append(argument)

    by_import = '{"__en\\u0075m__": true, "fqn": "antigravity:x", "name": "y"}'
    factory = '{"default_factory_module": "antigravity", "default_factory_name": "x", "dict_context": []}'
    return {
        "inputs": (rewritten(archive, {"data/sample_inputs/model.pt": evil}), "a pickle of more than tensors", True),
        "old weights": (rewritten(archive, {"data/weights/model.pt": evil}), "a pickle of more than tensors", True),
        "weight": (pickled_weight(archive, evil), "holds `0.weight` as a pickle", True),
        "object": (rewritten(archive, {"data/constants/opaque_obj_0": evil}), "pickled or compiled code", False),
        "library": (rewritten(archive, {"data/aotinductor/m/m.so": b"\x7fELF"}), "pickled or compiled code", False),
        "second model": (rewritten(archive, {"models/other.json": b"{}"}), "pickled or compiled code", False),
        "size": (with_program(archive, size), "as a tensor's size", True),
        "hidden size": (with_program(archive, hidden_size), "as a tensor's size", True),
        "name": (with_program(archive, source_code), "holds the malformed name|as a value's name", True),
        "function": (with_program(archive, target("torch.hub.load")), "calls `torch.hub.load`", False),
        "operator": (with_program(archive, target("torch.ops.mine.op.default")), "calls `torch.ops.mine", False),
        "import": (with_program(archive, tree(by_import, "builtins.dict")), "more than tensors", False),
        "default": (with_program(archive, tree(factory, "collections.defaultdict")), "more than tensors", False),
        "nested": (with_program(archive, nested), "holds a nested program", False),
        "guards": (with_program(archive, lambda p: p.update(guards_code=[code])), "Python code to check", False),
        "text": (with_program(archive, lambda p: p.update(torch_version="a b")), "holds 'a b' as its", False),
    }


def test_malicious_archives_never_run(tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "model.pt2"
    for name, (content, expected, real) in attacks(marker).items():
        path.write_bytes(content)
        message = refusal(path)
        assert not marker.exists(), name
        assert any(part in message for part in expected.split("|")), (name, message)
        assert "`trust_pickle=True`" in message
        if real:
            # Else the archive proves nothing.
            with contextlib.suppress(Exception):
                torch.export.load(io.BytesIO(content))
            assert marker.exists(), name
            marker.unlink()


def test_archive_in_the_format_before_torch_2_8(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with zipfile.ZipFile(tmp_path / "old.pt2", "w") as archive:
        archive.writestr("version", "8.8")
        for name in ("exported_program.json", "state_dict.pt", "constants.pt", "example_inputs.pt"):
            archive.writestr(f"serialized_{name}", saved(Evil(marker)))
    assert "of a format that torch wrote before 2.8" in refusal(tmp_path / "old.pt2")
    assert not marker.exists()


# What is wrong with a file


def test_files_that_are_no_models(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.pt") == f"{tmp_path / 'no.pt'}: no such file"
    assert "is a folder; a model file is expected" in refusal(tmp_path)
    path = tmp_path / "model.pt"
    path.write_bytes(b"")
    assert "the file is empty" in refusal(path)
    for content in (b"hello world" * 50, b"\x08\x07\x12\x07nothing", b"\x89PNG\r\n"):
        path.write_bytes(content)
        assert "not a PyTorch file" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/readme.txt", "hello")
    assert "a zip file, but none that torch.save or torch.export.save writes" in refusal(path)
    torch.jit.save(torch.jit.script(nn.ReLU()), path)
    assert "holds TorchScript, which is not read" in refusal(path)
    for value in (torch.zeros(3), [1, 2], {"a": 1}, {}):
        path.write_bytes(saved(value))
        assert "neither an nn.Module nor a state_dict" in refusal(path)


def files() -> dict[str, bytes]:
    return {"archive": exported(), "zip": saved(small()), "legacy": saved(small().state_dict(), legacy=True)}


@pytest.mark.parametrize("kind", ["archive", "zip", "legacy"])
@pytest.mark.parametrize("part", [0.0, 0.02, 0.3, 0.7, 0.99])
def test_truncated_files(tmp_path: Path, kind: str, part: float) -> None:
    content = files()[kind]
    (tmp_path / "model.pt").write_bytes(content[: max(12, int(len(content) * part))])
    message = refusal(tmp_path / "model.pt")
    assert "truncated or damaged" in message


@pytest.mark.parametrize("kind", ["archive", "zip", "legacy"])
def test_damaged_files_never_give_a_traceback(tmp_path: Path, kind: str) -> None:
    content = files()[kind]
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        damaged = bytearray(content)
        for _ in range(20):
            damaged[int(torch.randint(len(content), (1,), generator=generator))] ^= 0xFF
        (tmp_path / "model.pt").write_bytes(damaged)
        # Whatever the damage: either it is harmless, or it is refused in words.
        with contextlib.suppress(UserError):
            load_model(tmp_path / "model.pt")


# The architecture


def test_architecture_mistakes(tmp_path: Path, arch: str) -> None:
    path = tmp_path / "w.pt"
    torch.save(small().state_dict(), path)

    def of(name: str) -> str:
        return refusal(path, name)

    assert 'say which network with `arch="FILE.py:NAME"`' in refusal(path)
    for bad in ("net.py", "net.py:", ":Net", "net.py:a b"):
        assert of(bad) == f"`arch={bad}`: expected FILE.py:NAME, for instance student.py:StudentNet"
    assert "absent.py: no such file" in of(f"{tmp_path / 'absent.py'}:Net")
    assert "is not a Python file" in of(f"{path}:Net")
    assert "does not define `Nat`; it defines Net, factory, broken, number, made" in of(f"{arch}:Nat")
    assert "`CONSTANT` is a int, neither a class nor a factory" in of(f"{arch}:CONSTANT")
    assert "calling needs() failed: TypeError: needs() missing 1 required" in of(f"{arch}:needs")
    assert "calling broken() failed: RuntimeError: no such luck (line 16)" in of(f"{arch}:broken")
    assert "number() gives a int, not an nn.Module" in of(f"{arch}:number")
    for text, expected in (
        ("x = 1\nimport no_such_module", "ModuleNotFoundError: No module named 'no_such_module' (line 2)"),
        ("def", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ):
        (tmp_path / "bad.py").write_text(text)
        message = of(f"{tmp_path / 'bad.py'}:Net")
        assert f"running {tmp_path / 'bad.py'} failed: " in message and expected in message


def test_architecture_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_net.py").write_text(ARCH)
    (tmp_path / "main.py").write_text("from neighbour_of_net import Net")
    torch.save(small().state_dict(), tmp_path / "w.pt")
    load_model(tmp_path / "w.pt", f"{tmp_path / 'main.py'}:Net")


def test_state_dict_of_another_architecture(tmp_path: Path, arch: str) -> None:
    state = dict(small().state_dict())
    del state["0.bias"], state["1.running_var"]
    state["extra.weight"] = torch.zeros(2)
    state["0.weight"] = torch.zeros(8, 3, 3, 3)
    state["1.bias"] = torch.tensor(0.0)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(UserError) as caught:
        load_model(tmp_path / "w.pt", f"{arch}:Net")
    name, net = tmp_path / "w.pt", f"{arch}:Net"
    assert list(caught.value.problems) == [
        f"{name}: weights that {net} needs are missing: 0.bias, 1.running_var",
        f"{name}: holds weights that {net} does not have: extra.weight",
        f"{name}: `0.weight` is 8x3x3x3, but {net} has 4x3x3x3",
        f"{name}: `1.bias` is a scalar, but {net} has 4",
    ]


def test_architecture_beside_a_whole_network(tmp_path: Path, arch: str) -> None:
    (tmp_path / "model.pt").write_bytes(saved(small()))
    assert "holds a whole nn.Module, network included; leave out `arch=" in refusal(
        tmp_path / "model.pt", f"{arch}:Net"
    )
    (tmp_path / "model.pt").write_bytes(exported())
    assert "holds a torch.export archive, network included" in refusal(tmp_path / "model.pt", f"{arch}:Net")


@pytest.mark.parametrize("kind", ["archive", "module", "state_dict"])
def test_weights_that_are_not_finite(tmp_path: Path, arch: str, kind: str) -> None:
    model = small()
    model.state_dict()["0.weight"][0, 0, 0] = torch.nan
    model.state_dict()["1.running_var"][2] = torch.inf
    (tmp_path / "m.pt").write_bytes(
        exported(model) if kind == "archive" else saved(model if kind == "module" else model.state_dict())
    )
    with pytest.raises(UserError) as caught:
        load_model(tmp_path / "m.pt", f"{arch}:Net" if kind == "state_dict" else None)
    assert list(caught.value.problems) == [
        f"{tmp_path / 'm.pt'}: `0.weight`: 3 of 108 values are NaN or infinite; {REMEDY}",
        f"{tmp_path / 'm.pt'}: `1.running_var`: 1 of 4 values are NaN or infinite; {REMEDY}",
    ]


def test_reading_is_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> None:
    (tmp_path / "m.pt").write_bytes(exported())
    capture(load_model(tmp_path / "m.pt"), None, "net")
    (tmp_path / "m.pt").write_bytes(exported()[:3000])
    refusal(tmp_path / "m.pt")
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
