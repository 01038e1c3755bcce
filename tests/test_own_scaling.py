"""Who divides by 255: the normalisation before the network, or the network itself, and never both in silence."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import cnn2rtl
from cnn2rtl import Notice, UserError
from cnn2rtl.cli.console import parse_numbers
from cnn2rtl.passes import check_normalisation

SHAPE = (3, 10, 10)
BYTES = (
    np.random.default_rng(0).random((40, 1, 1, 3)) * np.random.default_rng(1).integers(0, 256, (40, 10, 10, 3))
).astype(np.uint8)
BATCH = torch.from_numpy(BYTES.transpose(0, 3, 1, 2).copy())
LEAVE_OUT = "`input` is of type uint8: it takes pixels as they are, 0 to 255, and normalises them itself; leave out"


class Own(nn.Module):
    """A network that makes numbers of pixels itself, by ``scaling``."""

    def __init__(self, scaling: Callable[[Tensor], Tensor], first: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.scaling = scaling
        self.first = first or nn.Identity()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(self.first(self.scaling(x))).relu().mean((2, 3)))


def difference(design: cnn2rtl.Compiled, module: nn.Module, given: Tensor = BATCH) -> float:
    """The largest between the hardware's outputs and torch's, as a share of their range."""
    exact = module(given).detach().numpy()
    codes = design.golden(BYTES).reshape(len(BYTES), -1)
    return float(abs(codes * design.graph[design.graph.output].out.scale - exact).max() / np.ptp(exact))


@pytest.mark.parametrize(
    "scaling",
    [
        lambda x: x.to(torch.float32) / 255,
        lambda x: x / 255,
        lambda x: x.float() * (1 / 127.5) - 1,
        lambda x: x[:, [2, 1, 0]].float() / 255,
        lambda x: x.permute(0, 2, 3, 1).contiguous().float().permute(0, 3, 1, 2) / 255,
    ],
)
def test_what_declares_bytes_gets_bytes(scaling: Callable[[Tensor], Tensor]) -> None:
    module = Own(scaling)
    program = torch.export.export(module, (BATCH[:1],))
    for model, example in ((program, None), (module, BATCH[:1]), (module, BATCH[:1].numpy())):
        with warnings.catch_warnings():
            warnings.simplefilter("error", Notice)
            design = cnn2rtl.compile(model, example, calibration=BYTES)
        assert difference(design, module) < 0.02
        assert design.about["options"]["mean"] == [0.0] and design.about["options"]["std"] == [pytest.approx(1 / 255)]
        assert "`input`: the model declares uint8, so it gets pixels as they are" in design.about["notes"][0]
    # The same in other words; anything else contradicts the model.
    assert difference(cnn2rtl.compile(program, calibration=BYTES, std=1 / 255), module) < 0.02
    with pytest.raises(UserError, match=LEAVE_OUT):
        cnn2rtl.compile(program, calibration=BYTES, mean=0.5, std=0.25)


def test_an_example_of_bytes_for_a_network_of_floats() -> None:
    module = Own(lambda x: x)
    design = cnn2rtl.compile(module, BATCH[:1], calibration=BYTES)
    assert difference(design, module, BATCH.float() / 255) < 0.02 and design.about["options"]["std"] == [1.0]


def test_whole_numbers_are_moved_and_not_computed_with() -> None:
    program = torch.export.export(Own(lambda x: (x + 9).float()), (BATCH[:1],))
    with pytest.raises(UserError, match="does not give a tensor of floats"):
        cnn2rtl.compile(program)
    signed = torch.export.export(Own(lambda x: x.float()), (BATCH[:1].to(torch.int8),))
    with pytest.raises(UserError, match="`input` is of type int8, which cannot hold pixels of 0 to 255"):
        cnn2rtl.compile(signed)


def onnx_of_bytes(path: Path, *nodes: onnx.NodeProto, dtype: int = TensorProto.UINT8, last: bool = False) -> Path:
    """A file of a network whose input `x` is whole numbers, with a convolution behind ``nodes``, which make `y`."""
    weight = np.random.default_rng(2).normal(size=(4, 3, 3, 3)).astype(np.float32)
    constants = {"w": weight, "byte": np.float32(1 / 255), "two": np.uint8(2)}
    dims = [1, 10, 10, 3] if last else [1, 3, 10, 10]
    graph = helper.make_graph(
        [*nodes, helper.make_node("Conv", ["y", "w"], ["z"])],
        "bytes",
        [helper.make_tensor_value_info("x", dtype, dims)],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 4, 8, 8])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


CAST = helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT)
SCALE = helper.make_node("Mul", ["f", "byte"], ["y"])


@pytest.mark.parametrize("last", [False, True])
def test_onnx_that_declares_bytes(last: bool, tmp_path: Path) -> None:
    """Also of a network that takes them as Keras does, channels last."""
    turn = [
        helper.make_node("Mul", ["f", "byte"], ["a"]),
        helper.make_node("Transpose", ["a"], ["y"], perm=[0, 3, 1, 2]),
    ]
    file = onnx_of_bytes(tmp_path / "a.onnx", CAST, *(turn if last else [SCALE]), last=last)
    design = cnn2rtl.compile(file, calibration=BYTES)
    session = onnxruntime.InferenceSession(str(file))
    given = BYTES if last else BATCH.numpy()
    exact = np.concatenate([session.run(None, {"x": image[None]})[0] for image in given]).transpose(0, 2, 3, 1)
    codes = design.golden(BYTES) * design.graph[design.graph.output].out.scale
    assert abs(codes - exact).max() < 0.02 * np.ptp(exact)
    assert "the model declares uint8, so it gets pixels as they are" in design.about["notes"][-1]
    with pytest.raises(UserError, match="of type uint8: it takes pixels as they are, 0 to 255"):
        cnn2rtl.compile(file, mean=0.5, std=0.5)


def test_onnx_of_whole_numbers_that_are_none_of_pixels(tmp_path: Path) -> None:
    double = helper.make_node("Mul", ["x", "two"], ["d"])
    file = onnx_of_bytes(tmp_path / "a.onnx", double, helper.make_node("Cast", ["d"], ["y"], to=TensorProto.FLOAT))
    with pytest.raises(UserError, match="computes with whole numbers; cast them to floats first"):
        cnn2rtl.compile(file)
    for dtype, said in ((TensorProto.INT8, "int8, which cannot hold"), (TensorProto.BOOL, "of type bool; floats, or")):
        with pytest.raises(UserError, match=said):
            cnn2rtl.compile(onnx_of_bytes(tmp_path / "a.onnx", CAST, SCALE, dtype=dtype))


TWICE = [
    (lambda x: x / 255, None, "0 to 0.003922"),
    (lambda x: x * (1 / 127.5) - 1, None, "-1 to -0.9922"),
    (lambda x: nn.functional.pad(x, (1, 1, 1, 1)) / 255, None, "0 to 0.003922"),
    (lambda x: (x - 123.675) / 58.395, None, "-2.118 to -2.101"),
    (lambda x: (x - torch.tensor([123.0, 116, 103])[:, None, None]) / 58, None, "-2.121 to -2.103"),
    (lambda x: x, nn.BatchNorm2d(3), "-1.714 to -1.7"),
]


@pytest.mark.parametrize(("scaling", "first", "seen"), TWICE)
def test_floats_that_are_scaled_twice_are_told(
    scaling: Callable[[Tensor], Tensor], first: nn.Module | None, seen: str
) -> None:
    if isinstance(first, nn.BatchNorm2d):
        # As it is after training on pixels of 0 to 255.
        assert first.running_mean is not None and first.running_var is not None
        first.running_mean.fill_(120)
        first.running_var.fill_(4900)
    module = Own(scaling, first)
    with pytest.warns(Notice, match="after .pixel / 255 - mean. / std: its first layer sees values from") as told:
        cnn2rtl.compile(module, SHAPE, calibration=BYTES)
    assert seen in str(told[0].message) and "give `mean=0` and `std=1/255`" in str(told[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        right = cnn2rtl.compile(module, SHAPE, calibration=BYTES, std=1 / 255)
    assert difference(right, module, BATCH.float()) < 0.02


@pytest.mark.parametrize("scaling", [lambda x: x, lambda x: 2 * x - 1, lambda x: (x - 0.485) / 0.229])
def test_what_is_scaled_once_is_not_suspected(scaling: Callable[[Tensor], Tensor]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        cnn2rtl.compile(Own(scaling), SHAPE, calibration=BYTES)


@pytest.mark.parametrize(
    ("mean", "std", "remedy"),
    [
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "mean 0.485,0.456,0.406 and std 0.229,0.224,0.225"),
        ((127.5,), (127.5,), "mean 0.5 and std 0.5"),
        ((0.0,), (255.0,), "mean 0 and std 1"),
        ((0.485,), (58.395,), "mean 0.485 and std 0.229"),
        ((104.0, 117.0, 123.0), (1.0,), "mean 0.407843,0.458824,0.482353 and std 0.00392157"),
        ((123.675,), (0.229,), "for (pixel - mean) / 255 / std it is mean 0.485 and std 0.229"),
        ((-128.0,), (1.0,), "mean -0.501961 and std 0.00392157"),
    ],
)
def test_normalisation_of_bytes_is_refused_with_the_right_values(
    mean: tuple[float, ...], std: tuple[float, ...], remedy: str
) -> None:
    with pytest.raises(UserError) as refused:
        check_normalisation(mean, std, 3)
    (problem,) = refused.value.problems
    assert "made for pixels of 0 to 255, and here it is (pixel / 255 - mean) / std" in problem and remedy in problem


def test_normalisation_of_one_is_not() -> None:
    for mean, std in (((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((0.0,), (1 / 255,)), ((1.0,), (1.0,))):
        check_normalisation(mean, std, 3)


def test_fractions_on_the_command_line() -> None:
    assert parse_numbers("--std", "1/255") == (1 / 255,) and parse_numbers("--mean", "1/2, 0.25") == (0.5, 0.25)
    for text in ("1/0", "1/", "/2", "1/2/3"):
        with pytest.raises(UserError, match="numbers are expected"):
            parse_numbers("--std", text)
