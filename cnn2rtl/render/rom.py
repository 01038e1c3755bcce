"""ROM files: one word per line, hexadecimal, as ``$readmemh`` wants them."""

from __future__ import annotations

from bitstring import Bits

from cnn2rtl.hardware.unit import Rom


def hex_lines(rom: Rom) -> str:
    """Exactly one line per word, every word padded with zeros to whole digits."""
    digits = -(-rom.width // 4)
    size = -(-digits // 2)
    # All words as one object, since millions of objects take minutes.
    text = Bits(b"".join([word.to_bytes(size, "big") for word in rom.words])).hex
    ends = range(2 * size, len(text) + 1, 2 * size)
    return "".join([f"{text[end - digits : end]}\n" for end in ends])
