"""From the design to files, as pure data: nothing is written here."""

from cnn2rtl.render.files import render

__all__ = ["render"]
