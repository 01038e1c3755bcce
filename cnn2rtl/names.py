"""All names of an emitted design, given out in one place, so that no two of them ever meet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count

from cnn2rtl.graph import QuantGraph
from cnn2rtl.hardware.block import Port
from cnn2rtl.schedule import Schedule

KEYWORDS = frozenset(
    """accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind
    bins binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config const
    constraint context continue cover covergroup coverpoint cross deassign default defparam design disable dist do edge
    else end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup endinterface endmodule
    endpackage endprimitive endprogram endproperty endsequence endspecify endtable endtask enum event eventually expect
    export extends extern final first_match for force foreach forever fork forkjoin function generate genvar global
    highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir include initial inout input
    inside instance int integer interconnect interface intersect join join_any join_none large let liblist library local
    localparam logic longint macromodule matches medium modport module nand negedge nettype new nexttime nmos nor
    noshowcancelled not notif0 notif1 null or output package packed parameter pmos posedge primitive priority program
    property protected pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase
    randsequence rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0
    rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled
    signed small soft solve specify specparam static string strong strong0 strong1 struct super supply0 supply1
    sync_accept_on sync_reject_on table tagged task this throughout time timeprecision timeunit tran tranif0 tranif1 tri
    tri0 tri1 triand trior trireg type typedef union unique unique0 unsigned until until_with untyped use uwire var
    vectored virtual void wait wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
    bool wreal clk rst""".split()
)
"""Words of Verilog-2005, of SystemVerilog and of Icarus Verilog, and the ports that every module has."""

DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})
"""What no file may be called under Windows, whatever its suffix."""

LONGEST = 100
"""Characters of a name: files are called after it, and no simulator has to know names of more than 1,024."""

PIXELS, SAMPLES = "pixels", "samples"
"""The stream of the only input: of pictures, and of numbers that are none."""

STREAM = ("{}_q", "{}_fifo")
"""What else is called after a stream: itself behind its FIFO, and that."""
PORT = ("{}_frame",)
"""What is called after a stream's port at the top: the check of its frames."""


@dataclass(frozen=True)
class Names:
    """What is called how in the files of a design.

    ``streams`` go by the node that makes them, ``modules`` by their block; a block that is called as its layer shares
    the name of its stream. ``units`` are modules that are made for one block alone, by that and their role. ``fifos``
    have the name of their stream or, where it forks, names of their own.
    """

    top: str
    streams: Mapping[str, str]
    modules: Mapping[str, str]
    units: Mapping[tuple[str, str], str]
    fifos: Mapping[Port, str]


def name_all(graph: QuantGraph, schedule: Schedule, taken: Iterable[str]) -> Names:
    """The names of a design, after the model's own.

    However those are, no two modules, files, wires or instances meet, even where case is ignored; nor are any called as
    something in ``taken``, which has all other modules and the prefixes of ports at the top.
    """
    only = SAMPLES if graph.numbers else PIXELS
    names = _Namespace((*taken, only))
    top = names.give(graph.name)
    inputs = list(graph.inputs)
    streams = {name: names.give(name, *STREAM) for name in inputs} if len(inputs) > 1 else {inputs[0]: only}
    modules: dict[str, str] = {}
    for block in schedule.blocks:
        roms = (f"rom/{{}}_{role}" for role in block.roms)
        modules[block.name] = names.give(block.name, *STREAM, *roms)
        if block.name in block.layers:
            streams[block.name] = modules[block.name]
    for node in graph.layers:
        if node.name not in streams:
            streams[node.name] = names.give(node.name, *STREAM)
    units = {
        (block.name, it.role): names.give(f"{modules[block.name]}_{it.module}")
        for block in schedule.blocks
        for it in block.instances
        if it.template
    }
    fifos: dict[Port, str] = {}
    for node in graph.nodes:
        stream, ports = streams[node.name], tuple(schedule.streams[node.name].depths)
        for port in ports:
            twice = sum(other.block == port.block for other in ports) > 1
            taker = f"{modules[port.block] if port.block else 'output'}{f'_{port.number}' if twice else ''}"
            fifos[port] = names.give(f"{stream}_to_{taker}", *STREAM) if len(ports) > 1 else stream
    return Names(top, streams, modules, units, fifos)


class _Namespace:
    """Words that are used, in lower case: those of Verilog and all that belong to names which have been given out."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.used = {*KEYWORDS, *DEVICES}.union(*(_owned(word, (*STREAM, *PORT)) for word in taken))

    def give(self, wish: str, *forms: str) -> str:
        """An identifier after ``wish`` that is free, and so are the ``forms`` in which it is used."""
        word = identifier(wish)
        stem = f"{word}_layer" if word.lower() in self.used else word
        wishes = chain([word, stem], (f"{stem}_{number}" for number in count(2)))
        name = next(wish for wish in wishes if not _owned(wish, forms) & self.used)
        self.used |= _owned(name, forms)
        return name


def _owned(name: str, forms: Iterable[str]) -> set[str]:
    return {form.format(name).lower() for form in ("{}", *forms)}


def identifier(name: str) -> str:
    """``name`` with all but letters, digits and underscores replaced; never empty, no digit first.

    The middle of a long name is left out: its end tells the layers of a block apart.
    """
    word = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") or "layer"
    word = f"layer_{word}" if word[0].isdigit() else word
    half = LONGEST // 2 - 1
    return word if len(word) <= LONGEST else f"{word[:half]}__{word[-half:]}"
