"""The four answers: from measurement where there was one, else what is known beforehand and how to find out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

from cnn2rtl import devices
from cnn2rtl.render.report.outputs import found_of
from cnn2rtl.render.report.view import RESOURCES, View, count, number, percent, resources_of
from cnn2rtl.schema import Device, LargeRam

Status = Literal["yes", "no", "measured", "open"]


@dataclass(frozen=True)
class Answer:
    """``lines`` are facts, one each; each of the ``commands`` finds out more, and tells what."""

    question: str
    status: Status
    headline: str
    lines: tuple[str, ...]
    commands: tuple[tuple[str, str], ...] = ()


def answers(view: View) -> tuple[Answer, ...]:
    return fit(view), speed(view), accuracy(view), correctness(view)


def fit(view: View) -> Answer:
    """Does it fit?"""
    about, result = view.about, view.results.synthesis
    question, command = "Does it fit?", "cnn2rtl synth . --device NAME"
    rom, buffers = f"{about.rom_bits:,} bits of ROM", f"{about.buffer_bits:,} bits of line buffers and FIFOs"
    multipliers = count(about.multipliers, "multiplier")
    if result is None:
        if view.device is None:
            then = "tells whether a device has enough of everything"
            return Answer(question, "open", multipliers, (rom, buffers), ((command, then),))
        fits = _estimate_fits(view, view.device)
        headline = f"{'Yes' if fits else 'No'}, by estimate"
        lines = (f"on {view.device.name}", multipliers, rom, buffers, *_unused(view.device.large_rams))
        return Answer(question, "yes" if fits else "no", headline, lines, ((command, "counts it exactly"),))
    tool, device = f"{result.tool} {result.version}", result.device
    used = [
        _used(title, getattr(result.usage, key), getattr(result.available, key, None))
        for key, title in resources_of(result.usage).items()
    ]
    if device is None:
        facts = (*used[1:], f"{result.family}, {tool}")
        return Answer(question, "measured", used[0], facts, ((command, "holds it against a device"),))
    facts = (*used, *_unused(result.large_rams), tool)
    if result.fits:
        return Answer(question, "yes", f"Yes, on {device}", facts)
    return Answer(question, "no", f"No, not on {device}", facts)


def _unused(rams: Iterable[LargeRam]) -> tuple[str, ...]:
    """A line for each kind of memories that the device has and no design uses."""
    return tuple(f"not used: {devices.LargeRam(**msgspec.structs.asdict(ram))}" for ram in rams)


def _used(title: str, used: float, available: int | None) -> str:
    name = title[0].lower() + title[1:] if title[1].islower() else title
    share = f" of {available:,} ({percent(used / available)})" if available else ""
    return f"{number(used)} {name}{share}"


def _estimate_fits(view: View, device: Device) -> bool:
    """Whether the estimate of the whole design keeps within what the device has."""
    return all(getattr(view.about.estimate, key) <= getattr(device, key) for key in RESOURCES)


def speed(view: View) -> Answer:
    """How fast is it?"""
    about, routed = view.about, view.results.synthesis.routed if view.results.synthesis else None
    interval, latency = about.interval, about.latency
    mhz = routed.fmax_mhz if routed else about.clock_mhz
    family = view.device.family if view.device and not routed else None
    hertz, at = 1e6 * mhz, devices.clock_words(mhz, family)
    lines = [f"at {at}: {interval:,} cycles per frame{_measured_interval(view)}"]
    if latency:
        lines.append(f"latency {_duration(latency / hertz)}: {latency:,} cycles")
    lines.append(f"{percent(about.mac_efficiency)} MAC efficiency")
    question, headline = "How fast is it?", f"{hertz / interval:,.1f} frames/s"
    if routed:
        lines.append(f"clock by {routed.tool} {routed.version}, seed {routed.seed}")
        return Answer(question, "measured", headline, tuple(lines))
    command = ("cnn2rtl synth . --device NAME --pnr", "finds the clock that it reaches")
    return Answer(question, "open", headline, tuple(lines), (command,))


def _duration(seconds: float) -> str:
    return f"{1e3 * seconds:,.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} µs"


def _measured_interval(view: View) -> str:
    found = view.results.simulation
    if found is None or not found.interval or found.stall:
        return ""
    exact = found.interval == view.about.interval
    return ", as simulated" if exact else f" ({found.interval:,} in simulation)"


def accuracy(view: View) -> Answer:
    """Is it still accurate?"""
    options, result = view.about.options, view.results.accuracy
    widths = f"{options.weight_bits}-bit weights, {options.activation_bits}-bit activations"
    question = "Is it still accurate?"
    if result is None:
        command = ("cnn2rtl evaluate . --data FOLDER", "compares it with the float network on your images")
        return Answer(question, "open", widths, (f"calibrated on {view.about.calibration}",), (command,))
    first, *others = found_of(view)
    headline, *lines = first.lines
    more = (f"{other.name}: {other.lines[0]}" for other in others)
    images = f"{count(result.images, 'image')} of {result.data}"
    return Answer(question, "measured", headline, (*lines, *more, images, widths))


def correctness(view: View) -> Answer:
    """Is it correct?"""
    result, question = view.results.simulation, "Is it correct?"
    if result is None:
        commands = (
            ("cnn2rtl simulate .", "compares every value of every layer with the golden model"),
            ("make -C sim", "does so too, without cnn2rtl"),
        )
        return Answer(question, "open", "Not simulated here yet", (), commands)
    stalls = f"{result.stall} % stalls" if result.stall else "no stalls"
    how = (
        f"{count(result.frames, 'frame')} of {result.data}",
        f"{stalls}, seed {result.seed}, in {result.engine}",
    )
    if result.passed:
        values = f"0 wrong of {result.values:,} values in {count(len(view.layers), 'layer')}"
        return Answer(question, "yes", "Yes, to the bit", (values, *how))
    return Answer(question, "no", "No", (*result.details[:1], *how))
