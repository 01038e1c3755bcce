"""``cnn2rtl compress``: make a network smaller. One command per module, imported by the command that needs it alone."""

from __future__ import annotations

import typer

from cnn2rtl.cli.command import Command
from cnn2rtl.cli.compress.distill import distill
from cnn2rtl.cli.compress.prune import prune
from cnn2rtl.cli.compress.qat import qat
from cnn2rtl.cli.compress.separable import separable
from cnn2rtl.cli.compress.storage import storage
from cnn2rtl.cli.compress.train import train

compress = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="Make a network smaller.")
for command in (distill, prune, qat, separable, storage, train):
    compress.command(cls=Command, no_args_is_help=True)(command)
