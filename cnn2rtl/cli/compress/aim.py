"""How much `compress prune` is to remove: options, and what they mean for a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cnn2rtl.cli import console
from cnn2rtl.devices import Device, default_clock, find
from cnn2rtl.errors import Problems
from cnn2rtl.options import Options
from cnn2rtl.pipeline import scheduled
from cnn2rtl.schedule import Target
from cnn2rtl.tensors import Codes, Shape
from cnn2rtl.wording import speed

if TYPE_CHECKING:
    from torch import nn

    from cnn2rtl.compress.prune import Channels, Scores, Widths


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a network is calibrated on: ``images``, raw pixels, if there are any, and how they are normalised."""

    mean: Sequence[float] = (0.0,)
    std: Sequence[float] = (1.0,)
    images: Codes | None = None


@dataclass(frozen=True)
class Aim:
    """Either a share or a device; ``round_to`` goes with both, and alone."""

    share: Annotated[
        float | None, typer.Option("--keep", metavar="X", help="The share of channels that stays, 0 to 1.")
    ] = None
    fpga: Annotated[
        str | None,
        typer.Option("--fit", metavar="DEVICE", help="Keep as many as fit this FPGA, by estimate, such as xc7a35t."),
    ] = None
    fps: Annotated[
        float | None, typer.Option(metavar="X", help="With --fit: frames per second to reach at --clock.")
    ] = None
    clock: Annotated[
        float | None,
        typer.Option(metavar="MHZ", help="With --fit: the clock for --fps; if not given, one that the FPGA can reach."),
    ] = None
    bits: Annotated[
        int | None,
        typer.Option(metavar="N", help="With --fit: width of weights and activations; 8 if not given."),
    ] = None
    round_to: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Keep multiples of this many channels in every layer.")
    ] = None
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Remove channels of this layer; * and ? stand for any characters. Repeatable."
        ),
    ] = None
    scope: Annotated[
        Literal["layer", "global"], typer.Option(help="Every layer keeps the same share, or all compete.")
    ] = "layer"

    @property
    def _width(self) -> int:
        return Options.weight_bits if self.bits is None else self.bits

    def check(self, problems: Problems) -> None:
        """Tell ``problems`` of what is wrong whatever the network."""
        if self.share is not None and not 0 < self.share <= 1:
            problems.found.append(f"--keep {self.share:g}: a number above 0, up to 1, is expected")
        if self.share is not None and self.fpga is not None:
            problems.found.append(f"--keep {self.share:g} and --fit {self.fpga}: either is enough; leave one out")
        if self.share is None and self.fpga is None and self.round_to is None:
            problems.found.append("how many channels are to stay? Say it with --keep, --fit or --round-to")
        if self.fps is not None and self.fpga is None:
            problems.found.append(f"--fps {self.fps:g}: is for a device; say which with --fit, or leave it out")
        if self.clock is not None and self.fpga is None:
            problems.found.append(f"--clock {self.clock:g}: is for a device; say which with --fit, or leave it out")
        if self.bits is not None and self.fpga is None:
            problems.found.append(f"--bits {self.bits}: is for a device; say which with --fit, or leave it out")
        with problems.gather():
            self._device()
        with problems.gather():
            self._options(None, Calibration()).check()

    def _device(self) -> Device | None:
        return None if self.fpga is None else find(self.fpga, "fit")

    def _target(self, device: Device | None) -> Target:
        return Target(self.fps, default_clock(device) if self.clock is None else self.clock, device=device)

    def _options(self, device: Device | None, on: Calibration) -> Options:
        return Options(self._width, self._width, mean=on.mean, std=on.std, target=self._target(device))

    def widths(
        self, module: nn.Module, shape: Shape, channels: Sequence[Channels], scores: Scores, on: Calibration
    ) -> Widths | None:
        """The widths to aim for; ``None`` where the network has them, or fits as it is."""
        from cnn2rtl.compress.prune import keep_share, widths_that_fit

        step = self.round_to or 1
        if self.fpga is None:
            widths = keep_share(channels, scores, 1.0 if self.share is None else self.share, self.scope, step)
            return widths if any(widths.get(c.name, c.width) < c.width for c in channels) else None
        with console.progress() as bar:
            task = bar.add_task(f"fitting {self.fpga}", total=None)
            return widths_that_fit(
                module, shape, channels, scores, self._options(self._device(), on), self.scope, step, on.images,
                lambda done, of: bar.update(task, completed=done, total=of),
            )  # fmt: skip

    def judge(self, module: nn.Module, shape: Shape, on: Calibration) -> None:
        """Raise :class:`UserError` where a network with the weights that it has now does not fit after all."""
        from cnn2rtl.compress.prune import as_it_is

        if self.fpga is not None:
            options = self._options(self._device(), on)
            scheduled(as_it_is(module, shape, options, on.images), options.target)

    @property
    def asked(self) -> list[str]:
        """The words that ask `generate` for what was aimed at."""
        if self.fpga is None:
            return []
        bits = None if self._width == Options.weight_bits else self._width
        given = {"--device": self.fpga, "--bits": bits, "--fps": self.fps, "--clock": self.clock}
        said = {option: f"{value:g}" if isinstance(value, float) else f"{value}" for option, value in given.items()}
        return [word for option, value in given.items() if value is not None for word in (option, said[option])]

    @property
    def reached(self) -> str:
        """What to say where nothing has to go."""
        if self.fpga is None:
            return "no layer has more channels than were asked for"
        pace = "" if self.fps is None else f" at {speed(self._target(self._device()))}"
        return f"it fits {self.fpga}{pace} with {self._width} bits as it is"
