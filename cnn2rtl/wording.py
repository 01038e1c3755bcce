"""Why there is no design, in words: for the command line and Python alike, so by no option's name."""

from __future__ import annotations

from collections.abc import Sequence

from cnn2rtl.devices import clock_words
from cnn2rtl.schedule import Refusal, Resource, Shortfall, Target
from cnn2rtl.schedule.refusal import Nearest


def speed(target: Target) -> str:
    """The frame rate that is asked for."""
    assert target.fps is not None
    clock = clock_words(target.clock_mhz, target.device.family if target.device else None)
    return f"{target.fps:g} frames/s at {clock}{',' if ',' in clock else ''}"


def refused(refusal: Refusal) -> tuple[str, ...]:
    """A line for each reason by itself, and one for all that the device is too small for."""
    target = refusal.target
    lines, short = [], []
    for shortfall in refusal.shortfalls:
        if shortfall.resource is Resource.CYCLES:
            lines.append(_too_slow(target, shortfall))
        elif shortfall.resource is Resource.MULTIPLIERS:
            lines.append(_too_few(refusal, shortfall))
        else:
            short.append(shortfall)
    return (*lines, _too_large(refusal, short)) if short else tuple(lines)


def _too_slow(target: Target, short: Shortfall) -> str:
    return (
        f"{speed(target)} leave {short.there:,.0f} cycles per frame, but {short.layer} takes {short.needed:,.0f} even "
        f"fully parallel; ask for at most {target.clock_mhz * 1e6 / short.needed:.1f} frames/s, a faster clock or a "
        "smaller input"
    )


def _too_few(refusal: Refusal, short: Shortfall) -> str:
    if refusal.smallest:
        return (
            f"{short.there:,.0f} multipliers are too few: every layer that multiplies needs one of its own, "
            f"{short.needed:,.0f} in all; give at least that many or use fewer layers"
        )
    more, fps = short.needed - short.there, refusal.nearest and refusal.nearest.fps
    return (
        f"{speed(refusal.target)} take {short.needed:,.0f} multipliers, {more:,.0f} more than the {short.there:,.0f} "
        f"allowed; allow that many, or ask for {f'at most {fps:.1f}' if fps else 'fewer'} frames/s"
    )


def _too_large(refusal: Refusal, short: Sequence[Shortfall]) -> str:
    """What the device has too little of, why, and what would work."""
    target, device = refusal.target, refusal.target.device
    assert device is not None
    who = "even the smallest design takes" if refusal.smallest else f"{speed(target)} take"
    text, weights = "", f"the weights alone have {refusal.weight_bits:,} bits"
    others = f" ({device.unused}, are not used)" if device.unused else ""
    for number, it in enumerate(short):
        if it.resource is Resource.MEMORY:
            return (
                f"{device.name} is too small: {weights}, and all its memory, look-up tables included, "
                f"{it.there:,.0f}{others}{_works(refusal.nearest)}"
            )
        text += f"{', ' if number else f'{device.name} is too small: {who} about '}{_amount(it)}"
    memory = any(it.resource is Resource.BLOCK_RAMS for it in short)
    if memory:
        text += others
    if memory and refusal.weight_bits > device.memory_bits:
        text += f": {weights}, its block RAM {device.memory_bits:,}"
    if refusal.moved is not None:
        needed, there = refusal.moved.needed, refusal.moved.there
        text += f"; with memories in look-up tables instead, {needed:,.0f} of those where {there:,.0f} may be used"
    return text + _works(refusal.nearest)


def _amount(short: Shortfall) -> str:
    what = short.resource.value
    if short.resource in (Resource.LUTS, Resource.CELLS):
        return f"{short.needed:,.0f} {what} where {short.there:,.0f} may be used"
    amount = f"{short.needed:,.1f}".removesuffix(".0")
    return f"{amount} {what} where {short.there:,.0f} are"


def _works(nearest: Nearest | None) -> str:
    """What would, where that was looked for."""
    if nearest is None:
        return ""
    ways = []
    if nearest.fps is not None:
        ways.append(f"{nearest.fps:,.1f} frames/s")
    if nearest.bits is not None:
        ways.append(f"{nearest.bits}-bit weights and activations")
    if nearest.weights is not None and nearest.share is not None:
        ways.append(f"about {nearest.weights:,} weights ({nearest.share:.0%} of them) after pruning")
    if nearest.device is not None:
        ways.append(f"{nearest.device} as the device")
    if not ways:
        return "; no fewer bits, no pruning and no device that is known would do"
    return f"; what would fit: {', or '.join(ways)}"
