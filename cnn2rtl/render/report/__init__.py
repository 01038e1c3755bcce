"""``report.html``: the four answers and the whole design at a glance, on one page that needs nothing else."""

from cnn2rtl.render.report.page import report

__all__ = ["report"]
