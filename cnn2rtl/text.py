"""Text from elsewhere: names of layers, of files, and whatever else somebody may have made up."""

from __future__ import annotations

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
LONGEST = 1000
"""Characters of a text from elsewhere that are shown; nobody reads on."""


def visible(text: str) -> str:
    """``text`` on one line, as any screen and any encoding can show it.

    What does not print (ends of lines, escape sequences, marks that turn the reading direction, halves of characters)
    becomes an escape as in Python's strings.
    """
    return "".join(c if c.isprintable() or c == NO_BREAK_SPACE else c.encode("unicode_escape").decode() for c in text)


def clipped(text: str, longest: int = LONGEST) -> str:
    """``text`` without its middle, where it has more than ``longest`` characters."""
    half = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"
