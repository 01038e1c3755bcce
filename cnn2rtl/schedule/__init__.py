"""How much parallelism each layer gets, and when every beat moves."""

from cnn2rtl.schedule.build import lanes_of
from cnn2rtl.schedule.plan import Schedule, Traffic, schedule
from cnn2rtl.schedule.resources import Takes, takes_of
from cnn2rtl.schedule.search import Target, search

__all__ = ["Schedule", "Takes", "Target", "Traffic", "lanes_of", "schedule", "search", "takes_of"]
