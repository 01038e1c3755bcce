"""How much parallelism each layer gets, and when every beat moves."""

from cnn2rtl.schedule.build import lanes_of
from cnn2rtl.schedule.nearest import with_nearest
from cnn2rtl.schedule.plan import Schedule, Traffic, schedule
from cnn2rtl.schedule.refusal import Refusal, Resource, Shortfall
from cnn2rtl.schedule.resources import Takes, takes_of
from cnn2rtl.schedule.search import Choice, search
from cnn2rtl.schedule.target import Target

__all__ = [
    "Choice", "Refusal", "Resource", "Schedule", "Shortfall", "Takes", "Target", "Traffic", "lanes_of", "schedule",
    "search", "takes_of", "with_nearest",
]  # fmt: skip
