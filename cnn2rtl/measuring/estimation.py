"""What the design takes of an FPGA by estimate: in a moment, and without any tool."""

from __future__ import annotations

from dataclasses import dataclass

from cnn2rtl import schema
from cnn2rtl.compiled import Compiled
from cnn2rtl.devices import Device, load
from cnn2rtl.errors import UserError
from cnn2rtl.measuring.opening import Design, opened
from cnn2rtl.render.describe import describe_resources
from cnn2rtl.schedule.resources import takes_of
from cnn2rtl.synthesis import Share, target_for

RESOURCES = ("luts", "flip_flops", "dsps", "rams")


@dataclass(frozen=True, repr=False)
class Estimate:
    """What the whole design takes, in the units of :class:`cnn2rtl.devices.Device`; parts of a block are fractions.

    ``unknown`` are units that nobody has described, which count nothing.
    """

    family: str
    device: Device | None
    luts: int
    flip_flops: int
    dsps: float
    rams: float
    unknown: tuple[str, ...]

    def __repr__(self) -> str:
        where = self.family if self.device is None else self.device.name
        fits = {None: "", True: "; fits", False: "; does not fit"}[self.fits]
        return (
            f"<Estimate for {where}: {self.luts:,} LUTs, {self.flip_flops:,} flip-flops, {self.dsps:,g} DSP blocks, "
            f"{self.rams:,g} block RAMs{fits}>"
        )

    @property
    def shares(self) -> tuple[Share, ...]:
        """Every resource against the device; nothing without a device."""
        if self.device is None:
            return ()
        return tuple(Share(name, getattr(self, name), getattr(self.device, name)) for name in RESOURCES)

    @property
    def fits(self) -> bool | None:
        """Whether the device has enough of everything; ``None`` without a device."""
        return None if self.device is None else all(share.fits for share in self.shares)


def estimate(design: Design, *, device: str | None = None, family: str | None = None) -> Estimate:
    """What ``design`` takes of a ``device``, by its name, or on FPGAs of a ``family``.

    Where neither is given, that is what it was compiled for. ``design`` is a compiled one, or a folder or an open
    project, which know the estimate of their own family alone. :func:`cnn2rtl.synth` counts exactly.

    Raises :class:`cnn2rtl.UserError`.
    """
    target = None if device is None and family is None else target_for(device, family)
    compiled = design if isinstance(design, Compiled) else None
    about = schema.parse(design.rendered["design.json"]) if isinstance(design, Compiled) else opened(design).about
    own = about.estimate
    wanted = own.family if target is None else target.family.name
    chosen = target.device if target is not None else None if about.device is None else load().get(about.device.name)
    if wanted == own.family:
        return Estimate(wanted, chosen, own.luts, own.flip_flops, own.dsps, own.rams, own.unknown)
    if compiled is None:
        asked = f"`family={family}`" if device is None else f"`device={device}`"
        raise UserError(
            f"{asked}: the project was written for {own.family} and knows no other estimate; compile its network for "
            f"{wanted}, or synthesise it"
        )
    takes = takes_of(compiled.graph, compiled.design.schedule, wanted)
    total = describe_resources(takes.total, wanted)
    return Estimate(wanted, chosen, total.luts, total.flip_flops, total.dsps, total.rams, takes.unknown)
