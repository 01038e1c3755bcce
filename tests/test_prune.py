"""Pruning: which channels go together, which go first, how many, and what is left when they are gone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from models import StudentNet, randomised
from torch import nn

from cnn2rtl.compress.prune import (
    Channels,
    Scope,
    as_it_is,
    find_channels,
    gamma_penalty,
    keep_share,
    magnitude,
    prune,
    slimming,
    taylor,
    widths_that_fit,
    without,
)
from cnn2rtl.compress.prune.channels import Part
from cnn2rtl.compress.prune.fit import SHARES, with_spare
from cnn2rtl.compress.training.feed import Batch
from cnn2rtl.devices import Device, find
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture
from cnn2rtl.options import Options
from cnn2rtl.pipeline import check_feasible, simplified
from cnn2rtl.quantised import Quantised
from cnn2rtl.schedule import Schedule, Target, schedule
from cnn2rtl.tensors import Shape

STUDENT: Shape = (3, 128, 128)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.inner, self.outer = nn.Conv2d(6, 4, 3, padding=1), nn.Conv2d(4, 6, 1)
        self.last = nn.Conv2d(6, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm(self.first(x)))
        x = F.relu(x + self.outer(F.relu(self.inner(x))))
        scores: torch.Tensor = self.last(x).mean((2, 3))
        return scores


class Joined(nn.Module):
    """Two branches and the image itself side by side, then a layer that adds a third to them."""

    def __init__(self, image: bool = False) -> None:
        super().__init__()
        self.image, width = image, 13 if image else 11
        self.left, self.right = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(2, 5, 1)
        self.norm = nn.BatchNorm2d(width)
        self.depthwise, self.last = nn.Conv2d(width, width, 3, groups=width), nn.Conv2d(width, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branches = [F.relu(self.left(x)), self.right(x)]
        joined = torch.cat([x, *branches] if self.image else branches, 1)
        scores: torch.Tensor = self.last(F.relu(self.depthwise(self.norm(joined)))).mean((2, 3))
        return scores


class Shifted(nn.Module):
    """What is added to the middle layer's channels is no layer's: the image, or a constant per channel."""

    def __init__(self, constant: bool) -> None:
        super().__init__()
        self.constant = constant
        self.first, self.last = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 3, 1)
        self.register_buffer("shift", torch.ones(2, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.last(self.first(x) + (self.shift if self.constant else x)).mean((2, 3))
        return scores


def chain() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.ReLU6(), nn.MaxPool2d(2), nn.Conv2d(8, 6, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(24, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4),
    )  # fmt: skip


def separable() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 7, 3), nn.BatchNorm2d(7), nn.ReLU6(), nn.Conv2d(7, 7, 3, groups=7), nn.BatchNorm2d(7), nn.ReLU6(),
        nn.Conv2d(7, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


# By hand: what of the readers' columns belongs to channel i, of every set of channels of a network for 2x6x6.
READ: dict[str, tuple[Callable[[], nn.Module], dict[str, dict[str, Callable[[int], list[int]]]]]] = {
    "chain": (
        chain,
        {
            "0": {"4": lambda i: [i]},
            "4": {"7": lambda i: [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3]},
            "7": {"10": lambda i: [i]},
        },
    ),
    "separable": (separable, {"0": {"6": lambda i: [i]}, "6": {"9": lambda i: [i]}}),
    "residual": (
        Residual,
        {"first": {"inner": lambda i: [i], "last": lambda i: [i]}, "inner": {"outer": lambda i: [i]}},
    ),
    "joined": (Joined, {"left": {"last": lambda i: [i]}, "right": {"last": lambda i: [6 + i]}}),
}


@pytest.mark.parametrize("name", READ)
def test_removing_is_the_same_as_hiding(name: str) -> None:
    build, reads = READ[name]
    module, random = randomised(build()), np.random.default_rng(0)
    channels = find_channels(module, (2, 6, 6))
    assert [c.name for c in channels] == list(reads)
    images = torch.randn(2, 2, 6, 6)
    before = module(images)
    for _ in range(5):
        kept, hidden = {}, copy.deepcopy(module)
        for c in channels:
            kept[c.name] = sorted(random.choice(c.width, random.integers(1, c.width + 1), replace=False).tolist())
            for layer, columns in reads[c.name].items():
                for gone in set(range(c.width)) - set(kept[c.name]):
                    hidden.get_submodule(layer).weight.data[:, columns(gone)] = 0.0
        fewer = without(module, (2, 6, 6), kept)
        assert torch.allclose(fewer(images), hidden(images), atol=1e-5)
        left = {c.name: c.width for c in find_channels(fewer, (2, 6, 6))}
        assert {name: left[name] for name in kept} == {name: len(numbers) for name, numbers in kept.items()}
        assert sum(p.numel() for p in fewer.parameters()) <= sum(p.numel() for p in module.parameters())
    assert torch.equal(module(images), before)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        # Beside the image, torch-pruning would take the wrong columns.
        (Joined(image=True), []),
        (Shifted(constant=False), []),
        (Shifted(constant=True), []),
        (nn.Sequential(nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 1, groups=2), nn.Conv2d(4, 3, 1)), []),
        (nn.Sequential(nn.Conv2d(2, 4, 1, groups=2), nn.Conv2d(4, 5, 1), nn.Conv2d(5, 3, 1)), ["1"]),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), []),
        (nn.Sequential(nn.Conv2d(2, 1, 1), nn.Conv2d(1, 1, 1), nn.ReLU()), ["0"]),
    ],
)  # fmt: skip
def test_what_cannot_go_stays(module: nn.Module, names: list[str]) -> None:
    if names:
        assert [c.name for c in find_channels(module, (2, 6, 6))] == names
    else:
        with pytest.raises(UserError, match="no channels that could be removed"):
            find_channels(module, (2, 6, 6))


def test_channels_are_chosen_by_name() -> None:
    assert [c.name for c in find_channels(chain(), (2, 6, 6), ["[47]"])] == ["4", "7"]
    assert [c.name for c in find_channels(Residual(), (2, 6, 6), ["f*", "inner"])] == ["first", "inner"]
    with pytest.raises(UserError) as wrong:
        find_channels(Residual(), (2, 6, 6), ["outer", "first", "x*"])
    there = "no layer of that name makes channels that can be removed; there are first, inner"
    assert wrong.value.problems == (f"`only=outer`: {there}", f"`only=x*`: {there}")


def test_slimming_ranks_by_gamma() -> None:
    module = separable()
    gammas = torch.tensor([[0.5, -3.0, 0.1, 0.0, 2.0, 1.0, -0.2], [0.5, 1.0, 0.1, 4.0, 0.0, 1.0, 0.0]])
    module[1].weight.data, module[4].weight.data = gammas[0], gammas[1]
    channels = find_channels(module, (2, 6, 6))
    scores = slimming(module, channels)
    assert list(scores) == ["0"]
    assert np.allclose(scores["0"], gammas.abs().mean(0))
    assert channels[0].best(scores["0"], 3) == (1, 3, 4)
    # Of equals, the first ones.
    assert channels[0].best(np.ones(7), 2) == (0, 1)
    with pytest.raises(UserError, match="`by=slimming` ranks channels by the scales of BatchNorm"):
        slimming(module, channels[1:])
    module[1] = nn.BatchNorm2d(7, affine=False)
    assert np.allclose(slimming(module, channels)["0"], (1 + gammas[1].abs()) / 2)


def test_slimming_of_joined_branches_takes_each_their_part() -> None:
    module = Joined()
    module.norm.weight.data = torch.arange(11.0)
    scores = slimming(module, find_channels(module, (2, 6, 6)))
    assert scores["left"].tolist() == [0, 1, 2, 3, 4, 5] and scores["right"].tolist() == [6, 7, 8, 9, 10]


def test_magnitude_ranks_by_the_norm_of_filters() -> None:
    module = separable()
    module[0].weight.data = torch.ones(7, 2, 3, 3) * torch.tensor([1.0, -2, 3, 0, 2, 4, 2]).reshape(7, 1, 1, 1)
    module[3].weight.data = torch.ones(7, 1, 3, 3)
    (scores, _) = magnitude(module, find_channels(module, (2, 6, 6))).values()
    assert np.allclose(scores, (np.array([1, 2, 3, 0, 2, 4, 2]) / 2 + 1) / 2)
    module[6].weight.data.zero_()
    assert magnitude(module, find_channels(module, (2, 6, 6)))["6"].tolist() == [0, 0, 0, 0]


def test_taylor_is_the_gradient_of_a_gate() -> None:
    module = randomised(nn.Sequential(
        nn.Conv2d(2, 5, 3), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)
    ))  # fmt: skip
    batches = [Batch(torch.randn(6, 2, 6, 6), torch.randint(3, (6,)), torch.arange(6)) for _ in range(2)]
    wanted = []
    for batch in batches:
        gate = torch.ones(5, 1, 1, requires_grad=True)
        F.cross_entropy(module[1:](module[0](batch.inputs) * gate), batch.labels).backward()
        assert gate.grad is not None
        wanted.append(gate.grad.flatten().numpy() ** 2)
    channels = find_channels(module, (2, 6, 6))
    scores = taylor(module, channels, batches)
    assert np.allclose(scores["0"], np.mean(wanted, 0), rtol=1e-4)
    assert all(parameter.grad is None for parameter in module.parameters())
    with pytest.raises(UserError, match="`by=taylor` ranks channels by their effect on images, and there are none"):
        taylor(module, channels, [])


@pytest.mark.parametrize(
    ("keep", "scope", "step", "widths"),
    [
        (1.0, "layer", 1, [8, 6, 5]),
        (0.5, "layer", 1, [4, 3, 2]),
        (0.5, "layer", 4, [4, 4, 4]),
        (0.0, "layer", 1, [1, 1, 1]),
        # Narrower than the step: as wide as it is.
        (0.0, "layer", 8, [8, 6, 5]),
        (1.0, "layer", 3, [6, 6, 3]),
        (10 / 19, "global", 1, [8, 2, 1]),
        (10 / 19, "global", 4, [8, 4, 4]),
        (0.0, "global", 1, [1, 1, 1]),
    ],
)
def test_widths(keep: float, scope: Scope, step: int, widths: list[int]) -> None:
    channels = find_channels(chain(), (2, 6, 6))
    scores = {"0": np.full(8, 3.0), "4": np.array([2, 2, 1, 1, 1, 0.1]), "7": np.zeros(5)}
    assert list(keep_share(channels, scores, keep, scope, step).values()) == widths


def test_every_layer_keeps_a_channel() -> None:
    both = Channels("c", 4, (Part("a", (0, 1), (0, 1)), Part("b", (2, 3), (0, 1))), (), ())
    assert both.best(np.array([4.0, 3.0, 1.0, 2.0]), 2) == (0, 3)
    assert both.best(np.array([4.0, 3.0, 1.0, 2.0]), 1) == (0, 3)
    for build, _ in READ.values():
        module = build().eval()
        channels = find_channels(module, (2, 6, 6))
        scores = magnitude(module, channels)
        (last,) = prune(module, (2, 6, 6), channels, keep_share(channels, scores, 0.0, "layer"), magnitude)
        assert set(last.widths.values()) == {1} and last.module(torch.zeros(1, 2, 6, 6)).shape == (
            1,
            module(torch.zeros(1, 2, 6, 6)).shape[1],
        )


def test_rounds_train_what_is_left() -> None:
    module = separable().train()
    seen: list[nn.Module] = []

    def fine_tune(smaller: nn.Module, number: int) -> nn.Module:
        assert number == len(seen) + 1
        seen.append(smaller)
        assert smaller.training
        # What was worst before is best from now on.
        smaller[1].weight.data.neg_().add_(2)  # type: ignore[operator, union-attr]
        return smaller

    module[1].weight.data = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    channels = find_channels(module, (2, 6, 6), ["0"])
    one, two = prune(module, (2, 6, 6), channels, {"0": 2}, slimming, fine_tune, rounds=2)
    assert (one.number, one.widths, two.number, two.widths) == (1, {"0": 4}, 2, {"0": 2})
    assert [one.module, two.module] == seen
    # 0.4 to 0.7 stayed and became 1.6 to 1.3, of which the first two stayed and are 0.4 and 0.5 now.
    assert torch.allclose(two.module.get_parameter("1.weight"), torch.tensor([0.4, 0.5]))
    assert torch.equal(two.module.get_parameter("0.weight"), module.get_parameter("0.weight")[3:5])
    assert module[0].out_channels == 7


def test_the_study_s_widths() -> None:
    module = randomised(StudentNet())
    channels = find_channels(module, STUDENT, ["cnn.[3-6].*"])
    widths = keep_share(channels, slimming(module, channels), 0.7738, "layer")
    assert widths == {"cnn.3.3": 99, "cnn.4.3": 198, "cnn.5.3": 198, "cnn.6.3": 198}
    *_, last = prune(module, STUDENT, channels, widths, slimming, rounds=5)
    assert sum(parameter.numel() for parameter in last.module.parameters()) == 171_606
    graph = capture(last.module, STUDENT, "pruned")
    assert sum(n.op.macs([graph[i].shape for i in n.inputs]) for n in graph.nodes if n.inputs) == 23_845_056
    by_name = StudentNet((16, 32, 64, 99, 198, 198, 198, 256)).state_dict()
    assert {name: value.shape for name, value in last.module.state_dict().items()} == {
        name: value.shape for name, value in by_name.items()
    }


def test_the_penalty_is_the_sum_of_gammas() -> None:
    module = chain()
    module[1].weight.data = torch.tensor([1.0, -2, 3, 0, 0, 0, 0, 0.5])
    module[8] = nn.BatchNorm1d(5, affine=False)
    penalty = gamma_penalty(module)
    penalty.backward()
    assert penalty.item() == 6.5
    assert module[1].weight.grad.tolist() == [1, -1, 1, 0, 0, 0, 0, 1]
    assert gamma_penalty(nn.Conv2d(1, 1, 1)).item() == 0


WIDE: Shape = (1, 6, 6)


def wide() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


@pytest.mark.parametrize(("device", "fps", "step"), [("iCE40UP5K", None, 4), ("xc7a35t", 2_000_000.0, 1)])
def test_fitting_finds_the_largest_share(device: str, fps: float | None, step: int) -> None:
    module, shape = wide(), WIDE
    options = Options(target=Target(fps=fps, device=find(device)))
    sparing = replace(options.target, device=with_spare(find(device)))
    channels = find_channels(module, shape)
    scores = magnitude(module, channels)
    widths = widths_that_fit(module, shape, channels, scores, options, step=step)
    assert widths is not None and all(width % step == 0 for width in widths.values())

    def fits(share: int) -> bool:
        kept = {c.name: range(keep_share(channels, scores, share / SHARES, "layer", step)[c.name]) for c in channels}
        try:
            check_feasible(simplified(capture(without(module, shape, kept), shape, "x"), options), sparing)
        except UserError:
            return False
        return True

    shares = [
        share for share in range(SHARES + 1) if keep_share(channels, scores, share / SHARES, "layer", step) == widths
    ]
    assert fits(shares[0]) and not fits(shares[-1] + 1)


def test_a_network_is_judged_by_its_numbers() -> None:
    module, shape = wide(), WIDE
    channels = find_channels(module, shape)
    scores = magnitude(module, channels)
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 6, 1), np.uint8)

    def device(rams: int) -> Device:
        return replace(find("iCE40UP5K"), rams=rams)

    def fits(network: Quantised, device: Device) -> bool:
        return isinstance(schedule(network.integers, Target(device=device)), Schedule)

    # As it is, it may take the last block RAM; one that is found for a smaller device leaves some of those.
    whole = as_it_is(module, shape, Options(), images)
    rams = next(n for n in range(50, 0, -1) if not fits(whole, device(n - 1)))
    widths = [
        widths_that_fit(module, shape, channels, scores, Options(target=Target(device=there)), images=images)
        for there in (device(rams), device(rams - 1))
    ]
    assert widths[0] is None and widths[1] is not None
    kept = {c.name: c.best(scores[c.name], widths[1][c.name]) for c in channels}
    assert fits(as_it_is(without(module, shape, kept), shape, Options(), images), with_spare(device(rams - 1)))


def test_what_fits_stays_and_what_never_fits_is_told() -> None:
    module, shape = wide(), WIDE
    channels = find_channels(module, shape)
    scores = magnitude(module, channels)
    roomy = Options(target=Target(device=find("xczu7ev")))
    assert widths_that_fit(module, shape, channels, scores, roomy) is None
    hasty = Options(target=Target(fps=4e6, device=find("xczu7ev")))
    with pytest.raises(UserError) as wrong:
        widths_that_fit(module, shape, channels, scores, hasty)
    assert wrong.value.problems == (
        (
            "even with one channel per layer: 4e+06 frames/s at 100 MHz leave 25 cycles per frame, but 0 takes 36 even "
            "fully parallel; ask for at most 2777777.8 frames/s, a faster clock or a smaller input"
        ),
    )
    # The outputs cannot go, and are too many.
    module = nn.Sequential(nn.Conv2d(1, 8, 6), nn.ReLU(), nn.Flatten(), nn.Linear(8, 5000))
    channels = find_channels(module, shape)
    small = Options(target=Target(device=find("iCE40UP5K")))
    # What else would do is not looked for, so nothing is said of it.
    with pytest.raises(UserError, match=r"^even with 4 channels per layer: iCE40UP5K is too small: [^;]*$"):
        widths_that_fit(module, shape, channels, magnitude(module, channels), small, step=4)
