"""ROM files: one word per line, hexadecimal, as ``$readmemh`` wants them."""

from __future__ import annotations

from cnn2rtl.ops.hardware import Rom


def hex_lines(rom: Rom) -> str:
    """Exactly one line per word, every word padded with zeros to whole digits."""
    digits = -(-rom.width // 4)
    text = "".join([f"{word:0{digits}x}\n" for word in rom.words])
    # A word of more digits or below zero would shift or spoil all that is read behind it.
    assert len(text) == (digits + 1) * len(rom.words), f"a word of more than {rom.width} bits"
    assert "-" not in text, "a negative word"
    return text
