"""What is asked of a design."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cnn2rtl.devices import DEFAULT_CLOCK, Device


@dataclass(frozen=True)
class Target:
    """What is asked for, any of it: ``fps`` frames per second at ``clock_mhz``; at most ``multipliers``, whatever they
    are made of; at most ``dsps`` DSP blocks for them, more being made in logic; to fit ``device``.

    Without ``fps`` the design is the fastest that the rest allows. Where neither it nor ``multipliers`` nor a device
    sets a limit, there are ``DEFAULT_MULTIPLIERS`` of them, or as many as ``dsps`` or layers where those are more, and
    no layer takes many times the look-up tables for a little more speed.
    """

    fps: float | None = None
    clock_mhz: float = DEFAULT_CLOCK
    multipliers: int | None = None
    dsps: int | None = None
    device: Device | None = None

    @property
    def cycles(self) -> int | None:
        """Of a frame at most."""
        # Frames per second that were worked out from cycles give these cycles again.
        return None if self.fps is None else int(self.clock_mhz * 1e6 / self.fps * (1 + 1e-12))

    @property
    def unhurried(self) -> Target:
        """The same, but any speed will do where none is asked for."""
        return self if self.fps is not None else replace(self, fps=SLOW)

    @property
    def limited(self) -> bool:
        """Whether anything but the default says how large the design may be."""
        return self.fps is not None or self.multipliers is not None or self.device is not None


DEFAULT_MULTIPLIERS = 64
SLOW = 1e-6
"""Frames per second that every layer can make, however few its multipliers."""
