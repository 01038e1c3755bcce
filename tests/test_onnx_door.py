"""ONNX files as the world has them: old and new opsets, weights beside the file, half precision, sizes left open."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from command_line import mistakes, succeed
from onnx import TensorProto, helper, numpy_helper
from test_capture import as_images

from cnn2rtl.errors import UserError
from cnn2rtl.frontend.onnx_file import NEWEST, read_onnx
from cnn2rtl.frontend.onnx_float import capture_onnx


def f(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).uniform(-1, 1, shape).astype(np.float32)


WEIGHT, BIAS, MATRIX = f(4, 3, 3, 3), f(4), f(4, 5)


def model(
    dtype: type[np.generic] = np.float32,
    shape: Sequence[int | str | None] = ("n", 3, 8, 9),
    opset: int = 17,
    listed: bool = False,
    told: bool = True,
) -> onnx.ModelProto:
    """A convolution and a classifier; ``listed`` has the weights among the inputs, ``told`` the result's shape."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    stored = [numpy_helper.from_array(a.astype(dtype), n) for n, a in (("W", WEIGHT), ("B", BIAS), ("M", MATRIX))]
    nodes = [
        helper.make_node("Conv", ["x", "W", "B"], ["conv"], "conv"),
        helper.make_node("Relu", ["conv"], ["relu"], "relu"),
        helper.make_node("GlobalAveragePool", ["relu"], ["mean"], "mean"),
        helper.make_node("Flatten", ["mean"], ["flat"], "flat"),
        helper.make_node("Gemm", ["flat", "M"] + (["Z"] if opset < 11 else []), ["y"], "fc"),
    ]
    if opset < 11:
        stored.append(numpy_helper.from_array(np.zeros(5, dtype), "Z"))
    inputs = [helper.make_tensor_value_info("x", kind, shape)]
    if listed:
        inputs += [helper.make_tensor_value_info(one.name, kind, list(one.dims)) for one in stored]
    result = helper.make_tensor_value_info("y", kind, ["n", 5] if told else None)
    graph = helper.make_graph(nodes, "net", inputs, [result], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3 if listed else 8)


def expected(x: np.ndarray) -> np.ndarray:
    """What the network makes of (n, 3, h, w)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
    conv = np.einsum("nchwij,ocij->nohw", windows, WEIGHT) + BIAS[:, None, None]
    result: np.ndarray = np.maximum(conv, 0).mean((2, 3)) @ MATRIX
    return result


def check(file: Path, shapes: Sequence[tuple[int, ...]] | None = None, tolerance: float = 1e-5) -> None:
    """The file holds the network."""
    graph = capture_onnx(read_onnx(file).sized(file, shapes), "net")
    (c, h, w) = graph.nodes[0].shape
    x = np.random.default_rng(1).normal(size=(2, c, h, w))
    np.testing.assert_allclose(graph.forward(as_images(x))[:, 0, 0], expected(x), rtol=tolerance, atol=tolerance)


def refused(file: Path, shapes: Sequence[tuple[int, ...]] | None = None) -> str:
    with pytest.raises(UserError) as caught:
        capture_onnx(read_onnx(file).sized(file, shapes), "net")
    return "\n".join(caught.value.problems).replace(str(file), "FILE")


@pytest.mark.parametrize("opset", [*range(7, 14), 18, 22, min(NEWEST, onnx.defs.onnx_opset_version())])
def test_every_opset(opset: int, tmp_path: Path) -> None:
    onnx.save(model(opset=opset), tmp_path / "net.onnx")
    check(tmp_path / "net.onnx")


def test_opsets_that_are_too_old_or_too_new(tmp_path: Path) -> None:
    onnx.save(model(opset=6), tmp_path / "net.onnx")
    assert "FILE: opset 6; 7 is the oldest that is read" in refused(tmp_path / "net.onnx")
    known = onnx.defs.onnx_opset_version()
    onnx.save(model(opset=known + 1), tmp_path / "net.onnx")
    said = refused(tmp_path / "net.onnx")
    assert f"FILE: opset {known + 1}, IR version 8; the installed onnx" in said and f"knows opset {known}" in said


def test_a_form_that_is_newer_than_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(model(opset=22), tmp_path / "net.onnx")
    monkeypatch.setattr("cnn2rtl.frontend.onnx_float.NEWEST", 20)
    assert refused(tmp_path / "net.onnx").splitlines() == [
        "`conv` (Conv): its form of opset 22 is not known; 20 is the newest that is",
        "`mean` (GlobalAveragePool): its form of opset 22 is not known; 20 is the newest that is",
        "`flat` (Flatten): its form of opset 21 is not known; 20 is the newest that is",
    ]


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats(dtype: type[np.generic], tmp_path: Path) -> None:
    onnx.save(model(dtype), tmp_path / "net.onnx")
    check(tmp_path / "net.onnx", tolerance=2e-3 if dtype is np.float16 else 1e-5)


def test_weights_among_the_inputs(tmp_path: Path) -> None:
    onnx.save(model(listed=True, opset=9), tmp_path / "net.onnx")
    assert list(read_onnx(tmp_path / "net.onnx").sources) == ["x"]
    check(tmp_path / "net.onnx")


def test_a_result_without_a_shape(tmp_path: Path) -> None:
    onnx.save(model(told=False), tmp_path / "net.onnx")
    check(tmp_path / "net.onnx")


# ------------------------------------------------------------------------------------------- sizes that are left open


def test_sizes_that_are_left_open(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    for shape in ((1, 3, "h", "w"), ("n", 3, None, None), (None, "c", 8, "w")):
        onnx.save(model(shape=shape), file)
        assert "does not tell all sizes of its input `x`" in refused(file)
        check(file, [(3, 8, 9)])
    assert "3x9x9 is given, and the input `x` of FILE is (n, ?, 8, ?)" in refused(file, [(3, 9, 9)])
    assert "8x9 is given" in refused(file, [(8, 9)])
    assert "2 sizes for the 1 inputs" in refused(file, [(3, 8, 9), (3, 8, 9)])
    assert "its input is too large" in refused(file, [(3, 8, 1 << 30)])


def test_sizes_from_the_command_line(tmp_path: Path) -> None:
    onnx.save(model(shape=("n", 3, "h", "w")), tmp_path / "net.onnx")
    (line,) = mistakes("generate", "net.onnx", "-o", "out", cwd=tmp_path)
    assert line == (
        "net.onnx: does not tell all sizes of its input `x`, (n, 3, ?, ?); say them with --input, like --input 3x96x96"
    )
    assert "3x8x9" in succeed("inspect", "net.onnx", "--input", "3x8x9", cwd=tmp_path)
    (line,) = mistakes("inspect", "net.onnx", "--input", "4x8x9", cwd=tmp_path)
    assert line == "--input: 4x8x9 is given, and the input `x` of net.onnx is (n, 3, ?, ?)"


# ------------------------------------------------------------------------------------------- weights beside the file


def beside(folder: Path, name: str = "net.onnx.data") -> Path:
    onnx.save(model(), folder / "net.onnx", save_as_external_data=True, location=name, size_threshold=0)
    return folder / "net.onnx"


def test_weights_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From whichever folder the command is run."""
    (tmp_path / "models").mkdir()
    file = beside(tmp_path / "models")
    for folder in (tmp_path, tmp_path / "models", Path("/")):
        monkeypatch.chdir(folder)
        check(Path(os.path.relpath(file)))


def test_weights_in_a_folder_below(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    check(beside(tmp_path, "weights/all.bin"))


def told(file: Path, **entries: str) -> Path:
    """The same file with other words about where its first weights are."""
    changed = onnx.load(file, load_external_data=False)
    (tensor, *_) = changed.graph.initializer
    about = {entry.key: entry.value for entry in tensor.external_data} | entries
    del tensor.external_data[:]
    for key, value in about.items():
        tensor.external_data.add(key=key, value=value)
    file.write_bytes(changed.SerializeToString())
    return file


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "", "link", "below/../../secret", "linked/secret"])
def test_weights_in_other_folders_are_not_read(place: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(5000))
    (tmp_path / "models" / "below").mkdir(parents=True)
    (tmp_path / "models" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "models" / "linked").symlink_to(tmp_path)
    said = refused(told(beside(tmp_path / "models"), location=place))
    assert said == f"FILE: keeps weights in `{place}`, which is not in its own folder; save all in one file"


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    file = beside(tmp_path)
    (tmp_path / "net.onnx.data").unlink()
    assert refused(file) == (
        "FILE: keeps its weights in `net.onnx.data`, which is not beside it; put both into one folder, under the names "
        "they were saved with, or save all in one file"
    )


@pytest.mark.parametrize(
    "entries",
    [{"length": "7"}, {"offset": "-8"}, {"offset": "90000"}, {"length": "99999999999999"}, {"offset": str(1 << 40)}],
    ids=str,
)
def test_weights_of_another_length(entries: dict[str, str], tmp_path: Path) -> None:
    said = refused(told(beside(tmp_path), **entries))
    assert re.search(
        r"`W` has 432 bytes, and `net.onnx.data` has \d+ for it; the two files are not of one network", said
    )


def test_weights_at_no_number(tmp_path: Path) -> None:
    assert "does not tell in numbers where `W` is" in refused(told(beside(tmp_path), offset="ten"))


def test_weights_that_were_cut_short(tmp_path: Path) -> None:
    file = beside(tmp_path)
    data = (tmp_path / "net.onnx.data").read_bytes()
    (tmp_path / "net.onnx.data").write_bytes(data[: len(data) // 2])
    assert "one was cut short" in refused(file)


# --------------------------------------------------------------------------------------------------- what is no onnx


def test_operators_of_a_domain_that_is_not_declared(tmp_path: Path) -> None:
    """As the files of QONNX's zoo have them."""
    net = model()
    net.graph.node[1].domain, net.graph.node[1].op_type = "qonnx.custom_op.general", "Quant"
    net.graph.node[2].domain = "com.example"
    onnx.save(net, tmp_path / "net.onnx")
    first, second = refused(tmp_path / "net.onnx").splitlines()
    assert first.startswith(
        "`relu` (qonnx.custom_op.general.Quant): is not supported; it is quantised, and networks with"
    )
    assert second == (
        "`mean` (com.example.GlobalAveragePool): is not supported; operators of the domain `com.example` are not "
        "onnx's own; export with onnx's alone"
    )


def test_weights_that_a_foreign_operator_makes(tmp_path: Path) -> None:
    net = model()
    net.graph.node.insert(0, helper.make_node("Quant", ["W"], ["Wq"], "quant", domain="qonnx.custom_op.general"))
    net.graph.node[1].input[1] = "Wq"
    net.opset_import.append(helper.make_opsetid("qonnx.custom_op.general", 1))
    onnx.save(net, tmp_path / "net.onnx")
    (said,) = refused(tmp_path / "net.onnx").splitlines()
    assert said.startswith("`quant` (qonnx.custom_op.general.Quant): is not supported; it is quantised, and")


def test_functions_of_the_file_itself(tmp_path: Path) -> None:
    """As torch's exporter has written them."""
    net = model()
    net.graph.node[1].domain, net.graph.node[1].op_type = "local", "Positive"
    body = [helper.make_node("Relu", ["a"], ["b"])]
    opsets = [helper.make_opsetid("", 17)]
    net.functions.append(helper.make_function("local", "Positive", ["a"], ["b"], body, opsets))
    net.opset_import.append(helper.make_opsetid("local", 1))
    onnx.save(net, tmp_path / "net.onnx")
    check(tmp_path / "net.onnx")


def test_sparse_weights(tmp_path: Path) -> None:
    net = model()
    values = numpy_helper.from_array(f(1), "few")
    places = numpy_helper.from_array(np.array([2], np.int64), "places")
    net.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4]))
    onnx.save(net, tmp_path / "net.onnx")
    assert refused(tmp_path / "net.onnx") == "FILE: holds sparse weights; save them dense"


def test_what_nothing_depends_on_is_not_judged(tmp_path: Path) -> None:
    net = model()
    net.graph.node.append(helper.make_node("LRN", ["relu"], ["nowhere"], "idle", size=3))
    onnx.save(net, tmp_path / "net.onnx")
    check(tmp_path / "net.onnx")


def test_an_input_of_no_tensor(tmp_path: Path) -> None:
    net = model()
    net.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None))
    onnx.save(net, tmp_path / "net.onnx")
    assert "FILE: " in refused(tmp_path / "net.onnx")


# ---------------------------------------------------------------------------------------------------- onnx's own tests


def test_no_test_of_onnx_is_answered_wrongly() -> None:
    """Exact, or refused in words: `python tools/onnx_node_tests.py` lists them."""
    from onnx_node_tests import EXACT, REFUSED, WRONG, run

    verdicts = run()
    assert [verdict for verdict in verdicts if verdict.result == WRONG] == []
    foreign = re.compile("Traceback|Error|torch|aten|assert")
    assert [one for one in verdicts if one.result == REFUSED and (not one.why or foreign.search(one.why))] == []
    assert sum(verdict.result == EXACT for verdict in verdicts) >= 180
