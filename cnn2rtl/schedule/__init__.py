"""How much parallelism each layer gets."""

from cnn2rtl.schedule.search import Edge, Schedule, Target, schedule

__all__ = ["Edge", "Schedule", "Target", "schedule"]
