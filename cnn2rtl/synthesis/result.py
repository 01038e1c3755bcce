"""What synthesis found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from cnn2rtl import schema
from cnn2rtl.devices import Device


@dataclass(frozen=True)
class Usage:
    """What a design takes of a device, in the units of :class:`~cnn2rtl.devices.Device`.

    Parts of a block are fractions: half of a DSP block that holds two multipliers, half of a block RAM that can be two.
    ``logic_cells`` are 0 where nothing shares one.
    """

    luts: int
    flip_flops: int
    dsps: float
    rams: float
    distributed_ram_bits: int
    logic_cells: int = 0


@dataclass(frozen=True)
class Share:
    """One resource: how much is used, and of how much; ``available`` is 0 where the device has none of it."""

    resource: str
    used: float
    available: int

    @property
    def fits(self) -> bool:
        return self.used <= self.available

    @property
    def percent(self) -> float:
        return 100 * self.used / self.available if self.available else 0.0


@dataclass(frozen=True)
class Routed:
    """Place and route: the frequency that was asked for and the one that was reached, in MHz."""

    tool: str
    version: str
    seed: int
    target_mhz: float
    fmax_mhz: float


@dataclass(frozen=True, repr=False)
class SynthResult:
    """``cells`` counts the netlist's cells by the family's own names. ``interval`` is in cycles per frame.

    With place and route, the netlist includes the wrapper (``wrapped``): two registers per bit of the streams.
    """

    tool: str
    version: str
    family: str
    device: Device | None
    wrapped: bool
    usage: Usage
    cells: Mapping[str, int]
    interval: int
    seconds: float
    routed: Routed | None = None

    def __repr__(self) -> str:
        where = self.family if self.device is None else self.device.name
        used, fits = self.usage, {None: "", True: "; fits", False: "; does not fit"}[self.fits]
        speed = "" if self.routed is None else f", {self.routed.fmax_mhz:.1f} MHz"
        return (
            f"<SynthResult for {where}: {used.luts:,} LUTs, {used.flip_flops:,} flip-flops, {used.dsps:,g} DSP blocks, "
            f"{used.rams:,g} block RAMs{fits}{speed}>"
        )

    @property
    def shares(self) -> tuple[Share, ...]:
        """Every resource against the device; nothing without a device."""
        if self.device is None:
            return ()
        used = asdict(self.usage)
        return tuple(Share(name, used[name], getattr(self.device, name)) for name in used)

    @property
    def fits(self) -> bool | None:
        """Whether the device has enough of everything; ``None`` without a device."""
        return None if self.device is None else all(share.fits for share in self.shares)

    @property
    def frames_per_second(self) -> float | None:
        """At the frequency that place and route reached."""
        return None if self.routed is None else 1e6 * self.routed.fmax_mhz / self.interval

    def recorded(self) -> schema.Synthesis:
        """For ``design.json``; without the run time, so that the same run gives the same bytes."""
        available = {share.resource: share.available for share in self.shares}
        return schema.Synthesis(
            tool=self.tool,
            version=self.version,
            family=self.family,
            device=None if self.device is None else self.device.name,
            wrapped=self.wrapped,
            usage=schema.Usage(**asdict(self.usage)),
            available=schema.Available(**available) if available else None,
            fits=self.fits,
            cells=dict(self.cells),
            routed=None if self.routed is None else schema.Routed(**asdict(self.routed)),
            frames_per_second=None if self.frames_per_second is None else round(self.frames_per_second, 2),
            large_rams=()
            if self.device is None
            else tuple(schema.LargeRam(**asdict(r)) for r in self.device.large_rams),
        )
