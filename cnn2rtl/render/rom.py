"""ROM files: one word per line, hexadecimal, as ``$readmemh`` wants them."""

from __future__ import annotations

from bitstring import Bits

from cnn2rtl.ops.hardware import Rom


def hex_lines(rom: Rom) -> str:
    """Exactly one line per word, every word padded with zeros to whole digits."""
    digits = -(-rom.width // 4)
    return "".join(f"{Bits(uint=word, length=4 * digits).hex}\n" for word in rom.words)
