"""The reference network, as trained and as pruned, whole: every value of every layer in Verilator.

With random weights always; with the trained ones, on photographs, where the shared test data is.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from external import need
from generator import images_for
from harness import Bench
from models import StudentNet, need_data, randomised
from torch_reference import integer_tensors

from cnn2rtl.frontend import capture
from cnn2rtl.images import Pixels, load_images
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.schedule import Target
from cnn2rtl.tensors import Shape

pytestmark = pytest.mark.slow

WIDTHS = {"dense": StudentNet.WIDTHS, "pruned": (16, 32, 64, 99, 198, 198, 198, 256)}


def prove(
    net: StudentNet, shape: Shape, images: Pixels, options: Options, folder: Path, stalls: tuple[int, ...]
) -> None:
    need("verilator")
    compiled = compile_graph(capture(net, shape, "student"), options, images)
    bench = Bench(compiled, images[:2], folder / "project", "verilator")
    assert not bench.complaints(stalls)


@pytest.mark.parametrize("widths", WIDTHS)
def test_random_weights(widths: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = randomised(StudentNet(WIDTHS[widths]))
    shape = (3, 24, 40)
    options = Options(
        scheme="scale" if widths == "pruned" else "pow2", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
        target=Target(multipliers=100),
    )  # fmt: skip
    prove(net, shape, images_for(shape, 1, 4), options, tmp_path, (40,))


def test_trained_weights_on_photographs(tmp_path: Path) -> None:
    state = torch.load(need_data("studentnet/student_custom_small.bin"), map_location="cpu", weights_only=True)
    net = StudentNet()
    net.load_state_dict(state)
    shape = (3, 128, 128)
    images = load_images(need_data("food"), shape, "crop", 10).images
    prove(net.eval(), shape, images, Options(target=Target(multipliers=300)), tmp_path, ())
    # The golden model itself, on another image than those it was calibrated on.
    compiled = compile_graph(capture(net, (3, 32, 32), "student"), Options(), images[:, :32, :32])
    other = images[:1, 64:96, 64:96]
    expected = integer_tensors(compiled.graph, other)
    for name, codes in compiled.golden_tensors(other).items():
        assert (codes == expected[name]).all(), name
