"""A design's files as text, all in memory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from cnn2rtl.design import Design, Module
from cnn2rtl.render import templates
from cnn2rtl.render.describe import Facts, description
from cnn2rtl.render.report import report
from cnn2rtl.render.rom import hex_lines
from cnn2rtl.render.scripts import EXAMPLES, build
from cnn2rtl.render.verilog import SIMULATION, literal, used_units


def render(design: Design, facts: Facts) -> Mapping[str, str]:
    """Everything but the test vectors: paths in the output folder, and their text."""
    files: dict[str, str] = {}
    for module in design.modules:
        files |= _module(module)
    files[f"rtl/{design.name}.v"] = templates.fill("design/top.v.j2", design=design)
    for name in used_units(design.schedule.blocks):
        files[f"rtl/{name}.v"] = templates.read(f"units/{name}.v")
    for path in ("testbench.v", "Makefile", "test_design.py"):
        files[f"sim/{path}"] = templates.fill(f"sim/{path}.j2", design=design)
    for name in SIMULATION:
        files[f"sim/{name}.v"] = templates.read(f"sim/{name}.v")
    roms = {name: len(rom.words) for module in design.modules for name, rom in module.roms.items()}
    given = {"design": design, "sources": [path for path in files if path.startswith("rtl/")], "roms": roms}
    files["syn/yosys/synth.ys"] = templates.fill("scripts/yosys/synth.ys.j2", **given)
    for tool in EXAMPLES:
        values = {"build": build(tool, facts.device, facts.clock_mhz), "clock_mhz": facts.clock_mhz}
        files[f"syn/{tool}/build.tcl"] = templates.fill(f"scripts/{tool}/build.tcl.j2", **given, **values)
    about = description(design, facts)
    files["design.json"] = about.text()
    files["README.md"] = templates.fill("design/README.md.j2", design=design, about=about)
    files["report.html"] = report(about)
    return files


def _module(module: Module) -> dict[str, str]:
    """The files of a block: its module, those that are made for it alone, its ROMs."""
    block = module.block
    values = {"module": module, "block": block, "literal": partial(literal, module=module.name)}
    files = {f"rtl/{module.name}.v": templates.fill(block.template, **values)}
    for instance in block.instances:
        if instance.template:
            made = module.units[instance.role]
            files[f"rtl/{made}.v"] = templates.fill(instance.template, layer=block.name, unit=instance, module=made)
    return files | {f"rom/{name}": hex_lines(rom) for name, rom in module.roms.items()}
