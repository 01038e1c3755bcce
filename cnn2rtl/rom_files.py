"""ROM files against the memories that read them: tools fill up or cut off what does not fit, often in silence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from cnn2rtl.schema import Rom


def wrong_roms(folder: Path, roms: Mapping[str, Rom]) -> list[str]:
    """What is wrong with the ROM files in ``folder``: one line each.

    ``roms`` tells by the name of each how many words of how many bits the design has.
    """
    found = []
    for name, rom in roms.items():
        try:
            lines = (folder / name).read_text(encoding="ascii", errors="replace").split()
        except OSError as error:
            found.append(f"ROM file missing: rom/{name} ({error.strerror})")
            continue
        if len(lines) != rom.words:
            found.append(f"rom/{name} has {len(lines):,} words, where the design has {rom.words:,}")
        wrong = next((n for n, line in enumerate(lines, 1) if not _fits(line, rom.width)), None)
        if wrong is not None:
            found.append(f"rom/{name}: word {wrong} is no hexadecimal number of {rom.width} bits")
    return found


def _fits(word: str, bits: int) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]+", word) is not None and int(word, 16) >> bits == 0
