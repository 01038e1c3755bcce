"""Networks that were quantised elsewhere: what comes in is kept, and onnxruntime gets the same integers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from command_line import DIGITS, EXAMPLE, mistakes, succeed
from models import randomised
from onnx import helper, numpy_helper
from qdq_models import float_onnx, run_qdq, write_qdq
from torch import nn

from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture, load_model
from cnn2rtl.frontend.qdq import read_qdq
from cnn2rtl.graph import QuantGraph, QuantNode
from cnn2rtl.images import load_images
from cnn2rtl.ops import AvgPool2d
from cnn2rtl.ops.weighted import Weighted
from cnn2rtl.options import Options
from cnn2rtl.passes import simplify
from cnn2rtl.pipeline import implemented
from cnn2rtl.project import open_project
from cnn2rtl.quant.qformat import IntArray
from cnn2rtl.quant.weighted import zero_share
from cnn2rtl.quantised import from_given

Numbers = Sequence[float]
PLAIN: tuple[Numbers, Numbers] = ((0.0,), (1.0,))
PHOTO: tuple[Numbers, Numbers] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

torch.manual_seed(0)
NETWORKS = {
    "plain": ((3, 9, 8), PLAIN, [nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 4, 1)]),
    "depthwise": (
        (3, 9, 8), PHOTO,
        [nn.Conv2d(3, 3, 3, 1, 1, groups=3), nn.BatchNorm2d(3), nn.ReLU6(), nn.Conv2d(3, 8, 1), nn.MaxPool2d(2)],
    ),
    "groups": ((4, 8, 8), PLAIN, [nn.Conv2d(4, 6, 3, padding=1, groups=2), nn.Conv2d(6, 5, (3, 2)), nn.ReLU()]),
    "head": (
        (3, 6, 5), PHOTO,
        [nn.Conv2d(3, 7, 3), nn.ReLU(), nn.Flatten(), nn.Linear(84, 9), nn.ReLU(), nn.Linear(9, 4)],
    ),
    "means": ((3, 9, 9), PLAIN, [nn.Conv2d(3, 5, 1), nn.AvgPool2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten()]),
    "pads": ((2, 7, 7), PLAIN, [nn.Conv2d(2, 5, 3, 1, 1), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(3, 2, 1)]),
    "borders": (
        (2, 6, 5), PLAIN,
        [nn.Conv2d(2, 5, 1), nn.Conv2d(5, 5, 3, 1, 1, groups=5), nn.Conv2d(5, 4, 3, 2, 1)],
    ),
}  # fmt: skip


def reals(pixels: np.ndarray, mean: Numbers, std: Numbers) -> np.ndarray:
    """The file's input, (n, c, h, w)."""
    planes = pixels.transpose(0, 3, 1, 2) / 255
    return ((planes - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))).astype(np.float32)


def quantised(name: str, file: Path, signed: bool = False, per_channel: bool = True) -> tuple[QuantGraph, np.ndarray]:
    """A network of the table, as onnxruntime quantised it and we read it, and pixels to try it on."""
    shape, (mean, std), layers = NETWORKS[name]
    model = randomised(nn.Sequential(*layers), 3)  # type: ignore[misc]
    c, h, w = shape
    pixels = np.random.default_rng(1).integers(0, 256, (40, h, w, c), np.uint8)
    graph = simplify(capture(model, shape, name))
    write_qdq(file, float_onnx(graph), reals(pixels[:10], mean, std), signed, per_channel)
    return read_qdq(file, name, mean, std).integers(), pixels


def products(node: QuantNode, sources: Sequence[IntArray]) -> np.ndarray:
    """What a layer rounds to its codes, exactly but for the last bits of a float64."""
    layer, sums = node.layer, node.op.sums(sources, node.layer)  # type: ignore[arg-type]
    assert layer is not None and sums is not None
    total = sums.astype(np.float64) + (0 if layer.bias is None else layer.bias)
    if isinstance(node.op, Weighted):
        assert layer.weight_scale is not None
        return total * layer.weight_scale * layer.source.coarsest / layer.out.coarsest
    assert isinstance(node.op, AvgPool2d)
    return total * layer.source.coarsest / node.op.window.taps / layer.out.coarsest


def differing(graph: QuantGraph, pixels: np.ndarray, file: Path, norm: tuple[Numbers, Numbers]) -> dict[str, int]:
    """How many codes of each layer differ from onnxruntime's, on the codes that it has before the layer.

    They may do so by one, and only where the exact product is a tie, to within the error of a 16-bit multiplier.
    """
    wanted = run_qdq(file, reals(pixels, *norm))
    codes: dict[str, IntArray] = {"input": pixels.astype(np.int32)}
    found = {}
    for node in graph.layers:
        assert node.layer is not None
        sources = [codes[name] for name in node.inputs]
        ours = node.op.integer(sources, node.layer)
        if node.name not in wanted:
            # A map on its way into a concatenation is nothing to onnxruntime.
            codes[node.name] = ours
            continue
        theirs = wanted[node.name].reshape(len(pixels), *node.shape).transpose(0, 2, 3, 1) / node.out.coarsest
        steps = np.rint(theirs).astype(np.int32)
        np.testing.assert_allclose(theirs, steps, atol=1e-3)
        codes[node.name] = steps + node.out.zero
        off = ours != codes[node.name]
        found[node.name] = int(off.sum())
        if off.any():
            assert np.abs(ours - codes[node.name]).max() == 1
            exact = products(node, sources)[off]
            from_tie = np.abs(exact - np.floor(exact) - 0.5)
            assert np.all(from_tie <= np.abs(exact) * 2.0**-16 + 1e-4), node.name
    return found


@pytest.mark.parametrize("per_channel", [False, True], ids=["per tensor", "per channel"])
@pytest.mark.parametrize("signed", [False, True], ids=["uint8", "int8"])
@pytest.mark.parametrize("name", NETWORKS)
def test_integers_are_those_of_onnxruntime(name: str, signed: bool, per_channel: bool, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    graph, pixels = quantised(name, file, signed, per_channel)
    found = differing(graph, pixels, file, NETWORKS[name][1])
    values = {node.name: len(pixels) * int(np.prod(node.shape)) for node in graph.layers}
    # A mean of codes in their own scale is a tie as often as not.
    weighted = [node.name for node in graph.layers if isinstance(node.op, Weighted)]
    assert sum(found[n] for n in weighted) <= 0.002 * sum(values[n] for n in weighted) + 1


@pytest.mark.parametrize("signed", [False, True], ids=["uint8", "int8"])
@pytest.mark.parametrize("name", NETWORKS)
def test_asymmetric_activations_keep_their_width(name: str, signed: bool, tmp_path: Path) -> None:
    graph, _ = quantised(name, tmp_path / "net.onnx", signed)
    assert {node.out.bits for node in graph.nodes} == {8}
    assert any(node.out.zero for node in graph.layers)


@pytest.mark.parametrize(
    ("dtype", "zero", "name"),
    [
        ("uint8", 0, "u8.6"), ("uint8", 128, "s8.6"), ("uint8", 1, "s8.6@-127"), ("uint8", 127, "s8.6@-1"),
        ("uint8", 255, "s8.6@127"), ("int8", -128, "u8.6"), ("int8", 0, "s8.6"), ("int8", 9, "s8.6@9"),
        ("int8", 127, "s8.6@127"), ("uint16", 300, "s16.6@-32468"), ("int16", -7, "s16.6@-7"),
    ],
)  # fmt: skip
def test_codes_are_the_files_but_for_an_offset(dtype: str, zero: int, name: str, tmp_path: Path) -> None:
    """A network that quantises its input and nothing else, in onnxruntime and here, on all pixels there are."""
    pair = [
        numpy_helper.from_array(np.float32(2**-6), "scale"),
        numpy_helper.from_array(np.dtype(dtype).type(zero), "z"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "z"], ["codes"], "quantise"),
        helper.make_node("DequantizeLinear", ["codes", "scale", "z"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, ["n", 1, 16, 16]) for end in "xy"]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], pair)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, tmp_path / "net.onnx")
    mean: tuple[Numbers, Numbers] = ((0.3,), (0.3,))
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    net = read_qdq(tmp_path / "net.onnx", "net", *mean).integers()
    out, found = net[net.output].out, net.run(pixels.astype(np.int32))
    assert str(out) == name
    (wanted,) = run_qdq(tmp_path / "net.onnx", reals(pixels, *mean)).values()
    np.testing.assert_array_equal(out.reals(found), wanted.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("name", ["depthwise", "groups", "head"])
def test_numbers_are_kept(name: str, tmp_path: Path) -> None:
    graph, _ = quantised(name, tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    arrays = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    integers = [array for array in arrays if array.dtype in (np.int8, np.int32) and array.ndim and array.any()]
    layers = [node.layer for node in graph.layers if isinstance(node.op, Weighted) and node.name != "normalise"]
    for layer in layers:
        assert layer is not None and layer.weight is not None and layer.bias is not None
        for mine in (layer.weight, layer.bias + zero_share(layer.source, layer.weight)):
            assert any(a.size == mine.size and np.array_equal(a.ravel(), mine.ravel()) for a in integers)
        assert any(array.size == 1 and np.float64(array.item()) == layer.out.coarsest for array in arrays)
    assert len(layers) >= 2


def test_weights_in_reals_are_rounded_as_the_operator_does_it(tmp_path: Path) -> None:
    """Training with quantisation leaves QuantizeLinear before the weights, too."""
    file = tmp_path / "net.onnx"
    before, _ = quantised("plain", file)
    model = onnx.load(file)
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    node = next(n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0].endswith("_quantized"))
    weights, scale, zero = node.input
    scales = numpy_helper.to_array(arrays[scale]).reshape(-1, 1, 1, 1)
    values = (numpy_helper.to_array(arrays[weights]) + 0.3) * scales
    arrays[weights].CopyFrom(numpy_helper.from_array(values.astype(np.float32), "real"))
    node.input[0] = "rounded"
    model.graph.node.insert(0, helper.make_node("QuantizeLinear", ["real", scale, zero], ["rounded"], axis=0))
    onnx.save(model, file)
    after = read_qdq(file, "net", *PLAIN).integers()
    for old, new in zip(before.layers, after.layers, strict=True):
        assert old.layer is not None and new.layer is not None
        np.testing.assert_array_equal(old.layer.weight, new.layer.weight)


# ------------------------------------------------------------------------------------------------------ whole line


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's network, quantised by onnxruntime on the images that it is calibrated on."""
    file = tmp_path_factory.mktemp("digits") / "digits.onnx"
    graph = simplify(capture(load_model(DIGITS[0], DIGITS[2]), (1, 8, 8), "digits"))
    pixels = load_images(str(EXAMPLE / "calib"), (1, 8, 8)).images
    write_qdq(file, float_onnx(graph), reals(pixels, *PLAIN))
    return file


def test_digits(digits: Path) -> None:
    """Real images: the figures of docs/onnx.md."""
    graph = read_qdq(digits, "digits", *PLAIN).integers()
    pixels = load_images(str(EXAMPLE / "images"), (1, 8, 8)).images
    found = differing(graph, pixels, digits, PLAIN)
    values = sum(len(pixels) * int(np.prod(node.shape)) for node in graph.layers)
    assert sum(found.values()) <= 100 and values == 647_400
    theirs = run_qdq(digits, reals(pixels, *PLAIN))[graph.output]
    ours = graph.run(pixels.astype(np.int32))
    assert np.array_equal(theirs.argmax(1), ours.reshape(len(pixels), -1).argmax(1))


def test_generate_simulate_evaluate(digits: Path, tmp_path: Path) -> None:
    text = succeed("generate", digits, "--class-index", "-o", "out", cwd=tmp_path)
    assert "8-bit weights, 8-bit activations, calibrated on images of whoever quantised it" in text
    assert "PASS" in succeed("simulate", "out", cwd=tmp_path)
    assert "accuracy         100.0 % float" in succeed("evaluate", "out", "--data", EXAMPLE / "images", cwd=tmp_path)
    assert "3,946 parameters" in succeed("inspect", digits, cwd=tmp_path)
    classifier = (tmp_path / "out" / "rtl" / "classifier.v").read_text()
    assert "x s8*0.0416@-17 per beat" in classifier and "(@: the code that stands for 0)" in classifier
    assert ".ZERO(-17)," in classifier
    graph, given = open_project(tmp_path / "out").graph, read_qdq(digits, "digits", *PLAIN).integers()
    for node in given.layers:
        layer = graph[node.name].layer
        assert node.layer is not None and layer is not None
        np.testing.assert_array_equal(layer.weight, node.layer.weight)


def test_a_normalised_input_has_a_layer_of_its_own(tmp_path: Path) -> None:
    quantised("depthwise", tmp_path / "net.onnx")
    given = read_qdq(tmp_path / "net.onnx", "net", *PHOTO)
    compiled = implemented(from_given(given), Options())
    assert compiled.graph.layers[0].name == "normalise"
    assert compiled.about["notes"] == list(given.notes)
    pixels = np.arange(3 * 72, dtype=np.uint8).reshape(1, 9, 8, 3)
    exact = given.graph.forward(pixels.astype(np.float64))
    assert np.abs(exact - compiled.graph[compiled.graph.output].out.reals(compiled.golden(pixels))).max() < 0.2


# -------------------------------------------------------------------------------------------------------- refusals


def test_options_that_quantise_have_no_say(digits: Path, tmp_path: Path) -> None:
    lines = mistakes("generate", digits, "--bits", "4", "--calib", "x", "-o", "out", cwd=tmp_path)
    why = f"{digits} is quantised already and keeps its numbers; leave it out"
    assert lines == [f"--bits: {why}", f"--calib: {why}"]
    (line,) = mistakes("inspect", digits, "--input", "1x9x8", cwd=tmp_path)
    assert line == f"--input: 1x9x8 is given, and the input `input` of {digits} is (n, 1, 8, 8)"


def refusal(file: Path) -> str:
    with pytest.raises(UserError) as error:
        read_qdq(file, "net", *PLAIN)
    return str(error.value)


def test_a_network_in_reals_is_refused_operator_by_operator(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()).eval()
    file = tmp_path / "net.onnx"
    onnx.save(float_onnx(simplify(capture(net, (1, 5, 5), "net"))), file)
    said = "`0.plain` (Conv): takes a tensor that is not quantised; a DequantizeLinear must come before it"
    assert refusal(file) == said


@pytest.mark.parametrize("data", [b"nonsense", bytes(8)])
def test_a_damaged_file_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(data)
    assert "no ONNX file, or a damaged one" in refusal(tmp_path / "net.onnx")


def test_weights_beside_the_file(tmp_path: Path) -> None:
    quantised("plain", tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    before = read_qdq(tmp_path / "net.onnx", "net", *PLAIN).integers()
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    after = read_qdq(tmp_path / "net.onnx", "net", *PLAIN).integers()
    for old, new in zip(before.layers, after.layers, strict=True):
        assert (tmp_path / "weights").stat().st_size > 0 and old.layer is not None and new.layer is not None
        np.testing.assert_array_equal(old.layer.weight, new.layer.weight)


def branching(seed: int) -> onnx.ModelProto:
    """A float network in which maps are added, joined and multiplied, with activations that are tables."""
    rng = np.random.default_rng(seed)
    node, stored = helper.make_node, []

    def conv(name: str, source: str, c: int, d: int) -> onnx.NodeProto:
        weight, bias = rng.normal(size=(d, c, 3, 3)) * 0.3, rng.normal(size=d) * 0.2
        arrays = (
            numpy_helper.from_array(weight.astype(np.float32), f"{name}.w"),
            numpy_helper.from_array(bias.astype(np.float32), f"{name}.b"),
        )
        stored.extend(arrays)
        return node("Conv", [source, f"{name}.w", f"{name}.b"], [name], name, pads=[2, 2, 2, 2], dilations=[2, 2])

    nodes = [
        conv("stem", "x", 3, 4), node("Relu", ["stem"], ["relu"], "relu"),
        conv("left", "relu", 4, 4), node("Add", ["left", "relu"], ["sum"], "sum"),
        conv("right", "sum", 4, 2), node("LeakyRelu", ["right"], ["leaky"], "leaky", alpha=0.2),
        node("Concat", ["leaky", "sum"], ["joined"], "joined", axis=1),
        conv("gate", "joined", 6, 6), node("Sigmoid", ["gate"], ["open"], "open"),
        node("Mul", ["open", "joined"], ["product"], "product"), conv("last", "product", 6, 3),
    ]  # fmt: skip
    real, size = onnx.TensorProto.FLOAT, (8, 7)
    ends = [helper.make_tensor_value_info(name, real, ["n", c, *size]) for name, c in (("x", 3), ("last", 3))]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("signed", [False, True], ids=["uint8", "int8"])
def test_branches_are_those_of_onnxruntime(signed: bool, tmp_path: Path) -> None:
    """Each layer on the codes that onnxruntime has before it: off by one at most, and that seldom."""
    file, pixels = tmp_path / "net.onnx", np.random.default_rng(1).integers(0, 256, (40, 8, 7, 3), np.uint8)
    write_qdq(file, branching(0), reals(pixels[:10], *PLAIN), signed)
    graph = read_qdq(file, "net", *PLAIN).integers()
    kinds = {node.op.kind for node in graph.layers}
    assert {"add", "concat", "multiply", "table", "rescale", "conv2d"} <= kinds
    wanted = run_qdq(file, reals(pixels, *PLAIN))
    codes: dict[str, IntArray] = {"input": pixels.astype(np.int32)}
    for node in graph.layers:
        assert node.layer is not None
        ours = node.op.integer([codes[name] for name in node.inputs], node.layer)
        codes[node.name] = ours
        if node.name in wanted:
            theirs = wanted[node.name].transpose(0, 2, 3, 1) / node.out.coarsest
            codes[node.name] = np.rint(theirs).astype(np.int32) + node.out.zero
            off = np.abs(ours - codes[node.name])
            assert off.max() <= 1 and (off > 0).mean() <= 0.01, node.name
    compiled = implemented(from_given(read_qdq(file, "net", *PLAIN)), Options())
    assert compiled.golden(pixels[:2]).shape == (2, 8, 7, 3)


def changed(file: Path, name: str, edit: str) -> str:
    """What is said of a network after one edit."""
    quantised(name, file)
    model = onnx.load(file)
    nodes = {node.op_type: node for node in reversed(model.graph.node)}
    if edit == "softmax":
        nodes["Conv"].op_type = "Softmax"
        del nodes["Conv"].input[1:], nodes["Conv"].attribute[:]
    elif edit == "dilations":
        changed = next(a for a in nodes["Conv"].attribute if a.name == "strides")
        changed.name, changed.ints[:] = "dilations", [0, 1]
    elif edit == "stride":
        next(a for a in nodes["Conv"].attribute if a.name == "strides").ints[:] = [0, 1]
    elif edit == "other scale":
        arrays = {tensor.name: tensor for tensor in model.graph.initializer}
        arrays["doubled"] = model.graph.initializer.add()
        scale = 2 * numpy_helper.to_array(arrays[nodes["QuantizeLinear"].input[1]])
        arrays["doubled"].CopyFrom(numpy_helper.from_array(np.asarray(scale), "doubled"))
        nodes["QuantizeLinear"].input[1] = "doubled"
    elif edit == "output":
        last = model.graph.node[-2]
        del model.graph.node[-2:]
        next(n for n in model.graph.node if n.output[0] == last.input[0]).output[0] = model.graph.output[0].name
    else:
        zero = next(t for t in model.graph.initializer if t.name == f"{edit}_zero_point")
        values = numpy_helper.to_array(zero)
        zero.CopyFrom(numpy_helper.from_array(np.ones_like(values), zero.name))
    onnx.save(model, file)
    return refusal(file)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    quantised("plain", file)
    model = onnx.load(file)
    weights = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    weights.dims[0] = 1000
    file.write_bytes(model.SerializeToString())
    assert "damaged" in refusal(file)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ("softmax", "(Softmax): is not supported; there are Add, AveragePool, "),
        ("dilations", "a dilation of 0"),
        ("stride", "a stride or a dilation of 0"),
        ("other scale", "has another scale or zero point than the QuantizeLinear before it"),
        ("output", "the output is not quantised; a QuantizeLinear must make it"),
        ("constant_0", "these weights have a zero point; quantise them symmetrically"),
    ],
)
def test_what_is_refused(edit: str, why: str, tmp_path: Path) -> None:
    assert why in changed(tmp_path / "net.onnx", "plain", edit)
