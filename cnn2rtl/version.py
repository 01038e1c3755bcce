"""The version, for whoever names it in a file."""

__version__ = "0.1.0"
