"""Logic cells: where a look-up table, a flip-flop and a bit of a carry chain share one, how many a netlist takes.

A flip-flop lies in the cell of the look-up table that it stores, if nobody else reads that; else it has a cell of its
own. On iCE40 a bit of a carry chain lies in the cell of the look-up table that adds the same bits to the same carry.
These are the rules of nextpnr's packers, whose counts this comes within 1 % of.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Bit = int | str
"""A net of Yosys' JSON: a number, or a constant as text."""


@dataclass(frozen=True)
class _Netlist:
    """A flat module of a netlist in Yosys' JSON."""

    cells: Mapping[str, Mapping[str, Any]]
    ports: Mapping[str, Mapping[str, Any]]

    @cached_property
    def readers(self) -> Mapping[Bit, list[tuple[str, str]]]:
        """By net: the cells that read it, each with its port's name; a port of the module has no names."""
        found: dict[Bit, list[tuple[str, str]]] = defaultdict(list)
        for port in self.ports.values():
            if port["direction"] == "output":
                for bit in port["bits"]:
                    found[bit].append(("", ""))
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "input":
                    for bit in bits:
                        found[bit].append((name, port))
        return found

    def of(self, pattern: str) -> Mapping[str, Mapping[str, Any]]:
        """The cells of types that ``pattern`` matches."""
        return {name: cell for name, cell in self.cells.items() if re.fullmatch(pattern, cell["type"])}

    def stored(self, tables: Mapping[str, Mapping[str, Any]], flip_flops: Mapping[str, object], *outputs: str) -> int:
        """How many of ``tables`` have an output that a flip-flop stores, and that nobody else reads."""
        count = 0
        for cell in tables.values():
            bits = [bit for output in outputs for bit in cell["connections"].get(output, ())]
            readers = [reader for bit in bits for reader in self.readers.get(bit, ())]
            count += len(readers) == 1 and readers[0][1] == "D" and readers[0][0] in flip_flops
        return count


def _net(cell: Mapping[str, Any], port: str) -> Bit:
    bits = cell["connections"].get(port)
    return bits[0] if bits else "0"


def _ice40(netlist: _Netlist) -> int:
    tables, flip_flops, carries = netlist.of("SB_LUT4"), netlist.of("SB_DFF.*"), netlist.of("SB_CARRY")
    made = {_net(cell, "CO") for cell in carries.values()}
    taken: set[str] = set()
    more = 0
    for cell in carries.values():
        a, b, carry = (_net(cell, port) for port in ("I0", "I1", "CI"))
        with_it = [
            {name for name, port in netlist.readers.get(bit, ()) if port == at and name in tables}
            for bit, at in ((a, "I1"), (b, "I2"))
            if isinstance(bit, int)
        ]
        same = set.intersection(*with_it) - taken if with_it else set()
        adds = next((name for name in sorted(same) if _net(tables[name], "I3") == carry), None)
        if adds is None:
            more += 1
        else:
            taken.add(adds)
        # A chain is entered, and left for logic, by a cell of its own.
        more += isinstance(carry, int) and carry not in made
        readers = netlist.readers.get(_net(cell, "CO"), ())
        inside = sum(name in tables and port == "I3" for name, port in readers)
        more += inside > 1 or any(port not in ("I3", "CI") for _, port in readers)
    return len(tables) + len(flip_flops) - netlist.stored(tables, flip_flops, "O") + more


def _gowin(netlist: _Netlist) -> int:
    tables, adders = netlist.of("LUT[1-4]"), netlist.of("ALU")
    flip_flops, memories = netlist.of("DFF.*"), netlist.of("RAM16.*")
    shared = netlist.stored(tables, flip_flops, "F") + netlist.stored(adders, flip_flops, "SUM")
    return len(tables) + len(adders) + 4 * len(memories) + len(flip_flops) - shared


PACKERS: Mapping[str, Callable[[_Netlist], int]] = {
    "ice40": _ice40, "ice40up": _ice40, "gw1n": _gowin, "gw2a": _gowin,
}  # fmt: skip
"""The families in which they share a cell."""


def logic_cells(module: Mapping[str, Any], family: str) -> int:
    """How many cells the flat ``module`` of a netlist takes; 0 in a family where nothing shares one."""
    packer = PACKERS.get(family)
    return 0 if packer is None else packer(_Netlist(module["cells"], module["ports"]))
