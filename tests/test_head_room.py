"""Outputs have head room: other images reach further than those of calibration, and saturated classes would tie."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cnn2rtl.compiled import Compiled
from cnn2rtl.frontend import capture
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.quant.qformat import QFormat
from cnn2rtl.tensors import Shape

SHAPE = (1, 2, 2)


def images(top: int, count: int = 8) -> np.ndarray:
    rng = np.random.default_rng(0)
    found = rng.integers(0, top + 1, (count, 2, 2, 1), np.uint8)
    found[0] = top
    return found


def scores(*layers: nn.Module, signs: int = 1) -> nn.Module:
    """Three classes, of which the last two are near each other."""
    fc = nn.Linear(4, 3, bias=False)
    with torch.no_grad():
        fc.weight[:] = torch.tensor([[0.1] * 4, [0.255] * 4, [0.25] * 4]) * 4 * signs
    return nn.Sequential(nn.Flatten(), fc, *layers)


def compiled(net: nn.Module, top: int, shape: Shape = SHAPE, **options: object) -> Compiled:
    graph = capture(net.eval(), shape, "net")
    return compile_graph(graph, Options(**options), images(top))  # type: ignore[arg-type]


def output(design: Compiled) -> QFormat:
    return design.graph[design.graph.output].out


def exact(design: Compiled, pixels: np.ndarray) -> np.ndarray:
    return design.float_graph.forward(pixels)


@pytest.mark.parametrize("ranges", ["minmax", "percentile", "mse"])
@pytest.mark.parametrize("scheme", ["pow2", "scale"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_four_times_further_is_not_clipped(bits: int, scheme: str, ranges: str) -> None:
    options = {"weight_bits": 16, "output_bits": bits, "scheme": scheme, "ranges": ranges}
    design, fresh = compiled(scores(), 63, **options), images(248)
    out, codes, wanted = output(design), design.golden(fresh), exact(design, fresh)
    assert out.lo < codes.min() and codes.max() < out.hi
    assert np.abs(out.reals(codes) - wanted).max() <= out.coarsest
    # Two classes that are further than any was in calibration.
    assert codes[0, 0, 0, 1] > codes[0, 0, 0, 2] > design.golden(images(63)).max()


@pytest.mark.parametrize(("bits", "room"), [(2, 0), (7, 0), (8, 0), (9, 1), (10, 2), (16, 2)])
def test_how_much(bits: int, room: int) -> None:
    """Few bits are worth more as precision."""
    seen = compiled(scores(signs=-1), 100, output_bits=bits, scheme="scale", weight_bits=16)
    low = exact(seen, images(100)).min()
    assert output(seen).signed and output(seen).lo * output(seen).coarsest == pytest.approx(low * 2**room, rel=1e-3)


def test_what_was_not_seen_may_be_negative() -> None:
    net = scores()
    out = output(compiled(net, 100))
    assert out.signed and output(compiled(net, 100, output_bits=8)).signed is False
    assert not output(compiled(scores(nn.ReLU()), 100)).signed


@pytest.mark.parametrize(
    ("last", "low", "high"),
    [(nn.ReLU6(), 0.0, 6.0), (nn.Hardtanh(-2.0, 0.5), -2.0, 0.5), (nn.Sigmoid(), 0.0, 1.0), (nn.Tanh(), -1.0, 1.0)],
)
def test_no_further_than_is_possible(last: nn.Module, low: float, high: float) -> None:
    """Where the range is known, no code is wasted."""
    design = compiled(nn.Sequential(scores(), last), 255, scheme="scale")
    out = output(design)
    assert out.ends[1] == pytest.approx(high, rel=1e-3) or out.ends[0] == pytest.approx(low, rel=1e-3)
    assert out.coarsest <= 1.001 * max(high / ((1 << 15 + (low == 0)) - 1), -low / (1 << 15))


def test_an_average_is_no_larger_than_what_it_is_of() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    with torch.no_grad():
        net[0].weight[:] = torch.tensor([1.0, 0.5]).reshape(2, 1, 1, 1)
    design = compiled(net, 200, scheme="scale", activation_bits=8)
    (source,) = (node.out for node in design.graph.layers[:-1])
    assert not output(design).signed and output(design).ends[1] <= source.ends[1] * 1.001


def test_the_index_is_that_of_scores_with_room() -> None:
    design, fresh = compiled(scores(), 63, class_index=True, weight_bits=16), images(248)
    assert (design.golden(fresh)[0] == 1).all()
    assert str(output(design)) == "u16.0"


def test_every_output_has_it() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = scores(), scores(signs=-1)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.one(x), self.two(x)

    design, fresh = compiled(Two(), 63, weight_bits=16), images(248)
    for name, codes in zip(design.graph.outputs, design.golden_outputs(fresh), strict=True):
        out = design.graph[name].out
        assert out.lo < codes.min() and codes.max() < out.hi


def test_nothing_within_the_network_has_it() -> None:
    """There, what saturates now and then costs less than what larger steps would."""
    net = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    with torch.no_grad():
        net[0].weight[:] = torch.tensor([1.0, 0.5]).reshape(2, 1, 1, 1)
    design = compiled(net, 255, scheme="scale", activation_bits=16)
    inner = design.graph.layers[0]
    assert design.golden_tensors(images(255))[inner.name].max() > 0.99 * inner.out.hi
