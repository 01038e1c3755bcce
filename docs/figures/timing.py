"""Draws the timing figures of the unit library from simulations in Icarus Verilog.

``python docs/figures/timing.py [FOLDER]`` writes one SVG per unit, by default beside this script. Every scenario is a
table of inputs, cycle by cycle; what the unit answers is simulated, never drawn by hand.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from xml.sax.saxutils import escape

from scenarios import SCENARIOS, Scenario

HERE = Path(__file__).parent
UNITS = HERE.parents[1] / "templates" / "units"
PERIOD = 10
"""Time steps per clock cycle; inputs change one step after the rising edge, and all is read one before the next."""


def simulate(scenario: Scenario, folder: Path) -> dict[str, list[int | None]]:
    """The value of every shown signal in every cycle, ``None`` where it is unknown."""
    widths = {name: len(values) for name, values in scenario.inputs.items()}
    cycles = max(widths.values())
    if set(widths.values()) != {cycles}:
        raise ValueError(f"{scenario.unit}: inputs of different length, {widths}")
    for name, text in scenario.files.items():
        (folder / name).write_text(text)
    shown = [name for name in scenario.signals if name != "clk"]
    parts = [name for names in scenario.joined.values() for name in names]
    wired = {name: name for name in ("clk", "rst", *shown) if name in ("clk", *scenario.bits) and name not in parts}
    wired |= {port: f"{{{', '.join(reversed(names))}}}" for port, names in scenario.joined.items()}
    ports = ", ".join(f".{port}({signal})" for port, signal in wired.items())
    parameters = ", ".join(f".{name}({value})" for name, value in scenario.parameters.items())
    declared = "\n".join(
        f"  {'reg' if name in scenario.inputs or name == 'rst' else 'wire'} [{bits - 1}:0] {name};"
        for name, bits in scenario.bits.items()
    )
    steps = [" ".join(f"{name} = {values[k]};" for name, values in scenario.inputs.items()) for k in range(cycles)]
    reset = "rst = 1; @(posedge clk); @(posedge clk); #1 rst = 0;" if "rst" in scenario.bits else "@(posedge clk); #1;"
    idle = " ".join(f"{name} = 0;" for name in scenario.inputs)
    clocked = "@(posedge clk); #1 " if "clk" in scenario.signals else f"#{PERIOD} "
    bench = f"""
module bench;
  reg clk = 0;
  always #{PERIOD // 2} clk = !clk;
{declared}
  {scenario.unit} #({parameters}) u_unit ({ports if "clk" in scenario.signals else ports.replace(".clk(clk), ", "")});
  initial begin
    $dumpfile("bench.vcd");
    $dumpvars(1, bench);
    {idle} {reset}
    {f" {clocked}".join(steps)} #{PERIOD} $finish;
  end
endmodule
"""
    (folder / "bench.v").write_text(bench)
    subprocess.run(["iverilog", "-g2005", "-o", "bench", "-y", str(UNITS), "bench.v"], cwd=folder, check=True)
    subprocess.run(["vvp", "bench"], cwd=folder, check=True, capture_output=True)
    end, values = read_vcd((folder / "bench.vcd").read_text(), shown)
    start = end - cycles * PERIOD
    return {name: [values[name](start + (k + 1) * PERIOD - 2) for k in range(cycles)] for name in shown}


class Trace:
    """The changes of one signal."""

    def __init__(self) -> None:
        self.changes: list[tuple[int, int | None]] = [(-1, None)]

    def __call__(self, time: int) -> int | None:
        return next(value for at, value in reversed(self.changes) if at <= time)


def read_vcd(text: str, names: Sequence[str]) -> tuple[int, dict[str, Trace]]:
    """Time of the last event, and the traces of the signals called ``names``."""
    head, _, body = text.partition("$enddefinitions $end")
    codes = {code: name for code, name in re.findall(r"\$var \w+ \d+ (\S+) (\w+)", head) if name in names}
    traces = {name: Trace() for name in codes.values()}
    time = 0
    for line in body.split("\n"):
        if line.startswith("#"):
            time = int(line[1:])
        elif found := re.fullmatch(r"b(\S+) (\S+)|([01xz])(\S+)", line):
            bits, code = (found[1], found[2]) if found[1] else (found[3], found[4])
            if code in codes:
                traces[codes[code]].changes.append((time, None if set(bits) & set("xz") else int(bits, 2)))
    return time, traces


def check_streams(scenario: Scenario, values: Mapping[str, Sequence[int | None]]) -> None:
    """The tables of inputs must themselves keep to the stream rules."""
    for name in scenario.inputs:
        if not name.endswith("_valid"):
            continue
        valid, ready, data = (values[name.replace("valid", part)] for part in ("valid", "ready", "data"))
        for k in range(len(valid) - 1):
            waits = valid[k] == 1 and ready[k] == 0
            held = valid[k + 1] == 1 and data[k] == data[k + 1]
            if waits and not held:
                raise ValueError(f"{scenario.unit}: the beat of cycle {k} was not taken, and must be held")
            if not waits and held and valid[k] == 1:
                raise ValueError(f"{scenario.unit}: the beat of cycle {k} was taken, and comes again in the next")


LEFT, ROW, HIGH = 92, 26, 16
"""Room for the names of the signals, and the height of a signal with and without the room around it."""
NARROWEST, CHARACTER = 38, 6.7
"""Width of a clock cycle that has no long number to show, and of a character."""
INK, FILL, GREY = "#1f2937", "#dbeafe", "#e5e7eb"


@dataclass(frozen=True)
class Lozenge:
    """A value on a bus from cycle ``first`` to before cycle ``end``; ``label`` is ``None`` where there is no value."""

    first: int
    end: int
    label: str | None


def draw(scenario: Scenario, values: Mapping[str, Sequence[int | None]]) -> str:
    """The waveform as SVG, one row per signal."""
    cycles = len(next(iter(values.values())))
    buses = {
        name: lozenges(scenario, name, values)
        for name in scenario.signals
        if name != "clk" and (scenario.bits[name] > 1 or name in scenario.elements)
    }
    # As wide as the longest number needs it.
    labelled = [shape for shapes in buses.values() for shape in shapes if shape.label is not None]
    needed = [(len(shape.label or "") * CHARACTER + 12) / (shape.end - shape.first) for shape in labelled]
    step = max(NARROWEST, *(2 * ceil(width / 2) for width in needed), 0)
    width, height = LEFT + cycles * step + 8, len(scenario.signals) * ROW + 30
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" '
            f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="11" fill="{INK}">'
        ),
        f"<title>{escape(scenario.title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for k in range(cycles + 1):
        x = LEFT + k * step
        parts.append(f'<line x1="{x}" y1="6" x2="{x}" y2="{height - 20}" stroke="{GREY}"/>')
        if k < cycles:
            parts.append(f'<text x="{x + step / 2:g}" y="{height - 7}" text-anchor="middle" fill="#6b7280">{k}</text>')
    for row, name in enumerate(scenario.signals):
        top = 10 + row * ROW
        parts.append(f'<text x="{LEFT - 8}" y="{top + 12}" text-anchor="end">{name}</text>')
        if name == "clk":
            parts.append(line([point for k in range(cycles) for point in pulse(LEFT + k * step, step, top)]))
        elif name in buses:
            parts += [part for shape in buses[name] for part in outline(shape, step, top)]
        else:
            parts.append(line(bit_points(values[name], step, top)))
    return "\n".join([*parts, "</svg>", ""])


def lozenges(scenario: Scenario, name: str, values: Mapping[str, Sequence[int | None]]) -> list[Lozenge]:
    """One for every beat; nothing where the valid that goes with the signal is low."""
    valid = values.get(scenario.valid.get(name, ""))
    shown = [None if valid is not None and not valid[k] else value for k, value in enumerate(values[name])]
    ready = values.get(name.replace("data", "ready")) if valid is not None else None
    found, k = [], 0
    while k < len(shown):
        end = k + 1
        # A beat that waits is one lozenge; equal beats that follow each other are two.
        while end < len(shown) and shown[end] == shown[k] and (ready is None or not ready[end - 1] or shown[k] is None):
            end += 1
        value = shown[k]
        found.append(Lozenge(k, end, None if value is None else scenario.label(name, value)))
        k = end
    return found


def outline(shape: Lozenge, step: int, top: int) -> list[str]:
    a, b = LEFT + shape.first * step + 1, LEFT + shape.end * step - 1
    middle, low = top + HIGH / 2, top + HIGH
    if shape.label is None:
        return [f'<line x1="{a}" y1="{middle:g}" x2="{b}" y2="{middle:g}" stroke="#9ca3af"/>']
    corners = [(a, middle), (a + 4, top), (b - 4, top), (b, middle), (b - 4, low), (a + 4, low)]
    path = " ".join(f"{x:g},{y:g}" for x, y in corners)
    return [
        f'<polygon points="{path}" fill="{FILL}" stroke="{INK}"/>',
        f'<text x="{(a + b) / 2:g}" y="{top + 12}" text-anchor="middle">{escape(shape.label)}</text>',
    ]


def line(points: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{INK}" stroke-width="1.3"/>'


def pulse(x: int, step: int, top: int) -> list[tuple[float, float]]:
    low = top + HIGH
    return [(x, low), (x, top), (x + step / 2, top), (x + step / 2, low), (x + step, low)]


def bit_points(values: Sequence[int | None], step: int, top: int) -> list[tuple[float, float]]:
    levels = [top if value else top + HIGH for value in values]
    points: list[tuple[float, float]] = []
    for k, level in enumerate(levels):
        x = LEFT + k * step
        points += [(x + (2 if points else 0), level), (x + step - 2, level)]
    return [*points, (points[-1][0] + 2, points[-1][1])]


def figures(folder: Path) -> None:
    """Write every figure into ``folder``."""
    for scenario in SCENARIOS:
        with tempfile.TemporaryDirectory() as scratch:
            values = simulate(scenario, Path(scratch))
        check_streams(scenario, values)
        (folder / f"{scenario.unit}.svg").write_text(draw(scenario, values))


if __name__ == "__main__":
    figures(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
