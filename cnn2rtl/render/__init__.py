"""From the schedule to files, as pure data: nothing is written here."""

from cnn2rtl.render.design import Design, Layer, Stream, render

__all__ = ["Design", "Layer", "Stream", "render"]
