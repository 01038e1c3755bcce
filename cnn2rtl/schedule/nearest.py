"""What would work in place of a target that was refused: computed, not guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cnn2rtl.devices import Device, load
from cnn2rtl.graph import QuantGraph
from cnn2rtl.schedule.plan import Schedule, schedule
from cnn2rtl.schedule.refusal import Nearest, Refusal, Resource
from cnn2rtl.schedule.search import Search
from cnn2rtl.schedule.target import Target

LEAST_BITS = 2


def with_nearest(
    refusal: Refusal, graph: QuantGraph, bits: int = 0, narrower: Callable[[int], QuantGraph] | None = None
) -> Refusal:
    """The refusal of ``graph``, with what would work.

    ``narrower`` makes the same network with so many bits for all weights and activations, where it has up to ``bits``.
    """
    target = refusal.target
    if any(short.resource is Resource.CYCLES for short in refusal.shortfalls):
        return refusal  # the limit is told, and nothing else changes it
    fps = None
    if target.fps is not None:
        found = schedule(graph, replace(target, fps=None), before=True)
        fps = target.clock_mhz * 1e6 / found.interval if isinstance(found, Schedule) else None
    if target.device is None:
        return replace(refusal, nearest=Nearest(fps=fps))
    width = None
    if narrower is not None:
        width = next((n for n in range(bits - 1, LEAST_BITS - 1, -1) if fits(narrower(n), target)), None)
    share = Search(graph, target).largest_share()
    count = sum(node.op.weights for node in graph.layers)
    weights = None if share is None else round(share * count)
    family = target.device.family
    others = sorted(load().values(), key=lambda it: (it.family != family, _size(it)))
    device = next((it.name for it in others if fits(graph, replace(target, device=it))), None)
    return replace(refusal, nearest=Nearest(fps, width, weights, share, device))


def fits(graph: QuantGraph, target: Target) -> bool:
    """Whether the slowest design that meets ``target`` fits its device; a faster one is not looked for."""
    return isinstance(schedule(graph, target.unhurried, before=True, hasty=True), Schedule)


def _size(device: Device) -> float:
    """Bits of logic and of memory: what makes one device larger than another."""
    return (device.luts << device.lut_inputs) + device.memory_bits
