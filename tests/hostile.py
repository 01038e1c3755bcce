"""Names that would break out of what they stand in, or run something, where nobody escapes them; and who has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache

import msgspec
import torch
from torch import Tensor, nn

from cnn2rtl import schema
from cnn2rtl.design import Design, lay_out
from cnn2rtl.frontend import capture
from cnn2rtl.graph import FloatGraph, QuantGraph
from cnn2rtl.hardware.block import Port
from cnn2rtl.pipeline import Compiled, Options, quantise_graph
from cnn2rtl.render import render
from cnn2rtl.render.describe import Facts
from cnn2rtl.render.verilog import reserved
from cnn2rtl.schedule import Schedule, Target, schedule
from cnn2rtl.tensors import noise

PAYLOADS = (
    'say "hi"', "back\\", "two\nlines", "carriage\rreturn", "tab\tand\fform\vfeeds", "nul\0byte", "line\u2028end",
    "// comment", "/* open", "close */ endmodule module x; /*", "`include \"/etc/passwd\"", "`define clk",
    '")) u_z(); initial $system("touch RAN"); stream_check #(.LAYER("b',
    "\nendmodule\nmodule other; initial $system(\"touch RAN\"); endmodule\n",
    "$finish;", "%s%n%0d", "$(shell touch RAN)", "${HOME}", "$(touch RAN)", "`touch RAN`", "; touch RAN",
    "' ; touch RAN; '",    "[exec touch RAN]", "} ; exec touch RAN ; {", "# comment", "!touch RAN", "\\\n; touch RAN",
    "{= 7 * 7 =}", "{% if 1 %}", "{# note #}", "{{ 7 }}", "=}", "]", ")", ";", "'''", '"""\nimport os\n"""',
    "<script>alert(1)</script>", "</style></svg>", "--><img src=x onerror=alert(1)>", "a\" onload=\"alert(1)", "&lt;",
    "| cell |", "[link](javascript:alert)", "![image](http://x/y)", "**bold**", "_word_ a_b", "~~gone~~", "<!-- note",
    "synthesis translate_off", "verilator lint_off WIDTH", "synopsys full_case", "pragma protect",
    "[bold red]red[/]", "[/]", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b31m", "\u202egnp.exe", "\u2066left\u2069",
    "zero\u200bwidth", "half\ud800", "ж中文é", " ", "..", "-", "-rf", "--force", "0", "1e5", "con", "aux.v",
    "always", "clk", "pixels", "s_axis", "testbench", "l" * 4000, "l" * 3999 + "m",
)  # fmt: skip
"""For Verilog, TCL, make, shells, Yosys, Jinja, Python, HTML, Markdown, comments that tools obey, and terminals."""

OPTIONS = Options(target=Target(multipliers=300, dsps=0))
CHOSEN = msgspec.convert({key: value for key, value in asdict(OPTIONS).items() if key != "target"}, schema.Options)


class _Net(nn.Module):
    """Two inputs, two outputs, a fork, a sum, weights in memory and weights that are built in."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.spots = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(4 + 5, 3)

    def forward(self, image: Tensor, facts: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv(image).relu()
        x = x + self.spots(x)
        return self.fc(torch.cat([x.mean((2, 3)), facts], 1)), x


@dataclass(frozen=True)
class Network:
    """A network that is scheduled already, and whose layers and inputs can then be called anything."""

    floats: FloatGraph
    integers: QuantGraph
    schedule: Schedule

    @property
    def size(self) -> int:
        """How many names it takes."""
        return len(self.integers.nodes)

    def compiled(self, names: Sequence[str], top: str, notes: tuple[str, ...] = ()) -> Compiled:
        """The design, with all of its files."""
        design = self.laid_out(names, top)
        files = render(design, Facts(CHOSEN, names[0], notes, 100.0, None))
        return Compiled(self._floats(names, top), design.graph, design, files, noise(design.graph.inputs, 2))

    def laid_out(self, names: Sequence[str], top: str) -> Design:
        called = self._called(names)
        nodes = (
            replace(node, name=called[node.name], inputs=tuple(called[source] for source in node.inputs))
            for node in self.integers.nodes
        )
        graph = QuantGraph(top, tuple(nodes), tuple(called[name] for name in self.integers.outputs))
        blocks = tuple(
            replace(
                block, name=called[block.name], layers=tuple(called[name] for name in block.layers),
                sources=tuple(called[name] for name in block.sources),
                results=tuple(called[name] for name in block.results),
            )
            for block in self.schedule.blocks
        )  # fmt: skip
        streams = {
            called[name]: replace(
                traffic,
                depths={Port(called.get(port.block, ""), port.number): n for port, n in traffic.depths.items()},
            )
            for name, traffic in self.schedule.streams.items()
        }
        return lay_out(graph, replace(self.schedule, blocks=blocks, streams=streams), reserved())

    def _called(self, names: Sequence[str]) -> dict[str, str]:
        return dict(zip((node.name for node in self.integers.nodes), names, strict=True))

    def _floats(self, names: Sequence[str], top: str) -> FloatGraph:
        called = self._called(names)
        nodes = (
            replace(node, name=called[node.name], inputs=tuple(called[source] for source in node.inputs))
            for node in self.floats.nodes
        )
        return FloatGraph(top, tuple(nodes), tuple(called[name] for name in self.floats.outputs))


@cache
def network() -> Network:
    """Two inputs, two outputs, a fork, weights in memory and weights that are built in."""
    torch.manual_seed(0)
    made = quantise_graph(capture(_Net().eval(), ((3, 6, 4), (5,)), "net"), OPTIONS)
    plan = schedule(made.integers, OPTIONS.target)
    assert isinstance(plan, Schedule)
    return Network(made.graph, made.integers, plan)
