"""What a synthesis tool only warns of, or does in silence, and what must not be: each becomes one clear line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from cnn2rtl.errors import UserError
from cnn2rtl.hardware.unit import Place, rom_place

MEMORY_BITS = 4096
"""A memory that is written and larger than this belongs in memory, not in registers."""
OPERAND_BITS, PRODUCT_BITS = 5, 12
"""A multiplier belongs in a DSP block from here on: every family's DSP mapping takes what is that wide."""


_PLACES = ("ram_style", "ramstyle", "rom_style", "romstyle")


class SynthesisError(UserError):
    """The design cannot be synthesised as it is meant. One line per reason."""


# Patterns of Yosys, and what they mean. A name in a message has a backslash before it.
_MESSAGES = tuple(
    (re.compile(pattern), meaning)
    for pattern, meaning in (
        (r"Latch inferred for signal `(?P<what>.+)' from process `.*?\$proc\$(?P<at>[^$]+)\$",
         "latch: {what} ({at})"),
        (r"Warning: multiple conflicting drivers for (?P<what>\S+?):?$", "several drivers: {what}"),
        (r"Warning: found logic loop in module (?P<what>.+?):$", "combinational loop in {what}"),
        (r"Warning: Replacing memory \\?(?P<what>\S+) with list of registers\. See (?P<at>\S+)",
         "memory in registers: {what} ({at})"),
        (r"Warning: Wire (?P<what>\S+) (?P<at>.*)is used but has no driver\.", "no driver: {what}"),
        (r"ERROR: ?Can ?not open file `(?P<what>.+?)[`'] for .*readmemh", "ROM file missing: {what}"),
        (r"ERROR: ?(?P<what>Assertion failed|Found \d+ problems).*", ""),
        (r"ERROR: ?(?P<what>.*)", "Yosys: {what}"),
    )
)  # fmt: skip


def in_log(lines: Iterable[str]) -> list[str]:
    """The problems that Yosys names in what it prints, each once.

    The design is checked by module and then flat; only the first has names that a reader finds in the files, so the
    second counts where it finds something new.
    """
    modules: list[str] = []
    flat: list[str] = []
    other: list[str] = []
    found = modules
    for line in lines:
        if "Executing FLATTEN pass" in line:
            found = flat
        for pattern, meaning in _MESSAGES:
            match = pattern.search(line)
            if match:
                text = meaning.format(**{key: _name(value or "") for key, value in match.groupdict().items()})
                (other if text.startswith("Yosys:") else found).append(text)
                break
    problems = [text for text in modules or flat if text]
    return list(dict.fromkeys(problems or other))


def _name(text: str) -> str:
    """A name as the files have it: Yosys adds backslashes, and to a module its parameters."""
    module = re.match(r"\$paramod(?:\$\w+)?\\(\w+)", text)
    signal = text.rsplit(".\\", 1)[-1] if module else text
    return (f"{module[1]}.{signal}" if module else text).replace("\\", "")


def unmapped(netlist: Mapping[str, Any], multiplies: bool) -> list[str]:
    """The problems among the cells that found no block: ``netlist`` is Yosys' JSON of memories and multipliers.

    ``multiplies`` says whether the family has DSP blocks for multipliers.
    """
    found: Counter[str] = Counter()
    for module in netlist["modules"].values():
        for name, cell in module["cells"].items():
            text = _memory(cell) if cell["type"].startswith("$mem") else _multiplier(cell) if multiplies else ""
            if text:
                found[f"{text}: {_place(name, cell)}"] += 1
    return [text + (f", {count} times" if count > 1 else "") for text, count in found.items()]


def _memory(cell: Mapping[str, Any]) -> str:
    if any(cell["attributes"].get(key) in ("registers", "logic") for key in _PLACES):
        # As the design wants it.
        return ""
    words, width, ports = (_number(cell["parameters"][key]) for key in ("SIZE", "WIDTH", "WR_PORTS"))
    if ports and words * width > MEMORY_BITS:
        return f"memory of {words:,} x {width} bits in registers"
    if not ports and rom_place(width, words) == Place.BLOCK:
        return f"ROM of {words:,} x {width} bits in logic"
    return ""


def _multiplier(cell: Mapping[str, Any]) -> str:
    parameters = cell["parameters"]
    if cell["type"] == "$macc_v2":
        # One cell may hold several products; their widths stand side by side, 16 bits each.
        count = _number(parameters["NPRODUCTS"])
        widths = [(_slice(parameters["A_WIDTHS"], i), _slice(parameters["B_WIDTHS"], i)) for i in range(count)]
        connected = _split(cell["connections"], widths)
    elif cell["type"] == "$mul":
        widths = [(_number(parameters["A_WIDTH"]), _number(parameters["B_WIDTH"]))]
        connected = [(cell["connections"]["A"], cell["connections"]["B"])]
    else:
        return ""
    for a, b in connected:
        # A bit that is a constant costs nothing, and repeats of the sign neither.
        a_bits, b_bits = (len({bit for bit in bits if isinstance(bit, int)}) for bits in (a, b))
        if min(a_bits, b_bits) >= OPERAND_BITS and a_bits + b_bits >= PRODUCT_BITS:
            return f"multiplier of {a_bits} x {b_bits} bits in logic"
    return ""


def _split(connections: Mapping[str, Any], widths: list[tuple[int, int]]) -> list[tuple[list[Any], list[Any]]]:
    a, b = 0, 0
    result = []
    for a_width, b_width in widths:
        result.append((connections["A"][a : a + a_width], connections["B"][b : b + b_width]))
        a, b = a + a_width, b + b_width
    return result


def _slice(text: str, index: int) -> int:
    """16 bits of a parameter, counted from its lowest."""
    end = len(text) - 16 * index
    return int(text[end - 16 : end], 2)


def _number(text: str | int) -> int:
    return text if isinstance(text, int) else int(text, 2)


def _place(name: str, cell: Mapping[str, Any]) -> str:
    """The instance, as far as Yosys kept its name, and the line of Verilog."""
    source = cell["attributes"].get("src", "").split("|")[0]
    instance = re.sub(r"\$(flatten|mul|macc)[^\\]*", "", name).split("$")[0].replace("\\", "").strip(".")
    return f"{instance} ({source})" if instance else source
