"""What a network ends in: what may be left out there, because whoever reads the outputs sees no difference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture

SHAPE = (3, 6, 5)


class Ending(nn.Module):
    """A convolution, and what comes behind it."""

    def __init__(self, end: Callable[[Tensor], Tensor], channels: int = 4, kernel: int | tuple[int, int] = 1) -> None:
        super().__init__()
        self.conv, self.end = nn.Conv2d(3, channels, kernel), end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.conv(x))


NOTE = "is left out: the outputs are scores, whose order is that of the probabilities."

# What comes behind a convolution of 4 channels, and how large its kernel is.
LEFT_OUT: dict[str, tuple[Callable[[Tensor], Tensor], int | tuple[int, int]]] = {
    "over classes": (lambda x: x.softmax(1), 1),
    "from the end": (lambda x: x.softmax(-3), 1),
    "logarithms": (lambda x: x.log_softmax(1), 1),
    "then flat": (lambda x: x.softmax(1).flatten(1), (6, 5)),
    "flat, then": (lambda x: x.flatten(1).softmax(-1), (6, 5)),
    "classes last": (lambda x: x.permute(0, 2, 3, 1).softmax(-1).permute(0, 3, 1, 2), 1),
    "a row of pixels": (lambda x: x.flatten(2).softmax(1).unflatten(2, (6, 5)).clone(), 1),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_softmax_over_the_classes_is_left_out(name: str) -> None:
    end, kernel = LEFT_OUT[name]
    model = Ending(end, kernel=kernel).eval()
    graph = capture(model, SHAPE, "net")
    assert [note.split("` ")[1] for note in graph.notes] == [NOTE]
    x = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model.conv(x).numpy().transpose(0, 2, 3, 1)
        ranks = model(x).numpy().reshape(2, 4, -1).argsort(1)
    found = graph.forward(x.numpy().transpose(0, 2, 3, 1))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.transpose(0, 3, 1, 2).reshape(2, 4, -1).argsort(1), ranks)


def test_the_largest_probability_is_the_largest_score() -> None:
    graph = capture(Ending(lambda x: x.softmax(1).argmax(1)).eval(), SHAPE, "net")
    assert [node.op.kind for node in graph.nodes] == ["input", "conv2d", "argmax"]
    assert not graph.notes  # the index is the model's own


REFUSED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "columns": (lambda x: x.softmax(3), "goes over dim=3, that is, over several pixels of a 4x6x5 map"),
    "rows, as logarithms": (lambda x: x.log_softmax(2), "goes over dim=2, that is, over several pixels"),
    "rows of classes last": (lambda x: x.permute(0, 2, 3, 1).softmax(1), "over several pixels"),
    "channels, counted as pixels": (lambda x: x.permute(0, 2, 3, 1).softmax(-2), "over several pixels"),
    "all values": (lambda x: x.flatten(1).softmax(1), "over several pixels"),
    "the batch": (lambda x: x.softmax(0), "goes over the images of a batch"),
    "one value": (lambda x: x[:, :1].softmax(1), "goes over dim=1, which has one value alone"),
    "one value of a mean": (lambda x: x.mean(1, keepdim=True).softmax(1), "has one value alone"),
    "padded channels": (lambda x: nn.functional.pad(x, (0, 0, 0, 0, 0, 1)).softmax(1), "over several pixels"),
    "in the middle": (lambda x: x.softmax(1) * 2, "is supported at the end of the network alone"),
    "one class of it": (lambda x: x.softmax(1)[:, 1:2], "is supported at the end of the network alone"),
    "a mean of it": (lambda x: x.softmax(1).mean((2, 3)), "is supported at the end of the network alone"),
    "shown and used": (lambda x: (x.softmax(1), x.softmax(1).relu()), "is supported at the end"),  # type: ignore[dict-item]
    "anchors, then the class": (
        lambda x: x.view(-1, 2, 2, 6, 5).softmax(2).flatten(1, 2).argmax(1),
        "is supported at the end of the network alone",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_softmax_is_refused(name: str) -> None:
    end, why = REFUSED[name]
    with pytest.raises(UserError) as caught:
        capture(Ending(end).eval(), SHAPE, "net")
    (problem,) = caught.value.problems
    assert why in problem and "softmax" in problem
