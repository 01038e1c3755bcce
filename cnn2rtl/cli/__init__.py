"""The command line: ``cnn2rtl COMMAND``. One file per command."""

from cnn2rtl.cli.app import app, main

__all__ = ["app", "main"]
