"""Text from elsewhere: names of layers, of files, and whatever else somebody may have made up."""

from __future__ import annotations

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
LONGEST = 1000
"""Characters of a text from elsewhere that are shown; nobody reads on."""


UNDECODED = "".join(map(chr, range(0xDCA0, 0xDD00)))
"""What stands for bytes of a file's name that are no UTF-8: a terminal gets them back, so that the name can be pasted.

Those from 80 to 9f are left out, which a terminal might obey.
"""


def visible(text: str, kept: str = NO_BREAK_SPACE) -> str:
    """``text`` on one line, as any screen and any encoding can show it.

    What does not print (ends of lines, escape sequences, marks that turn the reading direction, halves of characters)
    becomes an escape as in Python's strings, but for the characters ``kept``.
    """
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


def clipped(text: str, longest: int = LONGEST) -> str:
    """``text`` without its middle, where it has more than ``longest`` characters."""
    half = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"
