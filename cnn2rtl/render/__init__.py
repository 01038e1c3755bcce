"""From the schedule to files, as pure data: nothing is written here."""

from cnn2rtl.render.design import Design, Fifo, Layer, Stream, ends, render

__all__ = ["Design", "Fifo", "Layer", "Stream", "ends", "render"]
