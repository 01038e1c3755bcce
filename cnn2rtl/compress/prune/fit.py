"""The most channels with which a network fits a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import nn

from cnn2rtl.compress.prune.channels import Channels, without
from cnn2rtl.compress.prune.ranking import Scores
from cnn2rtl.compress.prune.widths import Scope, Widths, keep_share
from cnn2rtl.devices import Device
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture
from cnn2rtl.options import Options
from cnn2rtl.pipeline import quantise_graph, refusal_of, simplified
from cnn2rtl.quantised import Quantised
from cnn2rtl.schedule import Refusal, Schedule, Target, schedule
from cnn2rtl.tensors import Codes, Shape
from cnn2rtl.wording import refused

SHARES = 128
"""The share of channels that stays is found to this fraction."""
SPARE = 0.05
"""The share of a device's logic and block RAMs that is left for what calibration and training may add."""


def with_spare(device: Device) -> Device:
    """The device without what is spared."""
    luts, flip_flops, rams = (int((1 - SPARE) * count) for count in (device.luts, device.flip_flops, device.rams))
    return replace(device, luts=luts, flip_flops=flip_flops, rams=rams)


def as_it_is(module: nn.Module, shape: Shape, options: Options, images: Codes | None = None) -> Quantised:
    """The integers of a network with the very weights that it has, calibrated on ``images``, raw pixels, if any."""
    return quantise_graph(capture(module, shape, "network"), options, images)


def widths_that_fit(
    module: nn.Module,
    shape: Shape,
    channels: Sequence[Channels],
    scores: Scores,
    options: Options,
    scope: Scope = "layer",
    step: int = 1,
    images: Codes | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Widths | None:
    """The widths of the largest network, of those with a share of all channels, that meets ``options.target``.

    ``None`` where the network does so as it is, calibrated on ``images``, raw pixels, if there are any. What a design
    of another takes depends on the widths, and little on the weights; for that, ``SPARE`` of the device is left. So
    nothing is trained here: the share is found by bisection, each try being estimated as :func:`refusal_of` does.
    Raises :class:`UserError` where even the fewest channels do not fit.
    """
    options.check(shape[0])
    target = options.target
    if isinstance(schedule(as_it_is(module, shape, options, images).integers, target), Schedule):
        return None
    # Any frame rate will do where none is asked for; the lowest is tried first, and costs the least mostly.
    sparing = replace(target.unhurried, device=target.device and with_spare(target.device))

    def refusal(widths: Widths, target: Target = sparing) -> Refusal | None:
        kept = {c.name: c.best(scores[c.name], widths[c.name]) for c in channels if c.name in widths}
        return refusal_of(simplified(capture(without(module, shape, kept), shape, "network"), options), target)

    found = keep_share(channels, scores, 0.0, scope, step)
    least = refusal(found)
    if least is not None:
        # In terms of the whole device, where that is too small as well.
        least = replace(refusal(found, target.unhurried) or least, target=target, smallest=target.fps is None)
        fewest = "one channel" if step == 1 else f"{step} channels"
        raise UserError([f"even with {fewest} per layer: {problem}" for problem in refused(least)])
    low, high = 0, SHARES
    while high - low > 1:
        middle = (low + high) // 2
        progress(SHARES - (high - low), SHARES)
        widths = keep_share(channels, scores, middle / SHARES, scope, step)
        if widths == found or refusal(widths) is None:
            low, found = middle, widths
        else:
            high = middle
    return found
