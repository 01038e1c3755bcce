"""What the model itself gives, beside what its float graph gives where the model has it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from cnn2rtl.graph import FloatGraph, Node
from cnn2rtl.tensors import FloatArray, Shape


def images_for(graph: FloatGraph, shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, FloatArray]:
    """Random values of each input as the model takes it, (2, *shape)."""
    rng = np.random.default_rng(seed)
    assert [*graph.inputs] == [*shapes]
    return {name: rng.normal(size=(2, *shape)) for name, shape in shapes.items()}


def streamed(values: FloatArray, shape: Shape, last: bool) -> FloatArray:
    """An input of the model, (n, ...), as the hardware takes it, (n, h, w, c)."""
    c, h, w = shape
    return values.reshape(-1, h, w, c) if last else values.reshape(-1, c, h, w).transpose(0, 2, 3, 1)


def restored(graph: FloatGraph, given: dict[str, FloatArray]) -> tuple[FloatArray, ...]:
    """The model's outputs by the graph, from inputs (n, h, w, c)."""
    batch: np.ndarray
    if len(given) == 1:
        (batch,) = given.values()
    else:
        count = len(next(iter(given.values())))
        batch = np.empty(count, [(name, np.float64, values.shape[1:]) for name, values in given.items()])
        for name, values in given.items():
            batch[name] = values
    found: dict[str, FloatArray] = {}

    def keep(node: Node, values: FloatArray) -> None:
        found[node.name] = values

    graph.forward(batch, keep)
    maps = [found[name] for name in graph.outputs]
    return tuple(output.of(maps) for output in graph.restored)


def assert_own(
    graph: FloatGraph, model: nn.Module, *shapes: tuple[int, ...], last: tuple[bool, ...] = (False,)
) -> None:
    """The model's own outputs come of the graph's, whichever inputs have their channels ``last``."""
    given = images_for(graph, dict(zip(graph.inputs, shapes, strict=True)))
    taken = {
        name: streamed(values, graph.inputs[name], own) for (name, values), own in zip(given.items(), last, strict=True)
    }
    with torch.no_grad():
        expected = model.double()(*(torch.from_numpy(values) for values in given.values()))
    expected = expected if isinstance(expected, tuple) else (expected,)
    for actual, wanted in zip(restored(graph, taken), expected, strict=True):
        assert actual.shape == tuple(wanted.shape)
        np.testing.assert_allclose(actual, wanted.numpy(), rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
