"""Quantisation-aware training computes in torch what the golden model and the hardware compute."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from anything import any_case
from command_line import EXAMPLE
from generator import images_for, random_case
from harness import Bench

from cnn2rtl.compress.layers import obstacle
from cnn2rtl.compress.network import Network, as_maps
from cnn2rtl.compress.qat import Training, train
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture
from cnn2rtl.graph import FloatGraph, QuantGraph
from cnn2rtl.images import Pixels
from cnn2rtl.options import Options
from cnn2rtl.pipeline import implemented, quantise_graph
from cnn2rtl.quant.qformat import IntArray
from cnn2rtl.schedule import Target
from cnn2rtl.trained import load, save

SEEDS = 28


def extreme(images: Pixels) -> Pixels:
    """``images``, the first black, the second white, the third as far apart from pixel to pixel as can be."""
    images = images.copy()
    images[0], images[1] = 0, 255
    images[2] = 255 * (np.indices(images[2].shape).sum(0) % 2)
    return images


def in_torch(network: Network, images: Pixels) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with torch.no_grad():
        network(as_maps(images), lambda name, x: found.update({name: x.permute(0, 2, 3, 1).numpy()}))
    return found


def golden(graph: QuantGraph, images: Pixels) -> dict[str, IntArray]:
    found: dict[str, IntArray] = {}
    graph.run(images.astype(np.int32), lambda node, codes: found.update({node.name: codes}))
    return found


@pytest.mark.parametrize("anything", [False, True], ids=["in a row", "anything"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_value_is_that_of_the_golden_model(seed: int, anything: bool) -> None:
    torch.set_num_threads(1)
    case = any_case(seed) if anything else random_case(seed)
    # All widths from 2 to 8, each with both schemes.
    widths = {"weight_bits": 2 + seed % 7, "activation_bits": 2 + seed // 2 % 7}
    options = replace(case.options, scheme=("pow2", "scale")[seed // 7 % 2], **widths)
    made = quantise_graph(case.capture(), options, case.images)
    float_graph, graph = made.graph, made.integers
    if any(obstacle(node.op, node.layer) for node in graph.layers if node.layer is not None):
        with pytest.raises(UserError, match=r"cannot put the constant .* pad with zeros"):
            Network(float_graph, graph)
        return
    network, images = Network(float_graph, graph), extreme(images_for(case.shape, seed + 3, 4))
    start = network.trained()
    for node in graph.layers:
        assert node.layer is not None
        new = start[node.name].layer
        assert new is not None and np.array_equal(node.layer.weight, new.weight)
        assert np.array_equal(node.layer.bias, new.bias)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(3):
        found, expected = in_torch(network, images), golden(network.trained(), images)
        assert set(found) == {node.name for node in graph.layers}
        for name, codes in found.items():
            np.testing.assert_array_equal(codes, expected[name], err_msg=f"{case}\n{name}")
        for parameter in network.parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
        network.keep_within()
    loss = network(as_maps(images)).square().mean()
    if loss.requires_grad:
        loss.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@cache
def digits() -> tuple[FloatGraph, Pixels, tuple[int, ...]]:
    """The shipped example with its own weights, 300 images of its training data and their labels."""
    sys.path.insert(0, str(EXAMPLE))
    from model import DigitNet

    model = DigitNet()
    model.load_state_dict(torch.load(EXAMPLE / "digits.pt", weights_only=True))
    with np.load(EXAMPLE / "digits.npz") as data:
        chosen = np.flatnonzero(~data["test"])[:300]
        images, labels = data["images"][chosen][..., None], data["labels"][chosen]
    return capture(model.eval(), (1, 8, 8), "digits"), images, tuple(labels.tolist())


def answers(graph: QuantGraph, images: Pixels) -> IntArray:
    return graph.run(images.astype(np.int32)).mean((1, 2)).argmax(-1)


def test_training_learns_and_the_hardware_computes_it(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    network, images, labels = digits()
    options = Options(weight_bits=3, activation_bits=4)
    made = quantise_graph(network, options, images[:50])
    float_graph, graph = made.graph, made.integers
    training = Training(epochs=3)
    epochs = list(train(float_graph, graph, images, labels, training))
    last = epochs[-1].graph
    assert [epoch.number for epoch in epochs] == [1, 2, 3]
    assert epochs[-1].loss < 0.7 * epochs[0].loss
    assert np.mean(answers(graph, images) == labels) < 0.95 < np.mean(answers(last, images) == labels)
    again = next(train(float_graph, graph, images, labels, training))
    assert again.loss == epochs[0].loss

    save(replace(made, integers=last, origin="50 images"), tmp_path / "digits.npz")
    trained = load(tmp_path / "digits.npz")
    for node in trained.integers.layers:
        old, new, stored = graph[node.name].layer, last[node.name].layer, node.layer
        assert old is not None and new is not None and stored is not None and node.out == graph[node.name].out
        assert np.array_equal(stored.weight, new.weight) and np.array_equal(stored.bias, new.bias)
        assert not node.op.weights or not np.array_equal(stored.weight, old.weight)
    compiled = implemented(trained, Options(target=Target(multipliers=40)))
    assert compiled.about["options"]["weight_bits"] == 3 and compiled.about["calibration"] == "50 images"
    bench = Bench(compiled, extreme(images[:4]), tmp_path / "project")
    assert not bench.complaints((40,))
    indexed = implemented(trained, Options(class_index=True))
    assert np.array_equal(indexed.golden(images)[:, 0, 0, 0], answers(last, images))


def test_the_float_network_teaches_where_there_are_no_labels() -> None:
    torch.set_num_threads(1)
    network, images, _ = digits()
    made = quantise_graph(network, Options(weight_bits=3, activation_bits=3), images[:50])
    float_graph, graph = made.graph, made.integers
    wanted = float_graph.forward(images.astype(np.float64)).mean((1, 2)).argmax(-1)
    *_, last = train(float_graph, graph, images, None, Training(epochs=10, batch=16))
    before, after = (np.mean(answers(g, images) == wanted) for g in (graph, last.graph))
    assert before < 0.93 < after
