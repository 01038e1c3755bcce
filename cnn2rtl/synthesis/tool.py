"""What a synthesis tool must answer. One tool is one file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from cnn2rtl import devices
from cnn2rtl.devices import Device
from cnn2rtl.errors import UserError
from cnn2rtl.project import Project
from cnn2rtl.synthesis.families import FAMILIES, Family
from cnn2rtl.synthesis.process import OnStage
from cnn2rtl.synthesis.result import SynthResult

TOOLS: dict[str, type[Tool]] = {}
DEFAULT_FAMILY = "xc7"


@dataclass(frozen=True)
class Target:
    """What to synthesise for: a family, and the device of it whose budget counts, if one was named."""

    family: Family
    device: Device | None = None


class Tool(ABC):
    """A synthesis tool, for one project and target. Raises :class:`UserError` where the tool is not installed."""

    name: ClassVar[str]

    def __init_subclass__(cls) -> None:
        TOOLS[cls.name] = cls

    def __init__(self, project: Project, target: Target) -> None:
        self.project = project
        self.target = target

    @abstractmethod
    def synthesise(self, on_stage: OnStage) -> SynthResult:
        """Map the design; raises :class:`SynthesisError` where that does not come out right."""

    @abstractmethod
    def place_and_route(self, mhz: float, seed: int, on_stage: OnStage) -> SynthResult:
        """The same, then place and route for a clock of ``mhz``; needs a target with a device."""


def target_for(device: str | None, family: str | None) -> Target:
    """The target that these name; the 7 series where neither does."""
    if device is not None and family is not None:
        raise UserError(f"`device={device}` `family={family}`: a device has a family already; give one of the two")
    if device is not None:
        found = devices.find(device)
        return Target(FAMILIES[found.family], found)
    name = family or DEFAULT_FAMILY
    if name not in FAMILIES:
        raise UserError(f"`family={name}`: no such family; there are {', '.join(FAMILIES)}")
    return Target(FAMILIES[name])


def tool_for(name: str, project: Project, target: Target) -> Tool:
    """The tool ``name`` for a project."""
    if name not in TOOLS:
        raise UserError(f"`tool={name}`: the tools are {', '.join(sorted(TOOLS))}")
    return TOOLS[name](project, target)
