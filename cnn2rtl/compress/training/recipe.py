"""What a training run does, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import cos, inf, isfinite, pi
from typing import Literal

from cnn2rtl.errors import UserError

_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, inf), "batch": (2, inf), "rate": (1e-9, 100), "momentum": (0, 0.9999), "weight_decay": (0, 1),
    "warm_up": (0, inf), "smoothing": (0, 0.9999), "shift": (0, inf), "zoom": (1, 16), "jitter": (0, 1),
    "seed": (0, 2**31 - 1),
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """How to train: ``epochs`` times over all images, ``batch`` of them per step.

    ``rate`` is the largest step size: it is reached within ``warm_up`` epochs, and falls to 0 in a half cosine, or to a
    tenth after half of the other epochs and again after three quarters, or stays. ``momentum`` is that of SGD, and
    AdamW's first beta. ``weight_decay`` spares biases and BatchNorm. ``smoothing`` is the share of a label that all
    classes have in common (Szegedy et al., arXiv 1512.00567).

    ``flip``, ``shift`` (pixels), ``zoom`` (a factor) and ``jitter`` (a share) change images at random, see
    :mod:`cnn2rtl.compress.training.augment`. ``keep`` says which epoch's weights are the result. ``seed`` decides all
    that is random. ``deterministic`` makes every run the same to the bit; None means: on a CPU.
    """

    epochs: int = 30
    batch: int = 64
    rate: float = 0.002
    optimiser: Literal["adamw", "sgd"] = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.01
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    warm_up: int = 0
    smoothing: float = 0.0
    flip: bool = False
    shift: int = 0
    zoom: float = 1.0
    jitter: float = 0.0
    seed: int = 0
    keep: Literal["best", "last"] = "best"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    deterministic: bool | None = None

    @property
    def augments(self) -> bool:
        """Whether images are changed at all."""
        return self.flip or self.shift > 0 or self.zoom > 1 or self.jitter > 0

    def check(self) -> None:
        """Raise one :class:`UserError` for all values that nothing could be trained with."""
        problems = []
        for name, (least, most) in _RANGES.items():
            value = asdict(self)[name]
            if not (isfinite(value) and least <= value <= most):
                rule = f"at least {least:g}" if most == inf else f"{least:g} to {most:g}"
                problems.append(f"--{name.replace('_', '-')} {value}: {rule} is expected")
        if not problems and self.warm_up >= self.epochs:
            problems.append(f"`warm_up={self.warm_up}`: fewer than the {self.epochs} epochs are expected")
        if problems:
            raise UserError(problems)

    def rate_at(self, epoch: float) -> float:
        """The step size when so many epochs, not always whole ones, have passed."""
        if epoch < self.warm_up:
            return self.rate * epoch / self.warm_up
        passed = (epoch - self.warm_up) / (self.epochs - self.warm_up)
        match self.schedule:
            case "cosine":
                return self.rate * (1 + cos(pi * passed)) / 2
            case "step":
                return self.rate * 0.1 ** ((passed >= 0.5) + (passed >= 0.75))
            case "constant":
                return self.rate


def check_distillation(alpha: float, temperature: float) -> None:
    """Raise one :class:`UserError` for all that the loss of distillation is not defined for."""
    problems = []
    if not 0 <= alpha <= 1:
        problems.append(f"`alpha={alpha}`: 0 to 1 is expected")
    if not 0.01 <= temperature <= 1000:
        problems.append(f"`temperature={temperature}`: 0.01 to 1000 is expected")
    if problems:
        raise UserError(problems)


def check_share(share: float) -> None:
    """Raise :class:`UserError` unless it is a share of images that others can be validated on."""
    if not 0 < share < 1:
        raise UserError(f"`val_share={share}`: a number between 0 and 1 is expected")
