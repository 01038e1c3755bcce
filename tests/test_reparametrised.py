"""Weights that hooks compute become plain ones: of a network in memory, and in whichever form a checkpoint has them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from command_line import succeed
from models import randomised
from test_capture import assert_equal
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from cnn2rtl.errors import Notice, UserError
from cnn2rtl.frontend import capture, load_model
from cnn2rtl.reading import open_file

SHAPE = (3, 8, 8)
pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")


class Centred(nn.Module):
    """A parametrisation that somebody wrote."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight - weight.mean((1, 2, 3), keepdim=True)


def standardised(conv: nn.Module) -> None:
    """A hook that somebody wrote."""
    conv.raw = nn.Parameter(conv.weight.detach().clone())  # type: ignore[union-attr, operator]
    del conv.weight
    conv.register_forward_pre_hook(lambda layer, _: setattr(layer, "weight", layer.raw / layer.raw.std()))


def several_masks(layer: nn.Module) -> None:
    """Pruned more than once, the bias as well."""
    prune.l1_unstructured(layer, "weight", 0.3)
    prune.random_unstructured(layer, "weight", 0.3)
    prune.l1_unstructured(layer, "bias", 0.5)


STORED: dict[str, Callable[[nn.Module], object]] = {
    "plain": lambda layer: None,
    "weight_norm": lambda layer: weight_norm(layer),
    "weight_norm, parametrised": lambda layer: parametrizations.weight_norm(layer),
    "spectral_norm": lambda layer: spectral_norm(layer),
    "spectral_norm, parametrised": lambda layer: parametrizations.spectral_norm(layer),
    "masks": several_masks,
}
"""Forms that a checkpoint's names tell."""

OTHERS: dict[str, Callable[[nn.Module], object]] = {
    "one norm of all": lambda layer: weight_norm(layer, dim=None),
    "a norm along another dimension": lambda layer: weight_norm(layer, dim=1),
    "a parametrisation of one's own": lambda layer: parametrize.register_parametrization(layer, "weight", Centred()),
    "a hook of one's own": standardised,
}


def network(form: Callable[[nn.Module], object], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))
    form(model[0])
    form(model[3])
    with warnings.catch_warnings():
        model(torch.rand(2, *SHAPE))  # a step of power iteration
    return model.eval()


@pytest.mark.parametrize("form", [*STORED, *OTHERS])
def test_in_memory(form: str) -> None:
    """Captured as it computes, and left as it was."""
    model = network({**STORED, **OTHERS}[form])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    graph = capture(model, SHAPE, "net")
    assert_equal(graph, model, SHAPE)
    assert {node.name for node in graph.nodes} >= {"0", "3"}
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize("own", STORED)
@pytest.mark.parametrize("stored", STORED)
def test_in_a_checkpoint(tmp_path: Path, stored: str, own: str) -> None:
    """Whatever form the checkpoint has, and whatever the network: the result is what the first one computed."""
    model = network(STORED[stored])
    torch.save(model.state_dict(), tmp_path / "w.pt")
    (tmp_path / "net.py").write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"from test_reparametrised import STORED, network\ndef net():\n    return network(STORED[{own!r}], 1)\n"
    )
    loaded = load_model(tmp_path / "w.pt", f"{tmp_path / 'net.py'}:net")
    assert_equal(capture(loaded, SHAPE, "net"), model, SHAPE)


@pytest.mark.parametrize("form", [lambda layer: weight_norm(layer, dim=1), spectral_norm])
def test_transposed_convolutions_have_another_dimension(tmp_path: Path, form: Callable[[nn.Module], object]) -> None:
    model = randomised(nn.Sequential(nn.ConvTranspose2d(3, 4, 2, 2)))
    form(model[0])
    torch.save(model.eval().state_dict(), tmp_path / "w.pt")
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef net():\n    return nn.Sequential(nn.ConvTranspose2d(3, 4, 2, 2))\n"
    )
    assert_equal(capture(load_model(tmp_path / "w.pt", f"{tmp_path / 'net.py'}:net"), SHAPE, "net"), model, SHAPE)


def test_a_form_that_names_do_not_tell(tmp_path: Path) -> None:
    model = network(OTHERS["a parametrisation of one's own"])
    torch.save(model.state_dict(), tmp_path / "w.pt")
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef net():\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))\n"
    )
    with pytest.raises(UserError, match="save the weights after remove_parametrizations"):
        load_model(tmp_path / "w.pt", f"{tmp_path / 'net.py'}:net")


def test_what_cannot_be_copied() -> None:
    model = nn.Conv2d(3, 2, 1)
    model.log = Path(__file__).open()  # type: ignore[assignment]  # noqa: SIM115
    with model.log, pytest.raises(UserError, match=r"cannot be copied: it has a .*; keep what is no part of"):
        capture(model.eval(), SHAPE, "net")


def test_training_starts_from_plain_weights(tmp_path: Path) -> None:
    """Whose zeros no mask holds any more, which is told."""
    model = network(STORED["masks"])
    torch.save(model.state_dict(), tmp_path / "w.pt")
    (tmp_path / "net.py").write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_reparametrised import STORED, network\ndef net():\n    return network(STORED['masks'], 1)\n"
    )
    with pytest.warns(Notice, match=r"the pruning masks of 0.weight, 0.bias, 3.weight, 3.bias are merged"):
        trainable = open_file(tmp_path / "w.pt", f"{tmp_path / 'net.py'}:net").module()
    assert set(trainable.state_dict()) == set(network(STORED["plain"]).state_dict())
    assert torch.equal(trainable.get_parameter("0.weight"), model[0].weight)  # type: ignore[index]


def test_the_command(tmp_path: Path) -> None:
    torch.save(network(STORED["weight_norm"]).state_dict(), tmp_path / "tcn.pt")
    (tmp_path / "net.py").write_text(
        "from torch import nn\nfrom torch.nn.utils import weight_norm\ndef net():\n    return nn.Sequential("
        "weight_norm(nn.Conv2d(3, 4, 3)), nn.BatchNorm2d(4), nn.ReLU(), weight_norm(nn.Conv2d(4, 2, 3)))\n"
    )
    arch = f"{tmp_path / 'net.py'}:net"
    succeed("generate", tmp_path / "tcn.pt", "--arch", arch, "--input", "3x8x8", "-o", tmp_path / "o", cwd=tmp_path)
