"""What the package's parameters are called on the command line: the one place that knows both names."""

from __future__ import annotations

import re

SAME = """
    alpha arch bits by channels class_index data device dsps effort engine family fit force fps frames images
    input_format input_scale max_drop mean multipliers only output_bits outputs pnr rate restart scheme seed stall std
    task temperature tool trust_pickle val val_share warm_up waves
"""
"""Parameters whose option has their name."""

OPTIONS = {
    **{name: f"--{name.replace('_', '-')}" for name in SAME.split()},
    "CNN2RTL_DEBUG": "--debug",
    "calibration": "--calib",
    "clock_mhz": "--clock",
    "example": "--input",
    "folder": "--run",
    "layers": "--layer",
    "mhz": "--freq",
    "model": "MODEL",
    "out": "-o",
}
"""The option, by the parameter's name."""

_PARAMETER = re.compile(rf"`({'|'.join(OPTIONS)})=([^`]*)`")


def with_options(message: str) -> str:
    """``message`` with options where it names parameters of the package.

    Those are written as in a call, within backquotes, a form that no layer's name has: fps=-1 becomes --fps -1,
    example=(3, 8, 8) --input 3x8x8, and pnr=True --pnr.
    """
    return _PARAMETER.sub(lambda found: f"{OPTIONS[found[1]]} {_argument(found[2])}".rstrip(), message)


def _argument(value: str) -> str:
    """A value as an option takes it."""
    if re.fullmatch(r"\(\d+(, \d+)*\)", value):
        return value[1:-1].replace(", ", "x")
    return "" if value == "True" else value.strip('"')
