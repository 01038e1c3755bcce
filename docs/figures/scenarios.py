"""What the timing figures show: for every unit its parameters, and its inputs cycle by cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scenario:
    """``inputs`` are values per cycle; ``bits`` the widths of all signals; ``signals`` those drawn, from the top."""

    unit: str
    title: str
    parameters: Mapping[str, int | str]
    bits: Mapping[str, int]
    inputs: Mapping[str, Sequence[int]]
    signals: Sequence[str]
    elements: Mapping[str, int] = field(default_factory=dict)
    """Signals made of several numbers: bits of each, first lane lowest."""
    valid: Mapping[str, str] = field(default_factory=lambda: {"s_data": "s_valid", "m_data": "m_valid"})
    signed: frozenset[str] = frozenset()
    binary: frozenset[str] = frozenset()
    files: Mapping[str, str] = field(default_factory=dict)
    joined: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Ports made of several signals side by side, the first lowest; all others are called as the signals are."""

    def label(self, name: str, value: int) -> str:
        """A bus value as its numbers, first lane first."""
        width = self.elements.get(name, self.bits[name])
        numbers = [value >> at & ((1 << width) - 1) for at in range(0, self.bits[name], width)]
        if name in self.binary:
            return " ".join(f"{number:0{width}b}" for number in numbers)
        if name in self.signed:
            numbers = [n - (1 << width) if n >> (width - 1) else n for n in numbers]
        return " ".join(map(str, numbers))


PARTS = ("valid", "ready", "data")
STREAM = ("clk", *(f"{side}_{part}" for side in "sm" for part in PARTS))
Beat = Sequence[int] | None
"""Its lanes; ``None``: there is none."""


def words(beats: Sequence[Beat], bits: int) -> list[int]:
    """Lanes of so many bits each, packed."""
    return [
        0 if beat is None else sum((v % (1 << bits)) << (k * bits) for k, v in enumerate(beat)) for beat in beats
    ]  # fmt: skip


def stream(
    unit: str,
    title: str,
    parameters: Mapping[str, int | str],
    bits: tuple[int, int],
    beats: Sequence[Beat],
    ready: str,
    lanes: tuple[int, int],
    *,
    signed: str = "",
    files: Mapping[str, str] | None = None,
) -> Scenario:
    """A unit with one stream in and one out: ``beats`` per cycle, ``bits`` per lane."""
    in_bits, out_bits = bits
    return Scenario(
        unit,
        title,
        parameters,
        {"rst": 1, "s_valid": 1, "s_ready": 1, "s_data": in_bits * lanes[0],
         "m_valid": 1, "m_ready": 1, "m_data": out_bits * lanes[1]},
        {"s_valid": [int(beat is not None) for beat in beats], "s_data": words(beats, in_bits),
         "m_ready": [int(c) for c in ready]},
        STREAM,
        {"s_data": in_bits, "m_data": out_bits},
        signed=frozenset(signed.split()),
        files=files or {},
    )  # fmt: skip


def join(
    unit: str,
    title: str,
    parameters: Mapping[str, int | str],
    bits: tuple[int, int],
    streams: Mapping[str, Sequence[Beat]],
    ready: str,
    *,
    signed: str = "",
) -> Scenario:
    """A unit with several streams in, one lane each: their names with their beats per cycle."""
    in_bits, out_bits = bits
    sizes: dict[str, int] = {"rst": 1}
    inputs: dict[str, Sequence[int]] = {}
    for name, beats in streams.items():
        sizes |= {f"{name}_valid": 1, f"{name}_ready": 1, f"{name}_data": in_bits}
        inputs |= {f"{name}_valid": [int(beat is not None) for beat in beats], f"{name}_data": words(beats, in_bits)}
    names = [*streams, "m"]
    return Scenario(
        unit,
        title,
        parameters,
        {**sizes, "m_valid": 1, "m_ready": 1, "m_data": out_bits},
        {**inputs, "m_ready": [int(c) for c in ready]},
        ("clk", *(f"{name}_{part}" for name in names for part in PARTS)),
        {f"{name}_data": in_bits for name in streams} | {"m_data": out_bits},
        {f"{name}_data": f"{name}_valid" for name in names},
        signed=frozenset(signed.split()),
        joined={f"s_{part}": [f"{name}_{part}" for name in streams] for part in PARTS},
    )


def ones(first: int, last: int) -> list[tuple[int]]:
    """Beats of one lane that count up."""
    return [(n,) for n in range(first, last + 1)]


N = None
SCENARIOS = (
    stream(
        "gearbox", "Groups of 5 elements, 2 per beat in, 3 per beat out",
        {"ELEMENT_W": 8, "COUNT": 5, "IN_LANES": 2, "OUT_LANES": 3}, (8, 8),
        [(1, 2), (3, 4), (5, 0), (6, 7), (8, 9), (10, 0), (11, 12), (13, 14), (13, 14), (13, 14), (15, 0), N, N],
        "1111110001111", (2, 3),
    ),
    stream(
        "window_buffer", "2x2 windows, one per beat, over frames of 2x3 pixels padded below and on the right",
        {"IN_H": 2, "IN_W": 3, "OUT_H": 2, "OUT_W": 3, "KERNEL_Y": 2, "KERNEL_X": 2, "PAD_TOP": 0, "PAD_LEFT": 0,
         "TAPS_Y": 2, "TAPS_X": 2, "ROWS": 6}, (8, 8),
        [*ones(1, 6), *[(n,) for n in range(9, 3, -1)], N, N, N, N], "1" * 16, (1, 4),
    ),
    stream(
        "mac_array", "2 outputs of 3 beats, 2 products per beat; weights 1 2, 3 4, 5 6 and their negatives",
        {"PE": 2, "SIMD": 2, "STEPS": 3, "A_BITS": 4, "W_BITS": 4, "ACC_W": 10, "WEIGHT_WORDS": 3,
         "WEIGHT_FILE": '"weights.hex"'}, (4, 10),
        [(1, 0), (0, 1), (1, 1), (1, 2), (3, 4), (5, 6), N, N, N, N, N, N],
        "111111111111", (2, 2), signed="m_data", files={"weights.hex": "ef21\ncd43\nab65\n"},
    ),
    Scenario(
        "adder_tree", "Five terms, three levels", {"TERMS": 5, "TERM_W": 6, "SUM_W": 9},
        {"en": 1, "terms": 30, "sum": 9},
        {"en": [1, 1, 1, 0, 1, 1, 1, 1],
         "terms": [sum(n << (6 * k) for k in range(5)) for n in (1, 2, 3, 4, 4, 0, 0, 0)]},
        ("clk", "en", "terms", "sum"), {"terms": 6},
    ),
    Scenario(
        "multiply", "In logic, 4-bit weights: two digits", {"A_W": 5, "W_W": 4, "LOGIC": 1},
        {"en": 1, "a": 5, "w": 4, "product": 9},
        {"en": [1, 1, 1, 0, 1, 1, 1, 1], "a": [3, 29, 15, 9, 9, 0, 0, 0], "w": [7, 7, 8, 5, 5, 0, 0, 0]},
        ("clk", "en", "a", "w", "product"), signed=frozenset(("a", "w", "product")), valid={},
    ),
    Scenario(
        "multiply_pair", "Two 4-bit weights, 8 bits apart", {"A_W": 5, "W_W": 4, "SPACE": 8},
        {"en": 1, "a": 5, "w_low": 4, "w_high": 4, "low": 9, "high": 9},
        {"en": [1, 1, 1, 0, 1, 1, 1, 1], "a": [3, 13, 15, 9, 9, 0, 0, 0], "w_low": [7, 15, 8, 5, 5, 0, 0, 0],
         "w_high": [2, 1, 8, 6, 6, 0, 0, 0]},
        ("clk", "en", "a", "w_low", "w_high", "low", "high"),
        signed=frozenset(("a", "w_low", "w_high", "low", "high")), valid={},
    ),
    stream(
        "requantise", "Two channels, bias 2 and -6, shift 2 (the rounding half is in the bias), clamp 0 to 6",
        {"LANES": 2, "FOLDS": 1, "ACC_W": 8, "SUM_W": 9, "SHIFT_BASE": 2, "Q_BITS": 4, "LO": 0, "HI": 6,
         "PARAM_FILE": '"params.hex"'}, (8, 4),
        [(0, 0), (5, 5), (-8, 9), (99, 16), (12, 99), (3, 7), (21, 30), (21, 30), N, N, N, N, N],
        "1111110111111", (2, 2),
        signed="s_data", files={"params.hex": f"{(2 - 6 & 511) << 9 | 2 + 2:x}\n"},
    ),
    stream(
        "replay_buffer", "Vectors of 4 beats, each shown twice", {"WIDTH": 8, "WORDS": 4, "REPEAT": 2}, (8, 8),
        [*ones(1, 8), *[(9,)] * 2, *ones(10, 12), N, N, N, N, N, N], "1" * 19, (1, 1),
    ),
    join(
        "stream_add", "a + 4 b, of signed numbers; b comes late at first",
        {"A_SIGNED": 1, "B_SIGNED": 1, "B_FACTOR": 4, "OUT_W": 11}, (8, 11),
        {"a": [(3,), (3,), (5,), (-7,), (2,), (2,), N, (9,), N, N],
         "b": [N, (10,), (-1,), (1,), (6,), (6,), (8,), (8,), N, N]},
        "1111011111", signed="a_data b_data m_data",
    ),
    join(
        "stream_multiply", "a times b less 2, where b comes late at first",
        {"A_SIGNED": 1, "B_ZERO": 2, "OUT_W": 19}, (8, 19),
        {"a": [(3,), (3,), (4,), (-7,), (2,), (1,), (1,), (9,), N, N, N],
         "b": [N, (10,), (5,), (1,), (6,), (7,), (7,), (8,), N, N, N]},
        "11111011111", signed="a_data m_data",
    ),
    join(
        "stream_concat", "Two beats of stream 0, then one of stream 1", {"BEATS": "{32'd1, 32'd2}"}, (8, 8),
        {"s0": [(n,) for n in (1, 2, 3, 3, 4, 4, 5, 5, 5, 6)] + [N], "s1": [*[(10,)] * 3, N, N, N, N, (11,), N, N, N]},
        "11110111111",
    ),
    stream(
        "lookup", "The squares of four codes", {"BITS": 4, "Q_BITS": 8, "TABLE_FILE": '"table.hex"'}, (4, 8),
        [(3,), (5,), (15,), (2,), (2,), N, N, N], "11101111", (1, 1),
        files={"table.hex": "".join(f"{n * n:02x}\n" for n in range(16))},
    ),
    stream(
        "stream_fifo", "Room for two beats in memory and one at the output", {"WIDTH": 8, "DEPTH": 2}, (8, 8),
        [*ones(1, 4), *[(5,)] * 5, (6,), N, N, N, N], "11100001111111", (1, 1),
    ),
    stream(
        "resample", "A map of 2x2 pixels, every pixel twice, with a constant on the right",
        {"OUT_H": 2, "OUT_W": 5, "FROM_Y": "{16'd1, 16'd0}", "FROM_X": "{16'hFFFF, 16'd1, 16'd1, 16'd0, 16'd0}",
         "PAD": "8'd99"}, (8, 8),
        [(n,) for n in (1, 2, 3, 4, 5, 5, 5, 5, 6, 7, 7, 7, 7, 8)] + [N] * 3, "1" * 17, (1, 1),
    ),
    stream(
        "stream_select", "The first and the last of three beats, with lanes exchanged",
        {"BITS": 8, "IN_LANES": 2, "OUT_LANES": 2, "BEATS": 3, "KEEP": "3'b101", "LANES": "{16'd0, 16'd1}"}, (8, 8),
        [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (9, 10), (11, 12), N, N], "111101111", (2, 2),
    ),
    stream(
        "tap_reduce", "Maximum over 2 taps per beat and 2 beats per window",
        {"MAX": 1, "TAPS": 2, "STEPS": 2, "BITS": 8, "OUT_BITS": 8}, (8, 8),
        [(3, 7), (5, 1), (2, 2), (9, 4), (4, 8), (0, 1), (0, 1), N, N, N], "1111101111", (2, 1),
    ),
    stream(
        "tile_reduce", "Maximum over 2x2 tiles of a map 5 pixels wide, the last one beyond the tiles",
        {"IN_H": 2, "IN_W": 5}, (8, 8),
        [(n,) for n in (3, 9, 2, 4, 50, 5, 1, 8, 6, 60, 7, 0, 1, 2)] + [N, N], "1" * 16, (1, 1),
    ),
    stream(
        "argmax", "The largest of 2 x 3 numbers; of equals the first counts",
        {"LANES": 2, "BEATS": 3, "BITS": 8, "SIGNED": 1, "INDEX_BITS": 4}, (8, 4),
        [(3, -1), (7, 7), (0, 5), (1, 2), (3, 4), (5, 6), N, N, N], "1" * 9, (2, 1), signed="s_data",
    ),
    Scenario(
        "cyclic_rom", "Four words, 10 to 13, round and round", {"WIDTH": 8, "DEPTH": 4, "FILE": '"words.hex"'},
        {"rst": 1, "next": 1, "data": 8}, {"next": [0, 1, 1, 1, 0, 0, 1, 1, 1, 0]}, ("clk", "next", "data"),
        files={"words.hex": "0a\n0b\n0c\n0d\n"},
    ),
    Scenario(
        "simple_ram", "A write and a read in every cycle, never of the same word", {"WIDTH": 8, "DEPTH": 4},
        {"write": 1, "write_addr": 2, "write_data": 8, "read": 1, "read_addr": 2, "read_data": 8},
        {"write": [1, 1, 1, 1, 0, 0, 0], "write_addr": [0, 1, 2, 0, 0, 0, 0], "write_data": [20, 21, 22, 30, 0, 0, 0],
         "read": [0, 1, 1, 1, 0, 1, 0], "read_addr": [0, 0, 1, 2, 0, 0, 0]},
        ("clk", "write", "write_addr", "write_data", "read", "read_addr", "read_data"),
        {"write_addr": 2, "write_data": 8, "read_addr": 2, "read_data": 8},
        {"write_addr": "write", "write_data": "write", "read_addr": "read"},
    ),
    Scenario(
        "frame_check", "Frames of 3 beats; the second one's tlast comes too early", {"BEATS": 3},
        {"rst": 1, "beat": 1, "tlast": 1, "last": 1, "error": 1},
        {"beat": [1, 1, 0, 1, 1, 1, 1, 1, 0], "tlast": [0, 0, 0, 1, 0, 1, 0, 0, 0]},
        ("clk", "beat", "tlast", "last", "error"),
    ),
    Scenario(
        "combine", "Maximum of two signed numbers", {"MAX": 1, "BITS": 8, "SIGNED": 1}, {"a": 8, "b": 8, "out": 8},
        {"a": [3, 3, 250, 250, 127], "b": [1, 7, 2, 249, 128]}, ("a", "b", "out"), {"a": 8, "b": 8, "out": 8},
        signed=frozenset(("a", "b", "out")),
    ),
    Scenario(
        "extend", "4 bits to 8, by the sign: the bits 1111 become 11111111", {"IN_W": 4, "OUT_W": 8, "SIGNED": 1},
        {"in": 4, "out": 8}, {"in": [0, 7, 8, 15, 1]}, ("in", "out"), {"in": 4, "out": 8},
        binary=frozenset(("in", "out")),
    ),
    Scenario(
        "counter", "Three steps, round and round", {"STEPS": 3}, {"rst": 1, "next": 1, "count": 2, "last": 1},
        {"next": [1, 1, 0, 1, 1, 1, 0, 0, 1, 1]}, ("clk", "next", "count", "last"), valid={},
    ),
    Scenario(
        "ring_writer", "Maps of 2x3 pixels, their columns dealt out among two memories, two rows in the ring",
        {"IN_H": 2, "IN_W": 3, "ROWS": 2, "COLUMN_BANKS": 2},
        {"rst": 1, "put": 1, "addr": 2, "slot": 1, "bank": 1, "pixel": 1, "frame": 1},
        {"put": [1, 1, 1, 0, 1, 1, 1, 1, 1, 0]}, ("clk", "put", "addr", "bank", "pixel", "frame"), valid={},
    ),
    Scenario(
        "window_axis", "Windows of three taps, a tap per step, over three pixels padded on both sides",
        {"SIZE": 3, "WINDOWS": 3, "LAST": 2},
        {"rst": 1, "tap": 1, "window": 1, "last_tap": 1, "last_window": 1, "outside": 1, "begins": 1, "next_begins": 1},
        {"tap": [1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1], "window": [0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0]},
        ("clk", "tap", "window", "last_tap", "last_window", "outside"), valid={},
    ),
    Scenario(
        "window_scan", "Windows of three taps, a tap per beat, over a row of two pixels padded on both sides",
        {"IN_H": 1, "IN_W": 2, "OUT_H": 1, "OUT_W": 2, "KERNEL_Y": 1, "PAD_TOP": 0},
        {"rst": 1, "next": 1, "outside_x": 1, "step": 3, "frees": 1, "enters": 1},
        {"next": [1, 1, 1, 1, 0, 1, 1, 1, 1, 1]}, ("clk", "next", "outside_x", "step", "frees"), valid={},
    ),
    Scenario(
        "window_flow", "Windows of two pixels over rows of four, with room for four; the pipeline waits at first",
        {"IN_H": 1, "IN_W": 4, "OUT_H": 1, "OUT_W": 3, "REACH_Y": 1, "REACH_X": 2, "PAD_TOP": 0, "PAD_LEFT": 0,
         "ROWS": 1},
        {"rst": 1, "pixel": 1, "frame": 1, "room": 1, "en": 1, "go": 1, "step": 3, "frees": 1, "enters": 1},
        {"pixel": [1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0], "frame": [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
         "en": [1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1], "step": [4, 4, 4, 4, 4, 4, 4, 6, 4, 4, 4, 4],
         "frees": [1] * 12, "enters": [0] * 12},
        ("clk", "pixel", "frame", "room", "en", "go", "step", "frees", "enters"), valid={},
    ),
    Scenario(
        "window_address", "Windows of 2x2 taps, a tap per beat, over maps of 2x3 pixels",
        {"IN_H": 2, "IN_W": 3, "OUT_H": 1, "OUT_W": 2, "KERNEL_Y": 2, "KERNEL_X": 2, "PAD_TOP": 0, "PAD_LEFT": 0,
         "ROWS": 3},
        {"rst": 1, "go": 1, "step": 3, "addr": 4},
        {"go": [1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0], "step": [0, 1, 0, 4, 0, 0, 1, 0, 6, 0, 1, 0]},
        ("clk", "go", "step", "addr"), valid={},
    ),
    Scenario(
        "tap_select", "Two taps out of two memories", {"TAPS_X": 2, "COLUMN_BANKS": 2},
        {"en": 1, "words": 16, "slot": 1, "bank": 1, "outside_y": 1, "outside_x": 2, "pad": 8, "taps": 16},
        {"en": [1, 1, 1, 0, 1, 1], "words": words([(1, 2), (3, 2), (3, 4), (5, 4), (5, 4), (5, 6)], 8),
         "slot": [0] * 6, "bank": [0, 1, 0, 1, 1, 0], "outside_y": [0] * 6, "outside_x": [0, 0, 2, 0, 0, 3],
         "pad": [99] * 6},
        ("clk", "en", "words", "slot", "bank", "outside_y", "outside_x", "pad", "taps"), {"words": 8, "taps": 8},
        valid={}, binary=frozenset(("outside_x",)),
    ),
)  # fmt: skip
