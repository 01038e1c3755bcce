"""Verilog names after the model's own modules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, count

KEYWORDS = frozenset(
    """always and assign automatic begin buf bufif0 bufif1 case casex casez cell cmos config deassign default defparam
    design disable edge else end endcase endconfig endfunction endgenerate endmodule endprimitive endspecify endtable
    endtask event for force forever fork function generate genvar highz0 highz1 if ifnone incdir include initial inout
    input instance integer join large liblist library localparam macromodule medium module nand negedge nmos nor
    noshowcancelled not notif0 notif1 or output parameter pmos posedge primitive pull0 pull1 pulldown pullup
    pulsestyle_ondetect pulsestyle_onevent rcmos real realtime reg release repeat rnmos rpmos rtran rtranif0 rtranif1
    scalared showcancelled signed small specify specparam strong0 strong1 supply0 supply1 table task time tran tranif0
    tranif1 tri tri0 tri1 triand trior trireg unsigned use uwire vectored wait wand weak0 weak1 while wire wor xnor xor
    bit byte chandle class clocking const constraint context continue cover do endclass endclocking endgroup
    endinterface endpackage endprogram endproperty endsequence enum export extends extern final first_match
    foreach forkjoin iff import inside int interface intersect local logic longint matches modport new null package
    packed priority program property protected pure rand randc randcase ref return sequence shortint shortreal solve
    static string struct super tagged this throughout timeprecision timeunit type typedef union unique var virtual
    void wait_order wildcard with within clk rst""".split()
)
"""Words of Verilog-2005 and SystemVerilog, and the ports that every module has."""


def identifier(name: str) -> str:
    """``name`` with all but letters, digits and underscores replaced; never empty, no digit first."""
    word = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") or "layer"
    return f"layer_{word}" if word[0].isdigit() else word


def unique_identifiers(names: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """A Verilog identifier per name, all different even where case is ignored, none a keyword or ``taken``.

    None is another one with ``_q`` behind it either, as the stream of that name is called behind its FIFO.
    """
    used = {word.lower() for word in taken} | KEYWORDS
    used |= {f"{word}_q" for word in used}
    result: dict[str, str] = {}
    for name in names:
        word = identifier(name)
        stem = f"{word}_layer" if word.lower() in used else word
        numbered = (f"{stem}_{number}" for number in count(2))
        result[name] = next(c for c in chain([word, stem], numbered) if not {c.lower(), f"{c.lower()}_q"} & used)
        used |= {result[name].lower(), f"{result[name].lower()}_q"}
    return result
