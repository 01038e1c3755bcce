"""The most channels with which a network fits a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import nn

from cnn2rtl.compress.prune.channels import Channels, without
from cnn2rtl.compress.prune.ranking import Scores
from cnn2rtl.compress.prune.widths import Scope, Widths, keep_share
from cnn2rtl.errors import UserError
from cnn2rtl.frontend import capture
from cnn2rtl.pipeline import Options, check_feasible
from cnn2rtl.schedule import Target
from cnn2rtl.tensors import Shape

SHARES = 128
"""The share of channels that stays is found to this fraction."""
SLOW = 1e-6
"""Frames per second that every layer can make, however few its multipliers."""


def widths_that_fit(
    module: nn.Module,
    shape: Shape,
    channels: Sequence[Channels],
    scores: Scores,
    options: Options,
    scope: Scope = "layer",
    step: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Widths | None:
    """The widths of the largest network, of those with a share of all channels, that meets ``options.target``.

    ``None`` where the network does so as it is. What a design takes depends on the widths alone, not on the weights, so
    nothing is trained here: the share is found by bisection, each try being estimated as :func:`check_feasible` does.
    Raises :class:`UserError` where even the fewest channels do not fit.
    """
    options.check(shape[0])
    # Any frame rate will do where none is asked for; the lowest is tried first, and costs the least mostly.
    target = replace(options.target, fps=options.target.fps or SLOW)

    def excess(widths: Widths, target: Target = target) -> tuple[str, ...]:
        kept = {c.name: c.best(scores[c.name], widths[c.name]) for c in channels if c.name in widths}
        graph = capture(without(module, shape, kept), shape, "network")
        try:
            check_feasible(graph, replace(options, target=target))
        except UserError as error:
            return error.problems
        return ()

    if not excess({}):
        return None
    found = keep_share(channels, scores, 0.0, scope, step)
    if excess(found):
        problems = excess(found, options.target)
        fewest = "one channel" if step == 1 else f"{step} channels"
        raise UserError([f"even with {fewest} per layer: {problem}" for problem in problems])
    low, high = 0, SHARES
    while high - low > 1:
        middle = (low + high) // 2
        progress(SHARES - (high - low), SHARES)
        widths = keep_share(channels, scores, middle / SHARES, scope, step)
        if widths == found or not excess(widths):
            low, found = middle, widths
        else:
            high = middle
    return found
