"""Where a network that can be trained is written to, as far as it can be told without torch."""

from __future__ import annotations

from pathlib import Path

from cnn2rtl.errors import UserError
from cnn2rtl.output import check_file

SUFFIX = ".pt"


def check_module_file(file: Path, force: bool = False) -> None:
    """Raise :class:`UserError` where ``file`` cannot be one of a network, or something would be lost by it."""
    if file.suffix.lower() != SUFFIX:
        raise UserError(f"`out={file}`: a name that ends with {SUFFIX} is expected")
    check_file(file, force)
