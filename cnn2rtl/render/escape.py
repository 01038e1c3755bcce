"""Text from elsewhere in templates: what a name may do in a file depends on where it stands there.

A layer may be called anything, and its name must neither end the comment or the string that it stands in nor be read as
code. So every ``{= =}`` of a template is escaped for its place, and nobody who writes one has to think of it: the
template's suffix tells the language, and the text before the expression whether it is in code, in a string or in a
comment. Code has words and numbers only; what the tool itself has put together passes as it is with ``| safe``.
(Templates of HTML are made safe in this way by Go's html/template.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from numbers import Number

from jinja2 import TemplateSyntaxError
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from markupsafe import Markup
from markupsafe import escape as escape_html

from cnn2rtl.text import clipped, visible

Escape = Callable[[object], Markup]
"""What becomes of a value in a place; :class:`Markup` is text that is safe there."""

WORD = re.compile(r"(?!-)(?!.*//)[\w./-]*", re.ASCII)
"""An identifier, also of a part of the design, or a path: one word in every language."""

# -------------------------------------------------------------------------------------- what becomes of it in a place


def word(value: object) -> Markup:
    """``value`` where code is: a number or a word. Anything else there is a fault of ours."""
    text = str(value)
    if not isinstance(value, Number) and WORD.fullmatch(text) is None:
        raise ValueError(f"{visible(clipped(text))!r} where a word belongs: escape it there, or say that it is safe")
    return Markup(text)


def comment(value: object) -> Markup:
    """``value`` within a comment: nothing in it continues the line, is expanded, quotes or ends a block."""
    text = visible(clipped(str(value)))
    return Markup(re.sub(r'[\\`"$;{}]|(?<=\*)/', lambda found: f"\\x{ord(found[0]):02x}", text))


def head(value: object) -> Markup:
    """``value`` at the beginning of a comment: a number, as tools obey some words there (synthesis translate_off)."""
    if not isinstance(value, Number):
        raise ValueError(f"{visible(clipped(str(value)))!r} at the beginning of a comment: say first what it is")
    return Markup(value)


def tcl_string(value: object) -> Markup:
    """``value`` within the quotes of a string in TCL, where it is the text that it is."""
    return Markup(re.sub(r'[\\"$;\[\]{}]', lambda found: f"\\{found[0]}", visible(clipped(str(value)))))


def markdown(value: object) -> Markup:
    """``value`` as plain text of Markdown, in a cell of a table as well."""
    text = visible(clipped(str(value)))
    # An underscore within a word means nothing.
    return Markup(re.sub(r"[\\`*{}\[\]<>#!|~$&]|(?<![^\W_])_|_(?![^\W_])", lambda found: f"\\{found[0]}", text))


def html(value: object) -> Markup:
    """``value`` as text of a page, or as the value of an attribute."""
    return escape_html(visible(clipped(str(value))))


def _unless_safe(escape: Escape, value: object) -> Markup:
    return value if isinstance(value, Markup) else escape(value)


FILTERS: dict[str, Escape] = {
    it.__name__: partial(_unless_safe, it) for it in (word, comment, head, tcl_string, markdown, html)
}
"""The escapes as filters of templates; what is safe already they leave alone."""

# ---------------------------------------------------------------------------------------------------- which place it is


@dataclass(frozen=True)
class Span:
    """A stretch of a file between what ``opens`` and what ``closes`` it (patterns), with other spans within it."""

    opens: str
    closes: str
    escape: Escape
    inner: tuple[Span, ...] = ()

    @cached_property
    def _marks(self) -> re.Pattern[str]:
        return re.compile("|".join([f"({self.closes})", *(f"({span.opens})" for span in self.inner)]))

    def next(self, text: str, at: int) -> tuple[int, Span | None] | None:
        """Where the first mark from ``at`` on ends, and the inner span that it opens; none if it closes this one."""
        found = self._marks.search(text, at)
        if found is None:
            return None
        assert found.lastindex is not None
        return found.end(), self.inner[found.lastindex - 2] if found.lastindex > 1 else None


def _language(escape: Escape, *spans: Span) -> Span:
    """All of a file, in which ``spans`` may stand."""
    return Span("", r"\Z.", escape, spans)


START = r"(?<![^\n])[ \t]*"
"""Of a line."""
STRING = Span('"', r'(?<!\\)"', word)
_LINE = "\n"

_VERILOG = _language(word, STRING, Span("//", _LINE, comment), Span(r"/\*", r"\*/", word))
_TCL = _language(word, Span('"', r'(?<!\\)"', tcl_string), Span(f"{START}#", _LINE, comment))
_YOSYS = _language(word, STRING, Span(f"{START}#", _LINE, comment))
_PYTHON = _language(word, Span('"""', '"""', word), STRING, Span("'", r"(?<!\\)'", word), Span("#", _LINE, comment))
_MAKE = _language(word, Span(r"(?<![^\n])#", _LINE, comment))
_MARKDOWN = _language(markdown, Span("`", "`", word))
_HTML = _language(
    html,
    Span("<!--", "-->", word),
    Span(r"<script\b", r"</script>", word),
    Span(r"<style\b", r"</style>", word),
    Span(r"<(?=[A-Za-z/!])", ">", word, (Span('"', '"', html),)),
)

LANGUAGES: dict[str, Span] = {
    ".v": _VERILOG, ".tcl": _TCL, ".sdc": _TCL, ".ys": _YOSYS, ".py": _PYTHON, "Makefile": _MAKE,
    ".md": _MARKDOWN, ".html": _HTML, ".svg": _HTML, ".css": _language(word), ".js": _language(word),
}  # fmt: skip
"""By the end of a template's name, without ``.j2``."""


@dataclass(frozen=True)
class Place:
    """A point of a template: the spans around it, outermost first.

    ``fresh`` where nothing but blanks stands between it and the beginning of its span, ``line`` at the start of a line.
    """

    spans: tuple[Span, ...]
    fresh: bool = False
    line: bool = True

    @property
    def escape(self) -> Escape:
        escape = self.spans[-1].escape
        return head if escape is comment and self.fresh else escape

    def behind(self, text: str) -> Place:
        """The place behind ``text``, of the template's own."""
        spans, fresh, at = self.spans, self.fresh, 1
        text = ("\n" if self.line else ".") + text
        while (mark := spans[-1].next(text, at)) is not None:
            at, opened = mark
            spans, fresh = (spans[:-1], False) if opened is None else ((*spans, opened), True)
        return Place(spans, fresh and not text[at:].strip(), text[-1] == "\n")

    def behind_value(self) -> Place:
        return Place(self.spans, False, False)


class EscapeByPlace(Extension):
    """Puts every expression of a template through the escape for its place.

    The place must be the same whichever branches are taken; a template in which it is not is refused.
    """

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        root = place = Place((_language_of(stream),))
        blocks: list[tuple[str, Place, Place]] = []
        for token in stream:
            if token.type == "data":
                place = place.behind(token.value)
            elif token.type == "variable_end":
                closing = (("rparen", ")"), ("pipe", "|"), ("name", place.escape.__name__))
                yield from (Token(token.lineno, kind, text) for kind, text in closing)
                place = place.behind_value()
            elif token.type == "block_begin":
                word = str(stream.current.value)
                if word in ("if", "for", "macro"):
                    blocks.append((word, place, place))
                elif word in ("elif", "else"):
                    # Here the block's other branch begins, where the first one did.
                    kind, begin, end = blocks.pop()
                    blocks.append((kind, begin, _merged(stream, end, place)))
                    place = begin
                elif word.startswith("end"):
                    kind, _, end = blocks.pop() if blocks else ("", root, root)
                    if word != f"end{kind}":
                        raise _refused(stream, f"what {word} ends is not known here")
                    place = _merged(stream, end, place)
            yield token
            if token.type == "variable_begin":
                yield Token(token.lineno, "lparen", "(")


def _language_of(stream: TokenStream) -> Span:
    name = (stream.name or "").removesuffix(".j2")
    for end, language in LANGUAGES.items():
        if name.endswith(end):
            return language
    raise _refused(stream, "how to escape text in such a file is not known")


def _merged(stream: TokenStream, place: Place, other: Place) -> Place:
    """Where a template goes on behind branches that end in ``place`` and in the ``other``."""
    if place.spans != other.spans:
        raise _refused(stream, "branches of a block end in different places")
    return Place(place.spans, place.fresh or other.fresh, place.line and other.line)


def _refused(stream: TokenStream, reason: str) -> TemplateSyntaxError:
    return TemplateSyntaxError(reason, stream.current.lineno, stream.name, stream.filename)
