"""Damaged and hostile files for every reader: what comes back is a result or a refusal in words.

    python tools/fuzz_readers.py --inputs 20000 [--kind onnx --from 0]

Each input is a small sound file, changed by a generator that starts from the input's number: bytes, members of
archives, fields of ONNX messages, values of JSON. It goes through the reader, and what is read on through the line as
far as the golden model. Anything but a result or :class:`cnn2rtl.UserError` is a finding, and so are more than 20
seconds of processor time, more than 4 GB of memory, files outside the folder, and the end of the process. A finding is
made again by its kind and number:

    python tools/fuzz_readers.py --kind onnx --from 4711 --inputs 1
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SECONDS, MEMORY = 20, 4 << 30
"""For one input."""

LEAST_MEMORY = 24 << 30
"""Of addresses, which torch takes a lot of without using them: what stops a process before the machine is full."""

BATCH = 250
"""Inputs for which a process is forked."""


@dataclass(frozen=True)
class Kind:
    """Files of one kind: sound ``seeds`` by their names, how to ``change`` one, and who is to ``read`` it.

    ``share`` of all inputs are of this kind.
    """

    seeds: Callable[[Path], dict[str, bytes]]
    change: Callable[[random.Random, str, bytes], bytes]
    read: Callable[[Path, Path], object]
    share: float


# ---------------------------------------------------------------------------------------------------------- changes

ODD_BYTES = (0, 1, 0x7F, 0x80, 0xFF, 0x20, 0x22, 0x27, 0x2F, 0x5C)


def changed_bytes(rng: random.Random, data: bytes) -> bytes:
    """A few bytes set, taken away, doubled or moved."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at, length = rng.randrange(len(made) + 1), rng.choice((1, 1, 2, 4, 8, 64))
        match rng.randrange(7):
            case 0:
                made[at : at + length] = bytes(rng.choice(ODD_BYTES) for _ in range(length))
            case 1:
                made[at : at + 1] = bytes([rng.randrange(256)])
            case 2:
                del made[at : at + length]
            case 3:
                made[at:at] = made[at : at + length]
            case 4:
                del made[at:]
            case 5:
                made[at : at + 8] = struct.pack("<q", rng.choice((-1, 0, 1 << 31, 1 << 40, (1 << 63) - 1, -(1 << 63))))
            case _:
                other = rng.randrange(len(made) + 1)
                made[at : at + length] = made[other : other + length]
    return bytes(made)


def changed_zip(rng: random.Random, data: bytes) -> bytes:
    """A zip file with one member changed, renamed, left out or doubled, its check sums right."""
    if rng.random() < 0.2:
        return changed_bytes(rng, data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    number = rng.randrange(len(members))
    name, content = members[number]
    match rng.randrange(6):
        case 0:
            members[number] = (rng.choice(("../out.txt", "/out.txt", name + "x", "", "a" * 300)), content)
        case 1:
            del members[number]
        case 2:
            members.append((name, changed_bytes(rng, content)))
        case 3 if name.endswith(".json"):
            members[number] = (name, changed_json(rng, content))
        case _:
            members[number] = (name, changed_bytes(rng, content))
    made = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w") as archive:
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name or "empty"), content)
    return made.getvalue()


ODD_VALUES: tuple[Any, ...] = (
    None, True, 0, 1, -1, 2, 7, 1 << 15, 1 << 31, 1 << 70, -(1 << 63), 0.5, -1.5, 1e308, 1e-308, "", "x", "../../x",
    "input", "a" * 5000, "\0", [], [0], [[[]]], [1, 2, 3], {}, {"a": 1}, float("nan"), float("inf"),
)  # fmt: skip


def changed_json(rng: random.Random, data: bytes) -> bytes:
    """JSON with some value replaced, left out, doubled or swapped with another."""
    if rng.random() < 0.1:
        return changed_bytes(rng, data)
    try:
        content = json.loads(data)
    except ValueError:
        return changed_bytes(rng, data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        places = list(_places(content))
        if not places:
            break
        holder, key = rng.choice(places)
        match rng.randrange(5):
            case 0 if isinstance(holder, dict):
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.insert(key, holder[key])
            case 2:
                other, name = rng.choice(places)
                holder[key] = json.loads(json.dumps(other[name]))
            case 3 if isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool):
                holder[key] += rng.choice((-1, 1, 1000, 0.25))
            case _:
                holder[key] = rng.choice(ODD_VALUES)
    return json.dumps(content).encode()


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(pairs):
        yield content, key
        yield from _places(value)


def changed_onnx(rng: random.Random, data: bytes) -> bytes:
    """An ONNX message with some fields changed; now and then its bytes."""
    if rng.random() < 0.2:
        return changed_bytes(rng, data)
    import onnx

    model = onnx.load_model_from_string(data)
    kinds = sorted({schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""})
    for _ in range(rng.choice((1, 1, 2, 3))):
        graph = model.graph
        if not graph.node:
            break
        node = rng.choice(graph.node)
        number = rng.choice((-(1 << 63), -5, -1, 0, 1, 2, 3, 7, 255, 1 << 20, 1 << 31, (1 << 63) - 1))
        match rng.randrange(12):
            case 0:
                node.op_type = rng.choice(kinds)
            case 1 if node.attribute:
                attribute = rng.choice(node.attribute)
                if attribute.ints:
                    attribute.ints[rng.randrange(len(attribute.ints))] = number
                    if rng.random() < 0.3:
                        attribute.ints.append(number)
                else:
                    attribute.i = number
            case 2 if node.attribute:
                rng.choice(node.attribute).name = rng.choice(("axis", "pads", "group", "mode", "nothing"))
            case 3 if node.input:
                names = [name for other in graph.node for name in other.output] + [
                    one.name for one in graph.initializer
                ]
                node.input[rng.randrange(len(node.input))] = rng.choice([*names, "", "nowhere"])
            case 4 if graph.initializer:
                tensor = rng.choice(graph.initializer)
                if tensor.dims:
                    tensor.dims[rng.randrange(len(tensor.dims))] = number
            case 5 if graph.initializer:
                tensor = rng.choice(graph.initializer)
                tensor.raw_data = changed_bytes(rng, tensor.raw_data or b"\0")
            case 6 if graph.initializer:
                rng.choice(graph.initializer).data_type = rng.randrange(30)
            case 7:
                dims = graph.input[0].type.tensor_type.shape.dim
                if dims:
                    rng.choice(dims).dim_value = number
            case 8:
                graph.node.remove(node)
            case 9:
                graph.node.add().CopyFrom(node)
            case 10:
                rng.choice(model.opset_import).version = rng.choice((0, 1, 6, 7, 9, 11, 13, 18, 22, 99, 1 << 40))
            case _:
                name = rng.choice(("", "a/b", "../x", "\n", "x" * 4000, "forward", "input"))
                node.name = name
                if rng.random() < 0.3 and node.output:
                    node.output[0] = name
    return model.SerializeToString()


def any_bytes(rng: random.Random, name: str, data: bytes) -> bytes:
    return changed_bytes(rng, data)


# ------------------------------------------------------------------------------------------------------------ kinds


def _net() -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, groups=4),
        nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    ).eval()  # fmt: skip


NET_PY = "from torch import nn\n\n\ndef net():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())\n"


def torch_seeds(folder: Path) -> dict[str, bytes]:
    import torch

    made = {}
    for name, saved, legacy in (("new.pt", _net(), False), ("old.pth", _small().state_dict(), True)):
        buffer = io.BytesIO()
        torch.save(saved, buffer, _use_new_zipfile_serialization=not legacy)
        made[name] = buffer.getvalue()
    buffer = io.BytesIO()
    torch.save(
        {"state_dict": {f"module.{key}": value for key, value in _small().state_dict().items()}, "epoch": 3}, buffer
    )
    made["weights.pth"] = buffer.getvalue()
    return made


def _small() -> Any:
    from torch import nn

    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())


def program_seeds(folder: Path) -> dict[str, bytes]:
    import torch

    buffer = io.BytesIO()
    torch.export.save(torch.export.export(_net(), (torch.rand(1, 3, 6, 6),)), buffer)
    return {"net.pt2": buffer.getvalue()}


def zipped(rng: random.Random, name: str, data: bytes) -> bytes:
    return changed_zip(rng, data) if data[:2] == b"PK" else changed_bytes(rng, data)


def read_model(file: Path, out: Path) -> object:
    """Through the door, and on as far as a design: calibration on noise runs the network, in reals and in integers."""
    from cnn2rtl import compile

    arch = f"{file.parent / 'net.py'}:net" if file.suffix == ".pth" else None
    example = None if file.suffix in (".pt2", ".onnx") else (3, 6, 6)
    return compile(file, example=example, arch=arch)


def onnx_seeds(folder: Path) -> dict[str, bytes]:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)

    def stored(name: str, *shape: int) -> Any:
        return numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)

    node = helper.make_node
    nodes = [
        node("Conv", ["x", "W", "B"], ["a"], "conv", pads=[1, 1, 1, 1], strides=[1, 1], group=1),
        node("Clip", ["a", "low", "high"], ["b"], "clip"),
        node("MaxPool", ["b"], ["c"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Transpose", ["c"], ["d"], "turn", perm=[0, 1, 2, 3]),
        node("Resize", ["d", "", "scales"], ["e"], "grow", mode="nearest"),
        node("Concat", ["e", "b"], ["f"], "join", axis=1),
        node("Shape", ["f"], ["s"], "shape"),
        node("Gather", ["s", "zero"], ["n"], "batch"),
        node("Concat", ["n", "rest"], ["flat"], "sizes", axis=0),
        node("Reshape", ["f", "flat"], ["g"], "flatten"),
        node("Gemm", ["g", "M"], ["y"], "fc", transB=1, alpha=0.5),
    ]
    constants = [
        stored("W", 4, 3, 3, 3), stored("B", 4), stored("M", 3, 8 * 36),
        numpy_helper.from_array(np.float32(0), "low"), numpy_helper.from_array(np.float32(6), "high"),
        numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
        numpy_helper.from_array(np.array([0]), "zero"), numpy_helper.from_array(np.array([-1]), "rest"),
    ]  # fmt: skip
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 6, 6])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph(nodes, "net", [source], [result], constants)
    floats = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(floats)
    scale, zero = numpy_helper.from_array(np.float32(0.02), "s"), numpy_helper.from_array(np.uint8(0), "z")
    weights = numpy_helper.from_array(rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8), "W")
    steps = numpy_helper.from_array(np.full(4, 0.01, np.float32), "ws")
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"), node("DequantizeLinear", ["q", "s", "z"], ["d"], "d"),
        node("DequantizeLinear", ["W", "ws"], ["w"], "w", axis=0),
        node("Conv", ["d", "w"], ["c"], "conv", pads=[1, 1, 1, 1]), node("Relu", ["c"], ["r"], "relu"),
        node("QuantizeLinear", ["r", "s", "z"], ["p"], "p"), node("DequantizeLinear", ["p", "s", "z"], ["y"], "y"),
    ]  # fmt: skip
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, 6, 6])
    graph = helper.make_graph(nodes, "net", [source], [result], [scale, zero, weights, steps])
    quantised = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return {"floats.onnx": floats.SerializeToString(), "qdq.onnx": quantised.SerializeToString()}


def array_seeds(folder: Path) -> dict[str, bytes]:
    rng, made = np.random.default_rng(0), {}
    for name, content in {
        "named.npz": {"images": rng.integers(0, 256, (6, 6, 6, 3), np.uint8), "labels": np.arange(6)},
        "floats.npz": {"x": rng.random((4, 3, 6, 6), np.float32)},
    }.items():
        buffer = io.BytesIO()
        np.savez(buffer, **content)
        made[name] = buffer.getvalue()
    buffer = io.BytesIO()
    np.save(buffer, rng.integers(0, 256, (4, 6, 6, 3), np.uint8))
    made["plain.npy"] = buffer.getvalue()
    return made


def picture_seeds(folder: Path) -> dict[str, bytes]:
    from PIL import Image

    rng, made = np.random.default_rng(0), {}
    pixels = rng.integers(0, 256, (12, 10, 3), np.uint8)
    for kind, mode in (
        *(("png", "RGB"), ("png", "L"), ("png", "P"), ("png", "RGBA"), ("png", "1"), ("jpeg", "RGB"), ("bmp", "RGB")),
        *(("tiff", "RGB"), ("tiff", "L"), ("gif", "P"), ("webp", "RGB"), ("ppm", "RGB")),
    ):
        buffer = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(buffer, kind)
        made[f"{mode}.{kind}"] = buffer.getvalue()
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 65536, (9, 9)).astype(np.uint16)).save(buffer, "png")
    return made | {"deep.png": buffer.getvalue()}


def read_images(file: Path, out: Path) -> object:
    from cnn2rtl.images import load_images

    return load_images(str(file), (3, 6, 6))


def project_seeds(folder: Path) -> dict[str, bytes]:
    from cnn2rtl import compile

    compile(_net(), (3, 6, 6)).write(folder / "project")
    return {"design.json": (folder / "project" / "design.json").read_bytes()}


def json_change(rng: random.Random, name: str, data: bytes) -> bytes:
    return changed_json(rng, data)


def read_project(file: Path, out: Path) -> object:
    """The project with another ``design.json``: opened, its golden model run, its resources estimated, drawn."""
    import shutil

    import cnn2rtl

    project = out / "project"
    if not project.exists():
        shutil.copytree(file.parent.parent / "project", project)
    (project / "design.json").write_bytes(file.read_bytes())
    found = cnn2rtl.open(project)
    images = np.zeros((1, *found.graph.nodes[0].shape[1:], found.graph.nodes[0].shape[0]), np.int32)
    return found.graph.run(images), cnn2rtl.estimate(project)


KINDS: dict[str, Kind] = {
    "onnx": Kind(onnx_seeds, lambda rng, name, data: changed_onnx(rng, data), read_model, 0.2),
    "torch": Kind(torch_seeds, zipped, read_model, 0.08),
    "program": Kind(program_seeds, zipped, read_model, 0.04),
    "arrays": Kind(array_seeds, zipped, read_images, 0.25),
    "pictures": Kind(picture_seeds, any_bytes, read_images, 0.3),
    "project": Kind(project_seeds, json_change, read_project, 0.13),
}
"""All readers; add one here for a new kind of file."""


# ---------------------------------------------------------------------------------------------------------- running


@dataclass(frozen=True)
class Finding:
    """An input that ended in something else than a result or a refusal."""

    kind: str
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.kind} {self.number}: {self.what}"


class Late(BaseException):
    """Raised when the time is over; no handler of exceptions catches it."""


def made(kind: str, number: int, seeds: dict[str, bytes]) -> tuple[str, bytes]:
    """The name and the bytes of input ``number``."""
    rng = random.Random(f"{kind} {number}")
    name = rng.choice(sorted(seeds))
    return name, KINDS[kind].change(rng, name, seeds[name])


def attempt(kind: str, number: int, seeds: dict[str, bytes], folder: Path) -> tuple[str, str]:
    """Whether input ``number`` was ``taken``, ``refused`` or a ``finding``, and what is to be said of it.

    ``folder`` holds ``in/``, where the file is put, and ``out/``, where alone something may be written.
    """
    from cnn2rtl.errors import UserError

    def late(*_: object) -> None:
        raise Late

    name, data = made(kind, number, seeds)
    file = folder / "in" / name
    file.write_bytes(data)
    # Of the processor: what else runs on the machine is no fault of the file's.
    signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with warnings.catch_warnings(), chdir(folder / "out"):
            warnings.simplefilter("ignore")
            KINDS[kind].read(file, folder / "out")
        result = "taken", ""
    except UserError as error:
        result = ("refused", "") if error.problems and all(error.problems) else ("finding", "a refusal without words")
    except Late:
        result = "finding", f"takes more than {SECONDS} s"
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        result = "finding", f"{type(error).__name__} in {place}: {str(error).splitlines()[:1]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    file.unlink()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if peak > MEMORY:
        result = "finding", f"took {peak / 1e9:.1f} GB"
    strange = sorted(
        str(path.relative_to(folder)) for path in folder.iterdir() if path.name not in ("in", "out", "project")
    )
    strange += [f"in/{path.name}" for path in (folder / "in").iterdir() if path.name != "net.py"]
    if strange:
        result = "finding", f"wrote {', '.join(strange)}"
    return result


def run(kind: str, numbers: Sequence[int], counts: Counter[str] | None = None) -> list[Finding]:
    """All findings among the inputs ``numbers`` of a kind."""
    findings, counts = [], counts if counts is not None else Counter()
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        for name in ("in", "out"):
            (folder / name).mkdir()
        (folder / "in" / "net.py").write_text(NET_PY)
        seeds = KINDS[kind].seeds(folder)
        left = list(numbers)
        while left:
            ours, theirs = context.Pipe(duplex=False)
            chunk, before = left[:BATCH], len(left)
            process = context.Process(target=_told, args=(kind, chunk, seeds, folder, theirs))
            process.start()
            theirs.close()
            began: int | None = None
            while True:
                try:
                    number, result, what = ours.recv()
                except EOFError:
                    break
                began = number if result == "began" else None
                if result != "began":
                    counts[result] += 1
                    left.remove(number)
                if result == "finding":
                    findings.append(Finding(kind, number, what))
            process.join()
            if began is not None:
                counts["finding"] += 1
                findings.append(Finding(kind, began, f"the process ended with {process.exitcode}"))
                left.remove(began)
            if len(left) == before:
                raise RuntimeError(f"{kind}: the sound files are not taken")
    return findings


def _read_sound(kind: str, seeds: dict[str, bytes], folder: Path) -> None:
    """Every sound file is taken; and what is imported for it is there before anybody looks at the clock."""
    for name, data in seeds.items():
        (folder / "in" / name).write_bytes(data)
        with warnings.catch_warnings(), chdir(folder / "out"):
            warnings.simplefilter("ignore")
            KINDS[kind].read(folder / "in" / name, folder / "out")
        (folder / "in" / name).unlink()


def _told(kind: str, numbers: list[int], seeds: dict[str, bytes], folder: Path, report: Any) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (LEAST_MEMORY, LEAST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        _read_sound(kind, seeds, folder)
        for number in numbers:
            report.send((number, "began", ""))
            result, what = attempt(kind, number, seeds, folder)
            report.send((number, result, what))
            if what.startswith("took"):
                # The peak stays that of the process: another one goes on.
                break
    report.close()
    os._exit(0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20000, help="of all kinds together, or of the one kind")
    parser.add_argument("--kind", choices=sorted(KINDS))
    parser.add_argument("--from", type=int, default=0, dest="first")
    options = parser.parse_args()
    found = []
    for kind in [options.kind] if options.kind else KINDS:
        count = options.inputs if options.kind else round(options.inputs * KINDS[kind].share)
        counts: Counter[str] = Counter()
        started = time.monotonic()
        here = run(kind, range(options.first, options.first + count), counts)
        print(f"{kind}: {count} inputs, {dict(counts)}, {time.monotonic() - started:.0f} s", flush=True)
        for finding in here:
            print(f"  {finding}", flush=True)
        found += here
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
