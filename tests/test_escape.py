"""Names are data: however a network and its layers are called, nothing of it is more than text in any file."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import jinja2
import pytest
from hostile import PAYLOADS, network
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from cnn2rtl.render import escape, templates
from cnn2rtl.text import LONGEST, clipped, visible

# --------------------------------------------------------------------------------------- which place, and what it does


def filled(path: str, template: str, **values: object) -> str:
    environment = templates.environment().overlay(loader=jinja2.DictLoader({path: template}))
    return environment.get_template(path).render(**values)


HARMLESS = "first(line) of 3x3, 4 -> 8: u8*0.01"

PLACES = {
    "x.v.j2": [
        ("reg {= x =};", escape.word), ("// note {= x =}\n", escape.comment), ("// {= x =}\n", escape.head),
        ('$display("a {= x =}");', escape.word), ('"//" {= x =};', escape.word), ("/* {= x =} */", escape.word),
        ("// one\nwire {= x =};", escape.word), ('// "\n{= x =}', escape.word), ('"a\\"//{= x =}"', escape.word),
        ("// {% if y %}a{% endif %} {= x =}\n", escape.head), ("// a{% if y %}b{% endif %} {= x =}\n", escape.comment),
    ],
    "x.tcl.j2": [
        ("set a {= x =}", escape.word), ("# note {= x =}\n", escape.comment), ("set a # {= x =}", escape.word),
        ("set b\n  # note {= x =}", escape.comment), ("{= y =}# a {= x =}", escape.word),
        ('puts "{= x =}"', escape.tcl_string),
    ],
    "x.ys.j2": [("read {= x =}", escape.word), ("# of {= x =}", escape.comment)],
    "Makefile.j2": [
        ("A := {= x =}", escape.word), ("# a {= x =}\n", escape.comment), ("\t# a {= x =}\n", escape.word),
        ("a:\n\techo '{= x =}'", escape.word),
    ],
    "x.py.j2": [
        ("a = {= x =}", escape.word), ("a = 1  # a {= x =}\n", escape.comment), ('"""of {= x =}"""', escape.word),
        ("a = '# {= x =}'", escape.word), ('a = "# {= x =}"', escape.word),
    ],
    "x.md.j2": [("a {= x =}", escape.markdown), ("`{= x =}`", escape.word), ("`a` {= x =} `b`", escape.markdown)],
    "x.html.j2": [
        ("<p>{= x =}</p>", escape.html), ('<p class="a {= x =}">', escape.html), ("<p {= x =}>", escape.word),
        ("<p>a</p>{= x =}", escape.html), ("<script>{= x =}</script>", escape.word), ("<style>{= x =}", escape.word),
        ("<script>a</script><b>{= x =}", escape.html), ("<!-- {= x =} -->", escape.word),
        ("1 < 2 {= x =}", escape.html),
    ],
    "x.js.j2": [('var a = "{= x =}"', escape.word)],
}  # fmt: skip


@pytest.mark.parametrize(("path", "template", "expected"), [(p, t, e) for p, all_ in PLACES.items() for t, e in all_])
def test_every_expression_is_escaped_for_its_place(path: str, template: str, expected: escape.Escape) -> None:
    for value in (HARMLESS, 'a"b', "<\n>", "a`b\\"):
        before, after = re.split(r"\{= x =\}", re.sub(r"\{% if .*?endif %\}|\{= y =\}", "", template))
        try:
            escaped = expected(value)
        except ValueError:
            with pytest.raises(ValueError, match="belongs" if expected is escape.word else "beginning of a comment"):
                filled(path, template, x=value, y="")
        else:
            assert filled(path, template, x=value, y="") == f"{before}{escaped}{after}"
    # Numbers, and what is marked as safe, are never changed.
    assert filled(path, template, x=-7, y="").count("-7") == 1
    assert HARMLESS + '"' in filled(path, template.replace("= x =", "= x | safe ="), x=HARMLESS + '"', y="")


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% if a %}// {% endif %}{= x =}", "different places"),
        ("// {% if a %}b\n{% endif %}{= x =}\n", "different places"),
        ("{% if a %}// {% else %}b{% endif %}{= x =}\n", "different places"),
        ('{% for a in b %}"{% endfor %}{= x =}', "different places"),
        ("{% filter upper %}{= x =}{% endfilter %}", "endfilter"),
        ("{% set a %}// {% endset %}{= a =}", "endset"),
    ],
)
def test_a_place_must_not_depend_on_a_branch(template: str, reason: str) -> None:
    with pytest.raises(jinja2.TemplateSyntaxError, match=reason):
        filled("x.v.j2", template, a=1, b=[1], x="y")


def test_of_other_files_nothing_is_known() -> None:
    with pytest.raises(jinja2.TemplateSyntaxError, match="not known"):
        filled("x.vhd.j2", "a {= x =}", x="y")


def test_macros_are_safe_what_is_put_together_in_a_template_is_not() -> None:
    text = '{% macro wire(name) %}\nwire {= name =}; // of {= name =}\n{% endmacro %}\n{= wire("a" ~ x) =}'
    assert filled("x.v.j2", text, x="b") == "wire ab; // of ab\n"
    with pytest.raises(ValueError, match="belongs"):
        filled("x.v.j2", text, x="b c")
    assert filled("x.html.j2", '{= "<" ~ x =}', x="<") == "&lt;&lt;"


@given(st.text() | st.sampled_from(PAYLOADS))
def test_what_an_escape_lets_through(text: str) -> None:
    shown = escape.comment(text)
    assert shown.isprintable() or "\xa0" in shown
    assert not re.search(r'[`"$;{}]|\*/|\\(?![xuU][0-9a-f]{2}|[nrt])', shown)
    assert "<" not in escape.html(text) and '"' not in escape.html(text) and "'" not in escape.html(text)
    if escape.WORD.fullmatch(text) and text:
        assert re.fullmatch(r"[A-Za-z0-9_./][A-Za-z0-9_./-]*", text) and "//" not in text
    (paragraph, *more) = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(f"x{escape.markdown(text)}x")
    assert paragraph.type == "paragraph_open" and len(more) == 2
    children = more[0].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children) == f"x{visible(clipped(text))}x"


@given(st.text() | st.sampled_from(PAYLOADS))
def test_visible_text_prints(text: str) -> None:
    shown = visible(text)
    assert visible(shown) == shown and len(shown.splitlines()) <= 1
    assert shown.encode() == shown.encode(errors="replace") and "\x1b" not in shown
    assert len(clipped(text)) <= LONGEST


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("features.12.conv_1", "Stufe é", "layer1/block-2", "conv2d_3:0", "Größe\xa0A", "中文", "u8.5, 4 -> 8"):
        assert visible(name) == clipped(name) == escape.comment(name) == name
    for name in ("features.12.conv_1", "layer1/block-2", "conv2d_3:0", "u8.5, 4 - 8"):
        assert escape.markdown(name) == escape.html(name) == name


# --------------------------------------------------------------------------------------------------- a whole design


NETWORK = network()


def groups() -> list[list[str]]:
    """The payloads in portions of as many as the network has layers and inputs; the last one is filled up."""
    fill = [f"x{i}" for i in range(NETWORK.size)]
    return [[*PAYLOADS[at : at + NETWORK.size], *fill][: NETWORK.size] for at in range(0, len(PAYLOADS), NETWORK.size)]


COMMENTS = {
    ".v": r'("(?:\\.|[^"\\\n])*")|//[^\n]*|/\*.*?\*/', ".tcl": r"(?m)()^[ \t]*#[^\n]*", ".ys": r"(?m)()^#[^\n]*",
    "Makefile": r"(?m)()^#[^\n]*", ".py": r"(?m)()^#[^\n]*",
}  # fmt: skip
"""What is a comment there; strings, the first group, are not looked into."""


class Tags(HTMLParser):
    """A page without its text: the tags in their order, each with its attributes, but for those that are text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[object] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            self.text += f" {value}" if key in ("title", "aria-label") else ""
        self.found.append((tag, [(key, None if key in ("title", "aria-label") else value) for key, value in attrs]))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment", data))


def markdown_shape(text: str) -> list[object]:
    """Its tokens; of text, that there is some."""

    def shape(token: Token) -> object:
        children = [child for child in map(shape, token.children or []) if child != "text"]
        return (token.type, token.tag, children) if token.type not in ("text", "text_special") else "text"

    return [shape(token) for token in MarkdownIt("commonmark").enable("table").parse(text)]


def skeleton(path: str, text: str) -> object:
    """All of a file that is not text to be read."""
    if path.endswith(".html"):
        return Tags(text).found
    if path.endswith(".md"):
        return markdown_shape(text)
    pattern = next(pattern for end, pattern in COMMENTS.items() if path.endswith(end))
    return re.sub(pattern, lambda found: found[1] or "// comment", text, flags=re.DOTALL)


@pytest.mark.parametrize("names", groups(), ids=lambda names: repr(names[0])[:20])
def test_nothing_of_a_name_is_outside_of_text(names: list[str]) -> None:
    """But for its text, every file is that of the same design with identifiers for names."""
    design = NETWORK.compiled(names, names[-1], tuple(names))
    by_node = {stream.node: stream.name for stream in design.design.streams}
    plain = NETWORK.compiled([by_node[name] for name in names], design.design.name, tuple(by_node.values()))
    assert design.rendered.keys() == plain.rendered.keys()
    assert any(path.endswith("_constants.v") for path in plain.rendered) and any("rom/" in path for path in plain.files)
    for path, text in design.rendered.items():
        if path.endswith((".json", ".hex")):
            continue
        assert all(char in "\n\t\xa0" or char.isprintable() for char in text), path
        assert skeleton(path, text) == skeleton(path, plain.rendered[path]), path
        if path != "report.html":
            assert max(map(len, text.splitlines())) < LONGEST + 1000
    text = Tags(design.rendered["report.html"]).text
    assert all(visible(clipped(name, 300))[:100] in text for name in names)
