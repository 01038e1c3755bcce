"""What the makers' scripts build for, where nobody says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from cnn2rtl.devices import Device, load

EXAMPLES = {"vivado": "xc7a35t", "quartus": "5CSEBA6"}
"""By maker's tool: the device that its script builds for where the design's own is none of the maker's."""


@dataclass(frozen=True)
class Build:
    """``part`` is what a maker's tool builds for, with a clock of ``period`` ns. ``why`` says where the part is from.

    ``warning`` is for designs that are made for another maker's device, and else empty.
    """

    part: str
    period: str
    why: str
    warning: str = ""


def build(tool: str, device: Device | None, clock_mhz: float) -> Build:
    """For the script of ``tool``, of a design for ``device`` at ``clock_mhz``."""
    example, period = load()[EXAMPLES[tool]], f"{1000 / clock_mhz:.3f}"
    if device is None:
        return Build(example.part, period, "an example: generate was told no device")
    maker, own = example.series.maker, device.series.maker
    if own != maker:
        why = f"an example: the design is for {device.name} of {own}, and this is a script for {maker}"
        return Build(example.part, period, why, f"it is {why}")
    return Build(device.part, period, f"of {device.name}, which the design is for")
